// Package sample holds the samplers: which positions a step unmasks, remasks or edits. One file a sampler, one table.
//
// A sampler sees a few numbers a position (engine.Prediction), never logits, so it is plain Go over short slices and the
// same on every backend. Equal scores go to the lower position. A position whose probability is NaN is never chosen.
package sample

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"unmask/engine"
)

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
	Adaptive bool // counts by its own rule, so a run may take fewer steps than planned (or more, where a param says so)
	New      func(engine.Params) (engine.Sampler, error)
}

// Find returns the row named name, of [All] or [Processes]; the error lists the names there are.
func Find(name string) (Entry, error) {
	var names []string
	for _, e := range slices.Concat(All, Processes) {
		if e.Name == name {
			return e, nil
		}
		names = append(names, e.Name)
	}
	return Entry{}, fmt.Errorf("sampler %q is unknown; have %s", name, strings.Join(names, ", "))
}

// New makes the sampler of row name with params, which may be nil. Missing parameters take their defaults; unknown ones
// and values outside their range are errors ([*engine.ParamError]). A sampler serves one run at a time.
func New(name string, params engine.Params) (engine.Sampler, error) {
	e, err := Find(name)
	if err != nil {
		return nil, err
	}
	full, err := e.Fill(params)
	if err != nil {
		return nil, err
	}
	if e.New == nil {
		return nil, &engine.UnsupportedError{What: "the process " + name + " as a sampler of the masked loop"}
	}
	return e.New(full)
}

// Fill returns params with every parameter of e set, after checking names and ranges.
func (e Entry) Fill(params engine.Params) (engine.Params, error) {
	full := make(engine.Params, len(e.Params))
	for _, p := range e.Params {
		full[p.Name] = p.Default
	}
	for name, v := range params {
		i := slices.IndexFunc(e.Params, func(p Param) bool { return p.Name == name })
		if i < 0 {
			return nil, &engine.ParamError{Name: e.Name + "." + name, Value: v, Reason: "the sampler has no such parameter"}
		}
		p := e.Params[i]
		if !(v >= p.Min && v <= p.Max) {
			return nil, &engine.ParamError{Name: e.Name + "." + name, Value: v, Min: p.Min, Max: p.Max}
		}
		if p.Choices != nil && v != math.Trunc(v) {
			return nil, &engine.ParamError{Name: e.Name + "." + name, Value: v, Reason: "want a whole number, the index of a choice"}
		}
		full[name] = v
	}
	return full, nil
}

// choice is a parameter with named values.
func choice(name, title, doc string, def int, choices ...string) Param {
	return Param{Name: name, Title: title, Doc: doc, Max: float64(len(choices) - 1), Step: 1, Default: float64(def), Choices: choices}
}

// orderTemperature is the parameter of samplers that can draw their order instead of sorting.
var orderTemperature = Param{
	Name: "order_temperature", Title: "Order temperature", Max: 10,
	Doc:  "Draws which positions go first instead of always taking the best; 0 sorts.",
	More: "score / T + Gumbel noise, the same law as drawing without replacement from softmax(score / T): Dream's alg_temp.",
}

// ranking orders candidates by a score. Its memory is reused from step to step.
type ranking struct{ score []float64 }

// rank puts every masked position of p into d.Unmask, best score first. Candidates whose probability or score is NaN are
// left out.
func (r *ranking) rank(v engine.View, p *engine.Prediction, d *engine.Decision, score func(i int) float64) {
	n := len(p.Pos)
	if cap(r.score) < n {
		r.score = make([]float64, n)
	}
	r.score = r.score[:n]
	for i := range n {
		if i < len(v.Committed) && v.Committed[i] || p.Prob[i] != p.Prob[i] {
			continue
		}
		if r.score[i] = score(i); r.score[i] == r.score[i] {
			d.Unmask = append(d.Unmask, i)
		}
	}
	slices.SortFunc(d.Unmask, func(a, b int) int {
		if c := cmp.Compare(r.score[b], r.score[a]); c != 0 {
			return c
		}
		return a - b
	})
}

// keep shortens the ranked candidates to n.
func keep(d *engine.Decision, n int) { d.Unmask = d.Unmask[:min(max(n, 0), len(d.Unmask))] }

// gumbel is standard Gumbel noise from u in (0, 1).
func gumbel(u float64) float64 { return -math.Log(-math.Log(u)) }
