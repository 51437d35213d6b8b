// Package schedule holds mask schedules: the share of positions still masked as a function of progress, and the quotas
// that follow from it. Pure functions, one table.
package schedule

// Schedule is a row of [All].
type Schedule struct {
	Name  string // stable, in job files and traces: "cosine"
	Title string
	Doc   string // one sentence for people
	Paper string
	// Masked is the share still masked at progress t in [0, 1]: Masked(0) = 1, Masked(1) = 0, decreasing. nil for
	// "uniform", whose quotas are counts.
	Masked func(t float64) float64
}
