package state

import (
	"slices"
	"testing"

	"unmask/engine"
	"unmask/engine/sample"
)

func TestEverySettingCanBeSetAndIsCounted(t *testing.T) {
	for _, task := range engine.Tasks {
		for _, e := range slices.Concat(sample.All, sample.Processes) {
			sp := spec
			sp.ThinkStyle, sp.MaxLen = "x", 512
			if e.New == nil {
				sp.Process = e.Name
			}
			if e.Name == "renoise" {
				sp.Mask = -1
			}
			o := engine.Options{Sampler: e.Name, Schedule: "cosine", Steps: 16, Length: 64, Block: 16}
			for _, r := range Settings(sp, task, o) {
				to := r.Max
				if r.Kind == Choose {
					to = float64(len(r.Choices) - 1)
				}
				if to == r.Value {
					to = r.Min
				}
				if to == r.Value {
					continue // there is one choice
				}
				got := Put(sp, task, o, r.Name, to)
				var after Setting
				for _, x := range Settings(sp, task, got) {
					if x.Name == r.Name {
						after = x
					}
				}
				if after.Value != to {
					t.Errorf("%s, %s: %s set to %g is %g", task, e.Name, r.Name, to, after.Value)
				}
				if c := Changed(o, got); len(c) == 0 {
					t.Errorf("%s: changing %s from %g to %g is not counted", e.Name, r.Name, r.Value, to)
				}
				if row, err := sample.Find(got.Sampler); err != nil {
					t.Error(err)
				} else if _, err := row.Fill(got.Params); err != nil {
					t.Errorf("%s: %s at %g: %v", e.Name, r.Name, to, err)
				}
			}
		}
	}
}

func TestPutClampsAndIgnoresTheUnknown(t *testing.T) {
	o := engine.Options{Sampler: "low_confidence", Steps: 8, Temperature: .5}
	if got := Put(spec, engine.Chat, o, "temperature", 99); got.Temperature != 2 {
		t.Errorf("temperature %g", got.Temperature)
	}
	if got := Put(spec, engine.Chat, o, "nothing", 1); len(Changed(o, got)) != 0 {
		t.Error("an unknown setting changes something")
	}
}

func TestColumnsDifferInOneThing(t *testing.T) {
	o := engine.Options{Sampler: "low_confidence", Steps: 8, Length: 32, Params: engine.Params{"order_temperature": 2}}
	cols := FourSamplers(spec, engine.Chat, o)
	if len(cols) != 4 {
		t.Fatalf("%d columns", len(cols))
	}
	for _, c := range cols {
		if _, err := sample.New(c.Options.Sampler, c.Options.Params); err != nil {
			t.Errorf("%s: %v", c.Title, err)
		}
		if c.Options.Steps != o.Steps || c.Options.Length != o.Length {
			t.Errorf("%s changes more than the sampler: %+v", c.Title, c.Options)
		}
	}
	if three := ThreeSteps(spec, engine.Chat, o); three[0].Options.Steps != 4 || three[2].Options.Steps != 16 {
		t.Errorf("steps %+v", three)
	}
}
