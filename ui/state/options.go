package state

import (
	"maps"
	"reflect"
	"strings"

	"unmask/engine"
)

// HasHoles reports whether text asks for infill: it has a hole to fill.
func HasHoles(text string) bool { return strings.Contains(text, engine.Hole) }

// The names of the presets, in the order of the interface.
const (
	Fast     = "fast"
	Balanced = "balanced"
	Careful  = "careful"
)

// Presets lists the names of the presets in the order of the interface.
var Presets = []string{Fast, Balanced, Careful}

// Preset is the options of a task under a preset: Balanced is the model's own default; Fast makes half of the forward
// passes, and for text stops as soon as candidates are sure (Fast-dLLM's threshold); Careful makes twice as many, one
// token a pass at most.
func Preset(spec engine.Spec, task engine.Task, name string) engine.Options {
	o := spec.Defaults[task]
	o.Params = maps.Clone(o.Params)
	if o.Steps == 0 {
		o.Steps = 16
	}
	text := !isPicture(task)
	switch name {
	case Fast:
		if text {
			o.Sampler, o.Params = "threshold", engine.Params{"threshold": 0.9}
			break
		}
		o.Steps = max(1, o.Steps/2)
	case Careful:
		o.Steps *= 2
		if text && o.Length > 0 {
			o.Steps = min(o.Steps, o.Length)
		}
	}
	return o
}

func isPicture(t engine.Task) bool {
	return t == engine.TextToImage || t == engine.Inpaint || t == engine.Outpaint
}

// PresetOf names the preset that o is, or "" when it is none.
func PresetOf(spec engine.Spec, task engine.Task, o engine.Options) string {
	for _, n := range []string{Balanced, Fast, Careful} {
		if len(Changed(Preset(spec, task, n), o)) == 0 {
			return n
		}
	}
	return ""
}

// Changed lists the settings in which b differs from a, by their JSON names, the sampler's own ones as "params.NAME".
// The seed is not a setting here, nor is what the window itself fills in (previews, alternatives).
func Changed(a, b engine.Options) []string {
	a.Seed, b.Seed, a.Previews, b.Previews, a.Alternatives, b.Alternatives = 0, 0, false, false, 0, 0
	if a.Cache == "" {
		a.Cache = engine.CacheNone
	}
	if b.Cache == "" {
		b.Cache = engine.CacheNone
	}
	var out []string
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range va.NumField() {
		name, _, _ := strings.Cut(va.Type().Field(i).Tag.Get("json"), ",")
		if name == "params" || name == "ban" {
			continue
		}
		if !va.Field(i).Equal(vb.Field(i)) {
			out = append(out, name)
		}
	}
	if a.Sampler == b.Sampler {
		for n, v := range b.Params {
			if w, ok := a.Params[n]; !ok || w != v {
				out = append(out, "params."+n)
			}
		}
	}
	return out
}

// settings are the options of the next run of task: what was set, else the balanced preset.
func (s *State) settings(task engine.Task) engine.Options {
	if o, ok := s.Settings[task]; ok {
		return o
	}
	return Preset(s.Model.Spec, task, Balanced)
}

// Options are the options that the next run of a task will use, without its seed.
func (s *State) Options(task engine.Task) engine.Options { return s.settings(task) }
