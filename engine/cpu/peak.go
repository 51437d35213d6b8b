package cpu

import (
	"fmt"
	"runtime"
	"time"

	"unmask/engine/tensor"
)

// Speed is a measured rate of arithmetic of one core.
type Speed struct {
	DType   tensor.DType
	Kernels string
	// PerSecond counts multiplications and additions in a second of processor time (of wall time where the system does
	// not tell a thread's own).
	PerSecond float64
}

// String gives the rate in billions a second: "f32 avx512: 116 GOP/s".
func (s Speed) String() string {
	return fmt.Sprintf("%v %s: %.0f GOP/s", s.DType, s.Kernels, s.PerSecond/1e9)
}

// Peak measures for about d what one core can do at most with the named kernel set ("": the fastest): multiply-adds on registers alone,
// without a single load. It is what the speed of products is held against. The result is empty for sets that have no
// such loop.
func Peak(kernels string, d time.Duration) []Speed {
	var out []Speed
	set, err := choose(kernels)
	if err != nil {
		return nil
	}
	loops := peaks[set.name]
	for _, p := range loops {
		if p.dt == tensor.I8 && set.words == 1 {
			continue
		}
		out = append(out, Speed{p.dt, set.name, measure(p.ops, p.run, d/time.Duration(len(loops)))})
	}
	return out
}

// peak is a loop without loads; run(n) does n*ops operations.
type peak struct {
	dt  tensor.DType
	ops float64
	run func(n int)
}

// measure returns operations a second: the best of the slices of about a millisecond that fit into d.
func measure(ops float64, run func(n int), d time.Duration) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const n = 50000
	best := 0.0
	for start := time.Now(); ; {
		wall := time.Now()
		before, ok := threadTime()
		run(n)
		after, _ := threadTime()
		took := after - before
		if !ok {
			took = time.Since(wall)
		}
		if took > 0 {
			best = max(best, ops*n/took.Seconds())
		}
		if time.Since(start) >= d {
			return best
		}
	}
}
