// Package sample holds the samplers: which positions a step unmasks, remasks or edits. One file a sampler, one table.
package sample

import "unmask/engine"

// Param describes one parameter of a sampler. The interface builds its form from it.
type Param struct {
	Name     string // stable, in job files: "threshold"
	Title    string
	Doc      string // one sentence
	More     string // the formula and the paper
	Min, Max float64
	Step     float64 // 0: continuous
	Default  float64
	Choices  []string // when not nil the value is an index into it
}

// Entry is a row of [All], the table of samplers. The interface builds the parameter form from Params; no sampler needs
// interface code.
type Entry struct {
	Name     string // stable, in job files and traces: "low_confidence"
	Title    string
	Doc      string // one sentence
	Paper    string // "arXiv:2502.09992"
	Params   []Param
	Adaptive bool // may unmask more than its quota, so a run may take fewer steps than planned
	New      func(engine.Params) (engine.Sampler, error)
}
