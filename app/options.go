package main

import (
	"flag"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"unmask/engine"
	"unmask/engine/sample"
	"unmask/engine/schedule"
	"unmask/ui/state"
)

// optionFlags are the flags of [engine.Options] and of every sampler's own parameters. Only what was given on the command
// line changes the model's defaults, in the order given, so a preset can be named first and then changed.
type optionFlags struct {
	preset string
	sets   []func(o *engine.Options)
	params map[string]bool // sampler parameters given
	has    map[string]bool // flags given
	words  []engine.Word
}

// newOptionFlags registers the flags in fs.
func newOptionFlags(fs *flag.FlagSet) *optionFlags {
	f := &optionFlags{params: map[string]bool{}, has: map[string]bool{}}
	fs.Func("preset", "`NAME`: start from a preset of the model (`unmask models` lists them)", func(v string) error {
		f.preset = v
		return nil
	})
	f.number(fs, "length", "`N`: answer positions", func(o *engine.Options, n int) { o.Length = n })
	f.number(fs, "steps", "`N`: forward passes over the whole answer", func(o *engine.Options, n int) { o.Steps = n })
	f.number(fs, "block", "`N`: block length; 0 is one block", func(o *engine.Options, n int) { o.Block = n })
	f.number(fs, "top-k", "`N`: candidates kept in the token draw; 0 is off", func(o *engine.Options, n int) { o.TopK = n })
	f.number(fs, "hole-length", "`N`: masks that \"___\" stands for", func(o *engine.Options, n int) { o.HoleLength = n })
	f.number(fs, "alternatives", "`N`: best candidates recorded with every change", func(o *engine.Options, n int) { o.Alternatives = n })
	f.real(fs, "temperature", "`T`: of token choice; 0 is argmax", func(o *engine.Options, x float64) { o.Temperature = x })
	f.real(fs, "top-p", "`P`: nucleus of the token draw; 0 is off", func(o *engine.Options, x float64) { o.TopP = x })
	f.real(fs, "guidance", "`G`: uncond + (1+G)*(cond-uncond); 0 is off", func(o *engine.Options, x float64) { o.Guidance = x })
	f.real(fs, "guidance-image", "`G`: how much the given picture counts in an edit, as --guidance is for the words", func(o *engine.Options, x float64) { o.GuidanceImage = x })
	f.real(fs, "end-penalty", "`X`: taken from the end tokens' log-probability when candidates are ordered", func(o *engine.Options, x float64) { o.EndPenalty = x })
	f.seed(fs)
	f.word(fs, "sampler", "`NAME`: "+strings.Join(samplerNames(), ", "), samplerNames(), func(o *engine.Options, v string) { o.Sampler = v })
	f.word(fs, "schedule", "`NAME`: "+strings.Join(scheduleNames(), ", "), scheduleNames(), func(o *engine.Options, v string) { o.Schedule = v })
	caches := []string{string(engine.CacheNone), string(engine.CachePrefix), string(engine.CacheDual), string(engine.CacheLazy), string(engine.CacheConfident)}
	f.word(fs, "cache", "`MODE`: none (exact), prefix, dual, lazy or confident", caches, func(o *engine.Options, v string) { o.Cache = engine.CacheMode(v) })
	f.truth(fs, "stop-at-end", "end when an end token is committed and no mask is before it", func(o *engine.Options, b bool) { o.StopAtEnd = b })
	f.truth(fs, "ban-end", "never choose an end token", func(o *engine.Options, b bool) { o.BanEnd = b })
	f.truth(fs, "keep-candidates", "record in every step what the model believed of every position that it looked at", func(o *engine.Options, b bool) { o.Watch = b })
	fs.Func("ban-words", "`WORDS` with commas between that the answer may not hold", func(v string) error {
		words := state.ParseList(v)
		f.add("ban-words", func(o *engine.Options) { o.BanWords = words })
		return nil
	})
	fs.Func("want-words", "`WORDS` with commas between that the text is steered towards by a classifier; models that denoise embeddings (Diffusion-LM)", func(v string) error {
		words := state.ParseList(v)
		f.add("want-words", func(o *engine.Options) { o.WantWords = words })
		return nil
	})
	fs.Func("fix-words", "`\"POS WORDS; POS WORDS\"` that stand in the answer from the start, positions from 0", func(v string) (err error) {
		f.words, err = state.ParseWords(v)
		return err
	})
	f.truth(fs, "think", "ask for reasoning before the answer", func(o *engine.Options, b bool) { o.Think = b })
	f.truth(fs, "previews", "decode the picture after every step, so that an animation shows it", func(o *engine.Options, b bool) { o.Previews = b })
	f.samplerParams(fs)
	return f
}

func samplerNames() []string {
	var n []string
	for _, e := range slices.Concat(sample.All, sample.Processes) {
		n = append(n, e.Name)
	}
	return n
}

func scheduleNames() []string {
	var n []string
	for _, s := range schedule.All {
		n = append(n, s.Name)
	}
	return n
}

func (f *optionFlags) add(name string, set func(o *engine.Options)) {
	f.has[name] = true
	f.sets = append(f.sets, set)
}

func (f *optionFlags) number(fs *flag.FlagSet, name, doc string, set func(*engine.Options, int)) {
	fs.Func(name, doc, func(v string) error {
		var n int
		if err := setInt(&n, v); err != nil {
			return err
		}
		f.add(name, func(o *engine.Options) { set(o, n) })
		return nil
	})
}

func (f *optionFlags) real(fs *flag.FlagSet, name, doc string, set func(*engine.Options, float64)) {
	fs.Func(name, doc, func(v string) error {
		x, err := finite(v)
		if err != nil {
			return err
		}
		f.add(name, func(o *engine.Options) { set(o, x) })
		return nil
	})
}

