package state

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/sample"
)

// HasHoles reports whether text asks for infill: it has a hole to fill.
func HasHoles(text string) bool { return strings.Contains(text, engine.Hole) }

// Presets are the presets of a task, the model's own settings first; at least one, whatever the model says.
func Presets(spec engine.Spec, task engine.Task) []engine.Preset {
	if list := engine.Presets(spec, task); len(list) > 0 {
		return list
	}
	o := spec.Defaults[task]
	o.Params = maps.Clone(o.Params)
	if o.Steps == 0 {
		o.Steps = 16
	}
	return []engine.Preset{{Name: "default", Title: "Recommended", Options: o}}
}

// Base are the options that a task starts with and that changes are counted against: its first preset.
func Base(spec engine.Spec, task engine.Task) engine.Options { return Presets(spec, task)[0].Options }

func isPicture(t engine.Task) bool {
	return t == engine.TextToImage || t == engine.Inpaint || t == engine.Outpaint || t == engine.EditImage
}

// PresetOf names the preset that o is, or "" when it is none.
func PresetOf(spec engine.Spec, task engine.Task, o engine.Options) string {
	for _, p := range Presets(spec, task) {
		if len(Changed(p.Options, o)) == 0 {
			return p.Name
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
		if va.Field(i).Kind() == reflect.Slice {
			if !reflect.DeepEqual(va.Field(i).Interface(), vb.Field(i).Interface()) {
				out = append(out, name)
			}
			continue
		}
		if !va.Field(i).Equal(vb.Field(i)) {
			out = append(out, name)
		}
	}
	if a.Sampler == b.Sampler {
		x, y := filled(a), filled(b)
		for n, v := range y {
			if x[n] != v {
				out = append(out, "params."+n)
			}
		}
	}
	slices.Sort(out)
	return out
}

// filled are the parameters of the sampler of o with every default filled in.
func filled(o engine.Options) engine.Params {
	e, err := sample.Find(o.Sampler)
	if err != nil {
		return o.Params
	}
	p, err := e.Fill(o.Params)
	if err != nil {
		return o.Params
	}
	return p
}

// settings are the options of the next run of task: what was set, else the first preset.
func (s *State) settings(task engine.Task) engine.Options {
	if o, ok := s.Settings[task]; ok {
		return o
	}
	return Base(s.Model.Spec, task)
}

// Options are the options that the next run of a task will use, without its seed.
func (s *State) Options(task engine.Task) engine.Options { return s.settings(task) }
