package sample_test

import (
	"errors"
	"slices"
	"testing"

	"unmask/engine"
	"unmask/engine/sample"
	"unmask/engine/sample/sampletest"
)

func TestLaws(t *testing.T) {
	names := map[string]bool{}
	for _, e := range sample.All {
		if names[e.Name] {
			t.Errorf("%s is there twice", e.Name)
		}
		names[e.Name] = true
		if e.Title == "" || e.Doc == "" || e.Paper == "" {
			t.Errorf("%s: title, sentence and paper must be set", e.Name)
		}
		t.Run(e.Name, func(t *testing.T) { sampletest.Run(t, e) })
	}
}

func TestParams(t *testing.T) {
	var pe *engine.ParamError
	if _, err := sample.New("threshold", engine.Params{"threshold": 1.5}); !errors.As(err, &pe) || pe.Max != 1 {
		t.Errorf("threshold 1.5: %v", err)
	}
	if _, err := sample.New("threshold", engine.Params{"treshold": 0.5}); !errors.As(err, &pe) {
		t.Errorf("unknown parameter: %v", err)
	}
	if _, err := sample.New("maskgit", engine.Params{"anneal": 0.5}); !errors.As(err, &pe) {
		t.Errorf("half a choice: %v", err)
	}
	if _, err := sample.New("nope", nil); err == nil {
		t.Error("unknown sampler: no error")
	}
}

// decide runs the sampler named name on hand-written probabilities; positions are 10, 11, ...
func decide(t *testing.T, name string, params engine.Params, v engine.View, prob []float32) []int {
	t.Helper()
	s, err := sample.New(name, params)
	if err != nil {
		t.Fatal(err)
	}
	var p engine.Prediction
	p.Resize(len(prob))
	copy(p.Prob, prob)
	for i := range prob {
		p.Pos[i] = 10 + i
		p.Margin[i] = 1 - prob[i]
		p.Entropy[i] = prob[i]
	}
	v.Masked = len(prob)
	var d engine.Decision
	s.Select(v, &p, &d)
	slices.Sort(d.Unmask)
	return d.Unmask
}

func TestDecisions(t *testing.T) {
	noise := sampletest.Noise{0.5, 0.1, 0.9, 0.4, 0.6, 0.3, 0.2, 0.8, 0.7, 0.05, 0.5, 0.9, 0.1, 0.6, 0.3} // position 10 has 0.5
	for _, c := range []struct {
		name   string
		params engine.Params
		view   engine.View
		prob   []float32
		want   []int
	}{
		{"low_confidence", nil, engine.View{Quota: 2, Steps: 4}, []float32{.2, .9, .5, .9, .1}, []int{1, 3}},
		{"low_confidence", nil, engine.View{Quota: 2, Steps: 4}, []float32{.5, .5, .5, .5, .5}, []int{0, 1}},
		{"margin", nil, engine.View{Quota: 2, Steps: 4}, []float32{.2, .9, .5, .9, .1}, []int{0, 4}},
		{"entropy", nil, engine.View{Quota: 2, Steps: 4}, []float32{.2, .9, .5, .9, .1}, []int{0, 4}},
		{"random", nil, engine.View{Quota: 2, Steps: 4, Noise: noise}, []float32{.2, .9, .5, .9, .1}, []int{1, 3}},
		{"threshold", engine.Params{"threshold": .5}, engine.View{Quota: 1}, []float32{.2, .9, .5, .49, .1}, []int{1, 2}},
		{"threshold", engine.Params{"threshold": .95}, engine.View{Quota: 3}, []float32{.2, .9, .5, .49, .1}, []int{1}},
		{"threshold", engine.Params{"threshold": .95, "at_least": 1}, engine.View{Quota: 3}, []float32{.2, .9, .5, .49, .1}, []int{1, 2, 3}},
		// bars: none, 1-1/3, 1-1/4, 1-1/5
		{"factor", nil, engine.View{}, []float32{.1, .7, .76, .6}, []int{1, 2}},
		{"factor", nil, engine.View{}, []float32{.5, .6, .4, .1}, []int{1}},
		{"factor", nil, engine.View{}, []float32{.76, .7, .9, .1}, []int{0, 2}},
		{"factor", nil, engine.View{}, []float32{.76, .7, .76, .1}, []int{0, 2}},
		{"factor", nil, engine.View{}, []float32{.76, .76, .76, .1}, []int{0, 1, 2}},
		{"factor", engine.Params{"edge": 1}, engine.View{}, []float32{.76, .76, .76, .1}, []int{0, 1, 2, 3}},
		{"factor", engine.Params{"edge": 1}, engine.View{}, []float32{.76, .1}, []int{0, 1}},
		{"factor", engine.Params{"edge": 1}, engine.View{}, []float32{.76, .1, .1}, []int{0}},
		{"entropy_bound", engine.Params{"bound": .35}, engine.View{}, []float32{.2, .9, .1, .3, .3}, []int{0, 2, 3}},
		{"entropy_bound", engine.Params{"bound": 0}, engine.View{}, []float32{.2, .9, .1}, []int{2}},
		{"threshold", engine.Params{"threshold": .1, "at_most": 1}, engine.View{Step: 1, Steps: 4, Initial: 8}, []float32{.2, .9, .5, .49, .1, .3}, []int{1, 2}},
		{"threshold", engine.Params{"threshold": .1, "at_most": 1}, engine.View{Step: 1, Steps: 4, Initial: 8}, []float32{.2, .9, .5, .49, .1, .3, .3}, []int{1, 2, 3}},
		// three stay masked; the two at the cut are tied, so both are committed
		{"maskgit", engine.Params{"choice_temperature": 0}, engine.View{Quota: 2, Steps: 4}, []float32{.2, .9, .1, .9, .1}, []int{1, 3}},
		{"maskgit", engine.Params{"choice_temperature": 0}, engine.View{Quota: 3, Steps: 4}, []float32{.2, .9, .2, .2, .1}, []int{0, 1, 2, 3}},
		{"maskgit", engine.Params{"choice_temperature": 0, "rule": 1}, engine.View{Quota: 1, Left: 90, Steps: 4}, []float32{.2, .9, .3, .4, .1}, []int{1}},
		{"maskgit", engine.Params{"choice_temperature": 0, "rule": 1}, engine.View{Left: -1, Steps: 4}, []float32{.2, .9, .3, .4, .1}, []int{0, 1, 2, 3}},
		{"maskgit", nil, engine.View{Step: 3, Steps: 4}, []float32{.2, .9, .3, .4, .1}, []int{0, 1, 2, 3, 4}},
	} {
		if got := decide(t, c.name, c.params, c.view, c.prob); !slices.Equal(got, c.want) {
			t.Errorf("%s %v, quota %d, %v: %v, want %v", c.name, c.params, c.view.Quota, c.prob, got, c.want)
		}
	}
}

