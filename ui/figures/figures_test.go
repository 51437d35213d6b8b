package figures

import (
	"math"
	"testing"
	"time"
)

func TestFigures(t *testing.T) {
	for got, want := range map[string]string{
		Duration(64100 * time.Microsecond): "64.1 ms",
		Duration(940 * time.Millisecond):   "0.94 s",
		Duration(80 * time.Second):         "1 min 20 s",
		Duration(118 * time.Millisecond):   "0.12 s",
		Duration(3720 * time.Second):       "1 h 2 min",
		Duration(-1):                       Unknown,
		Rate(31.21):                        "31.2 tok/s",
		Rate(0):                            Unknown,
		Rate(math.Inf(1)):                  Unknown,
		Rate(1234.4):                       "1,234 tok/s",
		Bytes(16_900_000_000):              "16.9 GB",
		Bytes(23_400_000):                  "23.4 MB",
		Count(126464):                      "126,464",
		Count(-1234):                       "-1,234",
		Count(999):                         "999",
		Prob(.484):                         ".48",
		Prob(1):                            "1",
		Prob(.999):                         "1",
		Prob(-.1):                          ".00",
		Prob(float32(math.NaN())):          Unknown,
		Nats(1.61):                         "1.6 nats",
		Left(1830 * time.Millisecond):      "1.8 s left",
		Left(83400 * time.Millisecond):     "1 min 23 s left",
		Left(12400 * time.Millisecond):     "12.0 s left",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
