package engine

// Preset is a named set of settings for a task.
type Preset struct {
	Name    string // stable: "default", "exact", "fast", "varied", "fine", "cached", "faithful"
	Title   string
	Doc     string // one sentence for people
	Options Options
}

// Presets lists the presets of a task, the model's own settings first. It returns nil for a task that the model does not
// do. The options share nothing with spec.
func Presets(spec Spec, task Task) []Preset {
	base, ok := spec.Defaults[task]
	if !ok || !spec.Can(task) {
		return nil
	}
	with := func(name, title, doc string, change func(o *Options)) Preset {
		o := base
		o.Params = nil
		for k, v := range base.Params {
			if o.Params == nil {
				o.Params = Params{}
			}
			o.Params[k] = v
		}
		o.Ban = append([]Token(nil), base.Ban...)
		change(&o)
		return Preset{Name: name, Title: title, Doc: doc, Options: o}
	}
	list := []Preset{with("default", "Recommended", "What this model does best with.", func(*Options) {})}
	if spec.Continuous { // no other process
		return append(list,
			with("fast", "Fast", "A quarter of the steps, without noise.", func(o *Options) {
				o.Steps = max(1, o.Steps/4)
				o.Params = Params{"step": 1}
			}),
			with("fine", "Fine", "All steps of training, which is slow.", func(o *Options) { o.Steps = 2000 }))
	}
	switch task {
	case TextToImage, Inpaint, Outpaint, EditImage, Joint:
		return append(list, picturePresets(spec, task, with)...)
	}
	if spec.Mask < 0 { // noise in place of masks
		tune := func(o *Options, bound, confidence float64) {
			o.Params["bound"], o.Params["confidence"] = bound, confidence
		}
		return append(list,
			with("exact", "Careful", "Accepts less in a step and stops later; more passes.", func(o *Options) { tune(o, 0.02, 0.001) }),
			with("fast", "Fast", "Accepts more in a step, in half the steps.", func(o *Options) {
				o.Steps = max(1, o.Steps/2)
				tune(o, 0.4, 0.02)
			}),
			with("varied", "Varied", "Draws at higher temperatures: other words for every seed.", func(o *Options) {
				o.Params["t_max"], o.Params["t_min"] = 1.2, 0.7
			}))
	}
	return append(list,
		with("exact", "Exact", "One token a step, the surest first, nothing from the cache.", func(o *Options) {
			o.Steps, o.Temperature, o.TopP, o.TopK = o.Length, 0, 0, 0
			o.Sampler, o.Schedule, o.Params, o.Cache = "low_confidence", "uniform", nil, CacheNone
		}),
		with("fast", "Fast", "Unmasks everything that is sure at once; fewer passes, nearly the same answers.", func(o *Options) {
			o.Steps, o.Temperature = o.Length, 0
			o.Sampler, o.Schedule, o.Params, o.Cache = "threshold", "uniform", Params{"threshold": 0.9}, CacheNone
		}),
		with("varied", "Varied", "Draws tokens instead of taking the most probable: other words for every seed.", func(o *Options) {
			o.Temperature, o.TopP = 0.7, 0.95
		}))
}

// picturePresets lists the presets of a task that makes a picture, besides the first.
func picturePresets(spec Spec, task Task, with func(name, title, doc string, change func(o *Options)) Preset) []Preset {
	list := []Preset{
		with("fast", "Fast", "Half the steps.", func(o *Options) { o.Steps = max(1, o.Steps/2) }),
		with("fine", "Fine", "Twice the steps.", func(o *Options) { o.Steps *= 2 }),
	}
	if task == EditImage {
		return append(list, with("faithful", "Faithful", "Keeps more of the given picture and less of the words.",
			func(o *Options) { o.Guidance, o.GuidanceImage = o.Guidance/2, o.GuidanceImage*1.5 }))
	}
	if spec.Image != nil && spec.Image.Free {
		return append(list, with("cached", "Cached", "Computes only the least certain positions in most passes; about twice as fast.",
			func(o *Options) { o.Cache = CacheConfident }))
	}
	return append(list,
		with("varied", "Varied", "More noise on the order of cells: pictures differ more from seed to seed.", func(o *Options) {
			o.Sampler, o.Schedule, o.Params = "maskgit", "cosine", Params{"choice_temperature": 4.5}
		}),
		with("mmada", "As MMaDA", "The published settings: 15 steps, guidance 3.5, noise that fades compounding.", func(o *Options) {
			o.Steps, o.Guidance, o.Sampler, o.Schedule, o.Temperature = 15, 3.5, "maskgit", "cosine", 1
			o.Params = Params{"choice_temperature": 1, "anneal": 1, "rule": 1}
		}))
}