func TestRevision(t *testing.T) {
	var p engine.Prediction
	p.Resize(6)
	copy(p.Prob, []float32{.9, .8, .3, .95, .2, .6})
	copy(p.Token, []engine.Token{1, 2, 3, 4, 5, 6})
	for i := range p.Pos {
		p.Pos[i] = i
	}
	v := engine.View{
		Step: 1, Steps: 4, Quota: 1, Masked: 3, Initial: 6,
		Committed: []bool{true, false, true, true, false, false}, Current: []engine.Token{1, 9, 3, 8, 9, 9},
		Noise: sampletest.Noise{.3, .3, .3, .3, .3, .3},
	}
	for _, c := range []struct {
		name                 string
		params               engine.Params
		unmask, remask, edit []int
	}{
		{"edit", engine.Params{"threshold": .7}, []int{1}, nil, []int{3}},
		{"edit", engine.Params{"threshold": .7, "edit": .96}, []int{1}, nil, nil},
		// m = min(1, (2/6)/(3/6)) = 2/3; psi = .9, .3, .05
		{"remdm", engine.Params{"eta": .5, "strategy": 0}, []int{1, 5, 4}, []int{0, 2}, nil}, // chance .5, room for two
		{"remdm", engine.Params{"eta": .5, "strategy": 1}, []int{1, 5, 4}, []int{0, 2}, nil}, // chance .333
		{"remdm", engine.Params{"eta": .5, "strategy": 2}, []int{1, 5, 4}, []int{2, 3}, nil}, // chances .189, .345, .443... by doubt
		{"remdm", engine.Params{"eta": 0, "strategy": 1}, []int{1}, nil, nil},
	} {
		s, err := sample.New(c.name, c.params)
		if err != nil {
			t.Fatal(err)
		}
		var d engine.Decision
		s.Select(v, &p, &d)
		if !slices.Equal(d.Unmask, c.unmask) || !slices.Equal(d.Remask, c.remask) || !slices.Equal(d.Edit, c.edit) {
			t.Errorf("%s %v: %v", c.name, c.params, d)
		}
	}
}

func TestAnnealing(t *testing.T) {
	mmada := sample.MaskGIT{ChoiceTemperature: 1, Compounding: true}
	maskgit := sample.MaskGIT{ChoiceTemperature: 1}
	for i, want := range [][2]float64{{0.9333, 0.9333}, {0.8089, 0.8667}, {0.6471, 0.8}, {0.4745, 0.7333}, {0.3164, 0.6667}, {0.1898, 0.6}} {
		if a, b := mmada.Temperature(i, 15), maskgit.Temperature(i, 15); abs(a-want[0]) > 1e-4 || abs(b-want[1]) > 1e-4 {
			t.Errorf("step %d: %.4f and %.4f, want %v", i, a, b, want)
		}
	}
}

func abs(x float64) float64 { return max(x, -x) }
