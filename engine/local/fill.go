package local

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/sample"
	"unmask/engine/schedule"
)

// Bounds of settings that no table row has.
const (
	maxTemperature  = 10
	maxGuidance     = 30
	maxPenalty      = 100
	maxAlternatives = 32
	maxSteps        = 1 << 16
)

// isPicture reports whether task t makes a picture.
func isPicture(t engine.Task) bool {
	return t == engine.TextToImage || t == engine.Inpaint || t == engine.Outpaint || t == engine.EditImage || t == engine.Joint
}

// fill puts the defaults of spec where job's options leave them open and checks every setting. Nothing of job is shared
// afterwards with the caller's options.
func fill(job *engine.Job, spec engine.Spec) error {
	if !slices.Contains(engine.Tasks, job.Task) || !spec.Can(job.Task) {
		return &engine.UnsupportedError{What: fmt.Sprintf("task %q with the model %s", job.Task, spec.Name), Have: fmt.Sprint(spec.Tasks)}
	}
	o, d := &job.Options, spec.Defaults[job.Task]
	o.Ban = slices.Clone(o.Ban)
	o.Schedule = cmp.Or(o.Schedule, d.Schedule)
	if o.Sampler == "" {
		o.Sampler = d.Sampler
		if o.Params == nil {
			o.Params = d.Params
		}
	}
	o.Cache = cmp.Or(o.Cache, engine.CacheNone)
	o.HoleLength = cmp.Or(o.HoleLength, d.HoleLength, 1)
	switch {
	case isPicture(job.Task):
		o.Length, o.Block = 0, 0
	case job.Task == engine.Infill:
		// Every hole is filled to its end, whatever the model would end. A text without holes goes on for Length tokens where
		// the model does not chat.
		o.StopAtEnd, o.BanEnd = false, true
		if spec.Can(engine.Chat) {
			o.Length = 0
		} else if o.Length == 0 {
			o.Length = d.Length
		}
	case o.Length == 0:
		o.Length = d.Length
	}
	wholeCanvases(o, spec)
	if o.Steps == 0 {
		o.Steps = d.Steps
		if d.Length > 0 && o.Length > 0 { // as many tokens a step as the default has
			o.Steps = max(1, (d.Steps*o.Length+d.Length-1)/d.Length)
		}
	}
	if err := ranges(job.Task, o, spec); err != nil {
		return err
	}
	if _, err := schedule.Find(o.Schedule); err != nil {
		return err
	}
	row, err := sample.Find(o.Sampler)
	if err != nil {
		return err
	}
	if can := sample.For(spec); !slices.ContainsFunc(can, func(e sample.Entry) bool { return e.Name == row.Name }) {
		return &engine.UnsupportedError{What: fmt.Sprintf("sampler %q with the model %s", o.Sampler, spec.Name), Have: names(can)}
	}
	if o.Params, err = row.Fill(maps.Clone(o.Params)); err != nil {
		return err
	}
	return cacheable(job.Task, o.Cache, spec)
}

// cacheable reports a cache mode that the model cannot use for task.
func cacheable(task engine.Task, mode engine.CacheMode, spec engine.Spec) error {
	switch mode {
	case engine.CacheNone, engine.CachePrefix, engine.CacheDual:
		return nil
	case engine.CacheLazy:
		if spec.Block > 0 || spec.PromptFirst {
			return &engine.UnsupportedError{What: "cache lazy with the model " + spec.Name, Have: "none, prefix, dual, which are exact"}
		}
		return nil
	case engine.CacheConfident:
		switch {
		case spec.Image == nil || !isPicture(task):
			return &engine.UnsupportedError{What: fmt.Sprintf("cache confident for %s with the model %s", task, spec.Name), Have: "none, prefix, dual, lazy"}
		case spec.Block > 0 || spec.PromptFirst:
			return &engine.UnsupportedError{What: "cache confident with the model " + spec.Name, Have: "none, prefix, dual, which are exact"}
		}
		return nil
	}
	return &engine.UnsupportedError{What: fmt.Sprintf("cache %q", mode), Have: "none, prefix, dual, lazy, confident"}
}

// wholeCanvases rounds the length of an answer up to canvases, for a model that denoises those.
func wholeCanvases(o *engine.Options, spec engine.Spec) {
	if spec.Mask >= 0 {
		return
	}
	if o.Block == 0 {
		o.Block = spec.Block
	}
	if n := max(o.Block, 1); o.Length > 0 && o.Length <= spec.MaxLen {
		o.Length = (o.Length + n - 1) / n * n
	}
}

func names(rows []sample.Entry) string {
	var n []string
	for _, e := range rows {
		n = append(n, e.Name)
	}
	return strings.Join(n, ", ")
}

// ranges checks the numbers of o.
func ranges(task engine.Task, o *engine.Options, spec engine.Spec) error {
	if o.GuidanceImage != 0 && task != engine.EditImage {
		return &engine.ParamError{Name: "guidance_image", Value: o.GuidanceImage, Reason: fmt.Sprintf("the task %s is not guided by a picture", task)}
	}
	least := 0.0
	if task == engine.Chat || task == engine.Describe {
		least = 1
	}
	for _, x := range []struct {
		name     string
		value    float64
		min, max float64
	}{
		{"length", float64(o.Length), least, float64(spec.MaxLen)},
		{"steps", float64(o.Steps), 1, maxSteps},
		{"block", float64(o.Block), 0, float64(spec.MaxLen)},
		{"temperature", o.Temperature, 0, maxTemperature},
		{"top_p", o.TopP, 0, 1},
		{"top_k", float64(o.TopK), 0, float64(spec.Vocab)},
		{"guidance", o.Guidance, 0, maxGuidance},
		{"guidance_image", o.GuidanceImage, 0, maxGuidance},
		{"end_penalty", o.EndPenalty, 0, maxPenalty},
		{"hole_length", float64(o.HoleLength), 1, float64(spec.MaxLen)},
		{"alternatives", float64(o.Alternatives), 0, maxAlternatives},
	} {
		if !(x.value >= x.min && x.value <= x.max) {
			return &engine.ParamError{Name: x.name, Value: x.value, Min: x.min, Max: x.max}
		}
	}
	for _, t := range o.Ban {
		if t < 0 || int(t) >= spec.Vocab {
			return &engine.ParamError{Name: "ban", Value: float64(t), Min: 0, Max: float64(spec.Vocab - 1)}
		}
	}
	return nil
}