func (f *optionFlags) truth(fs *flag.FlagSet, name, doc string, set func(*engine.Options, bool)) {
	fs.BoolFunc(name, doc, func(v string) error {
		var b bool
		if err := setBool(&b, v); err != nil {
			return err
		}
		f.add(name, func(o *engine.Options) { set(o, b) })
		return nil
	})
}

func (f *optionFlags) word(fs *flag.FlagSet, name, doc string, allowed []string, set func(*engine.Options, string)) {
	fs.Func(name, doc, func(v string) error {
		if !slices.Contains(allowed, v) {
			return fmt.Errorf("%q is not one of %s", clip(v), strings.Join(allowed, ", "))
		}
		f.add(name, func(o *engine.Options) { set(o, v) })
		return nil
	})
}

func (f *optionFlags) seed(fs *flag.FlagSet) {
	fs.Func("seed", "`N`: every random choice follows from it (default: the model's, usually 0)", func(v string) error {
		n, err := strconv.ParseUint(v, 0, 64)
		if err != nil {
			return fmt.Errorf("%q is not a whole number from 0 to %d", clip(v), uint64(math.MaxUint64))
		}
		f.add("seed", func(o *engine.Options) { o.Seed = n })
		return nil
	})
}

// finite parses a number that is neither infinite nor NaN.
func finite(v string) (float64, error) {
	x, err := strconv.ParseFloat(v, 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return 0, fmt.Errorf("%q is not a number", clip(v))
	}
	return x, nil
}

// samplerParams registers one flag for every parameter name in [sample.All] and [sample.Processes]; rows may share a name. A parameter with
// choices takes the beginning of a choice or its index.
func (f *optionFlags) samplerParams(fs *flag.FlagSet) {
	type doc struct{ samplers, text string }
	docs := map[string][]doc{}
	choices := map[string][]string{}
	var order []string
	for _, e := range slices.Concat(sample.All, sample.Processes) {
		for _, p := range e.Params {
			if docs[p.Name] == nil {
				order = append(order, p.Name)
			}
			text := fmt.Sprintf("%s (%g to %g, default %g)", p.Doc, p.Min, p.Max, p.Default)
			if p.Choices != nil {
				choices[p.Name] = p.Choices
				text = p.Doc
				for i, c := range p.Choices {
					text += fmt.Sprintf("\n%d: %s", i, c)
				}
			}
			ds := docs[p.Name]
			if i := slices.IndexFunc(ds, func(d doc) bool { return d.text == text }); i >= 0 {
				ds[i].samplers += ", " + e.Name
			} else {
				docs[p.Name] = append(ds, doc{e.Name, text})
			}
		}
	}
	for _, name := range order {
		var lines []string
		for _, d := range docs[name] {
			lines = append(lines, d.samplers+": "+d.text)
		}
		fs.Func(strings.ReplaceAll(name, "_", "-"), "`X`: "+strings.Join(lines, "\n"), func(v string) error {
			x, isWord := choose(choices[name], v)
			if !isWord {
				var err error
				if x, err = finite(v); err != nil {
					return err
				}
			}
			f.params[name] = true
			f.sets = append(f.sets, func(o *engine.Options) {
				if o.Params == nil {
					o.Params = engine.Params{}
				}
				o.Params[name] = x
			})
			return nil
		})
	}
}

// choose is the index of the only choice that begins with v.
func choose(choices []string, v string) (float64, bool) {
	found := -1
	for i, c := range choices {
		switch {
		case v == "" || !strings.HasPrefix(c, v):
		case found >= 0:
			return 0, false
		default:
			found = i
		}
	}
	return float64(found), found >= 0
}

// apply is base with everything given on the command line. base's parameters are kept where its sampler is.
func (f *optionFlags) apply(base engine.Options) engine.Options {
	o := base
	o.Params = nil
	for _, set := range f.sets {
		set(&o)
	}
	if o.Sampler == base.Sampler {
		for k, v := range base.Params {
			if o.Params == nil {
				o.Params = engine.Params{}
			}
			if _, given := o.Params[k]; !given {
				o.Params[k] = v
			}
		}
	}
	return o
}

// options are base with everything given on the command line. It refuses a sampler parameter that the chosen sampler does
// not have.
func (f *optionFlags) options(base engine.Options) (engine.Options, error) {
	o := f.apply(base)
	return o, f.checkParams(&o)
}

// optionsFor are base with everything given on the command line for one sampler of several: it takes the parameters that
// it has.
func (f *optionFlags) optionsFor(base engine.Options, sampler string) engine.Options {
	if base.Sampler != sampler {
		base.Sampler, base.Params = sampler, nil
	}
	o := f.apply(base)
	e, err := sample.Find(sampler)
	if err != nil {
		return o
	}
	for name := range o.Params {
		if !slices.ContainsFunc(e.Params, func(p sample.Param) bool { return p.Name == name }) {
			delete(o.Params, name)
		}
	}
	return o
}

// checkParams refuses sampler parameters given on the command line that o's sampler does not have.
func (f *optionFlags) checkParams(o *engine.Options) error {
	row, err := sample.Find(o.Sampler)
	if err != nil {
		return nil // the session fills the task's default and checks it
	}
	for _, name := range slices.Sorted(maps.Keys(f.params)) {
		if !slices.ContainsFunc(row.Params, func(p sample.Param) bool { return p.Name == name }) {
			return usagef("--%s: the sampler %s has no such parameter", strings.ReplaceAll(name, "_", "-"), o.Sampler)
		}
	}
	return nil
}
