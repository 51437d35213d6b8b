// Package schedule holds mask schedules: the share of positions still masked as a function of progress, and the quotas
// that follow from it. Pure functions, one table.
package schedule

import (
	"fmt"
	"strings"
)

// Schedule is a row of [All].
type Schedule struct {
	Name  string // stable, in job files and traces: "cosine"
	Title string
	Doc   string // one sentence for people
	Paper string
	// Masked is the share still masked at progress t in [0, 1]: Masked(0) = 1, Masked(1) = 0 within 1e-6, never rising.
	// nil for "uniform", whose quotas are counts.
	Masked func(t float64) float64
	// Masked32 is Masked in float32 arithmetic throughout, as the published code evaluates it. How many positions stay
	// masked is a floor of it, and the floor differs from exact arithmetic for many counts. nil where Masked is nil.
	Masked32 func(t float32) float32
	// Rate, when not nil, is the chance of a masked position to be unmasked in step i of steps, for schedules that are
	// defined by it; see [Schedule.Chance].
	Rate func(i, steps int) float32
	// Counts, when not nil, gives the quotas themselves, for schedules that are defined by them. There may be fewer than
	// steps.
	Counts func(masked, steps int) []int
}

// All lists the schedules in the order of the interface.
var All = []Schedule{
	{
		Name: "uniform", Title: "Uniform", Paper: "arXiv:2502.09992",
		Doc: "The same number of positions in every step, the remainder in the first ones.",
	},
	{
		Name: "cosine", Title: "Cosine", Paper: "arXiv:2202.04200",
		Doc:    "Few positions early, while candidates are guesses, and many late.",
		Masked: Cosine[float64], Masked32: Cosine[float32],
	},
	{
		Name: "linear", Title: "Linear", Paper: "arXiv:2202.04200",
		Doc:    "The share still masked falls evenly; counts are rounded down.",
		Masked: Linear[float64], Masked32: Linear[float32],
	},
	{
		Name: "sqrt", Title: "Square root", Paper: "arXiv:2202.04200",
		Doc:    "Many positions in the first steps: 1 - t^(1/2).",
		Masked: Power[float64](0.5), Masked32: Power[float32](0.5),
	},
	{
		Name: "power", Title: "Square", Paper: "arXiv:2202.04200",
		Doc:    "Few positions early: 1 - t^2.",
		Masked: Power[float64](2), Masked32: Power[float32](2),
	},
	{
		Name: "cubic", Title: "Cubic", Paper: "arXiv:2202.04200",
		Doc:    "Very few positions early: 1 - t^3.",
		Masked: Power[float64](3), Masked32: Power[float32](3),
	},
	{
		Name: "sigmoid", Title: "Sigmoid", Paper: "arXiv:2202.04200",
		Doc:    "Slow at both ends and fast in the middle.",
		Masked: Sigmoid[float64](-3, 3, 1), Masked32: Sigmoid[float32](-3, 3, 1),
	},
	Shifted(3).named("shift", "Shift, late", "Few positions first and many late, LaViDa's default: shifted by 3."),
	Shifted(1.0/3).named("shift_early", "Shift, early", "Many positions first and few late: shifted by 1/3."),
	LogitNormal().named("logit_normal", "Logit-normal", "Slow at both ends and fast in the middle, by a bell curve."),
}

// Find returns the row named name; the error lists the names there are.
func Find(name string) (Schedule, error) {
	names := make([]string, len(All))
	for i, s := range All {
		if s.Name == name {
			return s, nil
		}
		names[i] = s.Name
	}
	return Schedule{}, fmt.Errorf("schedule %q is unknown; have %s", name, strings.Join(names, ", "))
}
