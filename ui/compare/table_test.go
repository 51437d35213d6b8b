package compare

import (
	"encoding/csv"
	"math"
	"strings"
	"testing"
	"time"

	"unmask/ui/run"
	"unmask/ui/state"
)

// TestTableIsCopied checks that both forms have a line a column, hold what the table shows, and quote what would break them.
func TestTableIsCopied(t *testing.T) {
	rows := []row{
		{name: "Margin | a", known: true, time: 1500 * time.Millisecond, passes: 32, rate: 21.3, agreement: 0.5, likelihood: -0.25},
		{name: `Low, "confidence"`, agreement: math.NaN(), likelihood: math.NaN()},
	}
	md := strings.Split(strings.TrimSpace(markdown(rows)), "\n")
	if len(md) != 4 || strings.Count(md[1], "--:") != 5 || !strings.Contains(md[2], `Margin \| a`) || !strings.Contains(md[2], "-0.25") {
		t.Errorf("markdown is %q", md)
	}
	got, err := csv.NewReader(strings.NewReader(csvText(rows))).ReadAll()
	if err != nil || len(got) != 3 || got[1][1] != "1.5" || got[1][2] != "32" || got[1][5] != "-0.25" || got[2][0] != rows[1].name || got[2][1] != "" {
		t.Errorf("csv is %q, %v", got, err)
	}
}

func TestLikelihoodIsOfWhatWasWritten(t *testing.T) {
	s := run.State{Cells: []run.Cell{{Prob: 0.5, Step: 1}, {Prob: 0.25, Step: 2}, {Masked: true}, {Prob: 1}, {Prob: 1, Fixed: true, Step: 1}}}
	s.Answer.Hi = len(s.Cells)
	if got, want := likelihood(&s), (math.Log(.5)+math.Log(.25))/2; math.Abs(got-want) > 1e-9 {
		t.Errorf("mean ln p is %g, want %g", got, want)
	}
	if got := likelihood(&run.State{}); !math.IsNaN(got) {
		t.Errorf("of nothing it is %g", got)
	}
}

func TestStopsStayInRange(t *testing.T) {
	for _, r := range []state.Setting{{Min: 1, Max: 40, Step: 1, Value: 32}, {Min: 0, Max: 2, Step: .05, Value: 0}, {Min: 0, Max: 1, Step: .01, Value: .9}} {
		for _, v := range stops(r) {
			if v < r.Min || v > r.Max {
				t.Errorf("%g is outside [%g, %g]", v, r.Min, r.Max)
			}
		}
		if len(stops(r)) < 3 {
			t.Errorf("%v are too few", stops(r))
		}
	}
}
