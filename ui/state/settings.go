package state

import (
	"maps"
	"math"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/sample"
	"unmask/engine/schedule"
)

// Kind is how a [Setting] is set.
type Kind uint8

// The kinds of setting.
const (
	Slide  Kind = iota // a number in [Min, Max]
	Choose             // one of Choices; Value is its index
	Switch             // 0 or 1
)

// Setting is a row of the settings of a run. Sampler and schedule come first; the sampler's own parameters follow the
// general ones and are called "params.NAME".
type Setting struct {
	Name    string // as in [Changed]
	Title   string
	Doc     string // one sentence
	More    string // the formula and the paper
	Kind    Kind
	Min     float64
	Max     float64
	Step    float64 // 0: continuous
	Choices []string
	Value   float64
}

// number is a row of the table of numeric options.
type number struct {
	name, title, doc, more string
	min, max, step         float64
	applies                int // textOnly, pictureOnly or both
	get                    func(*engine.Options) float64
	set                    func(*engine.Options, float64)
}

const (
	both = iota
	textOnly
	pictureOnly
)

// numbers are the numeric options in the order of the interface. max is a bound for every model; Settings lowers it.
var numbers = []number{
	{"steps", "Steps", "Forward passes over the whole answer: more are slower and usually better.", "", 1, 256, 1, both,
		func(o *engine.Options) float64 { return float64(o.Steps) }, func(o *engine.Options, v float64) { o.Steps = int(v) }},
	{"length", "Answer length", "How many masks the answer starts from.", "", 1, 1024, 1, textOnly,
		func(o *engine.Options) float64 { return float64(o.Length) }, func(o *engine.Options, v float64) { o.Length = int(v) }},
	{"block", "Block length", "A block is finished before the next begins; the answer length means one block.", "Semi-autoregressive blocks, arXiv:2502.09992", 1, 1024, 1, textOnly,
		func(o *engine.Options) float64 { return float64(blockOf(o)) }, func(o *engine.Options, v float64) { o.Block = int(v) }},
	{"temperature", "Temperature", "Noise in the choice of tokens; 0 takes the most probable.", "argmax(logit + T·Gumbel)", 0, 2, 0.05, both,
		func(o *engine.Options) float64 { return o.Temperature }, func(o *engine.Options, v float64) { o.Temperature = v }},
	{"top_p", "Top p", "Only the most probable tokens whose probabilities add up to this are drawn; 0 is off.", "", 0, 1, 0.01, both,
		func(o *engine.Options) float64 { return o.TopP }, func(o *engine.Options, v float64) { o.TopP = v }},
	{"guidance", "Guidance", "How much the prompt counts; 0 is off, and every pass counts two otherwise.", "uncond + (1+g)·(cond − uncond)", 0, 10, 0.1, both,
		func(o *engine.Options) float64 { return o.Guidance }, func(o *engine.Options, v float64) { o.Guidance = v }},
	{"end_penalty", "End penalty", "Makes end tokens come later, so that answers are longer.", "subtracted from the log-probability of end tokens", 0, 20, 0.5, textOnly,
		func(o *engine.Options) float64 { return o.EndPenalty }, func(o *engine.Options, v float64) { o.EndPenalty = v }},
}

// masksOnly are the numbers that a model without a mask has no use for.
var masksOnly = []string{"temperature", "guidance", "end_penalty"}

func blockOf(o *engine.Options) int {
	if o.Block <= 0 {
		return max(o.Length, 1)
	}
	return o.Block
}

var (
	caches     = []engine.CacheMode{engine.CacheNone, engine.CachePrefix, engine.CacheDual, engine.CacheLazy}
	cacheNames = []string{"Nothing", "Prefix", "Prefix and suffix", "What changes least"}
)

// reuse are the names of the caches that a model can use: its own layers can be kept where attention is full.
func reuse(spec engine.Spec) []string {
	if spec.Block > 0 || spec.PromptFirst {
		return cacheNames[:3]
	}
	return cacheNames
}

// Settings are the rows for a task of a model with the values of o.
func Settings(spec engine.Spec, task engine.Task, o engine.Options) []Setting {
	picture := isPicture(task)
	out := []Setting{samplerRow(spec, o)}
	noise := spec.Mask < 0 // canvases of noise: the process has temperatures of its own, nothing to guide and no masks to count
	own := !noise && spec.Process != "" && o.Sampler == spec.Process
	if !noise && !own {
		out = append(out, scheduleRow(o))
	}
	for _, n := range numbers {
		if n.applies == textOnly && picture || n.applies == pictureOnly && !picture || noise && slices.Contains(masksOnly, n.name) ||
			own && !slices.Contains(ownNumbers[spec.Process], n.name) {
			continue
		}
		s := Setting{Name: n.name, Title: n.title, Doc: n.doc, More: n.more, Min: n.min, Max: n.max, Step: n.step, Value: n.get(&o)}
		s.Max = upper(spec, task, n.name, s.Max)
		s.Max = max(s.Max, s.Value)
		out = append(out, s)
	}
	if e, err := sample.Find(o.Sampler); err == nil {
		for _, p := range e.Params {
			out = append(out, paramRow(p, o))
		}
	}
	if !picture && !noise && !own {
		out = append(out, Setting{
			Name: "cache", Title: "Reuse", Doc: "Serves keys and values outside the block from memory: faster, not exact.", More: "Fast-dLLM, arXiv:2505.22618; dLLM-Cache, arXiv:2506.06295",
			Kind: Choose, Choices: reuse(spec), Value: float64(max(0, slices.Index(caches, o.Cache))),
		})
	}
	if !picture {
		out = append(out, flag("stop_at_end", "Stop at end", "Ends the run once the answer has ended.", o.StopAtEnd),
			flag("ban_end", "Fixed length", "The answer fills every position: end tokens are never chosen.", o.BanEnd))
		if task == engine.Infill {
			out = append(out, Setting{Name: "hole_length", Title: "Hole length", Doc: "How many masks ___ stands for; ___{5} says it for one hole.", Min: 1, Max: max(32, float64(o.HoleLength)), Step: 1, Value: float64(max(o.HoleLength, 1))})
		}
		if spec.ThinkStyle != "" {
			out = append(out, flag("think", "Think first", "Asks for reasoning before the answer; it is shown folded.", o.Think))
		}
	}
	return append(out, flag("watch", "Keep every candidate", "Keeps what the model believed of every position in every step, for the inspector; runs take more room.", o.Watch))
}

func flag(name, title, doc string, on bool) Setting {
	s := Setting{Name: name, Title: title, Doc: doc, Kind: Switch, Max: 1, Step: 1}
	if on {
		s.Value = 1
	}
	return s
}

// upper is the largest sensible value of a number for the model.
func upper(spec engine.Spec, task engine.Task, name string, most float64) float64 {
	switch {
	case isPicture(task) && name == "steps":
		if spec.Image != nil {
			return math.Min(64, float64(spec.Image.Grid.Cols*spec.Image.Grid.Rows))
		}
	case spec.Process != "" && name == "steps":
		return 2048
	case spec.MaxLen > 0 && (name == "length" || name == "block" || name == "steps"):
		return math.Min(most, float64(max(spec.MaxLen/2, 1)))
	}
	return most
}

// ownNumbers are the numbers that a model's own process uses.
var ownNumbers = map[string][]string{"spindle": {"steps", "length", "temperature"}, "embedding": {"steps"}}

func samplerRow(spec engine.Spec, o engine.Options) Setting {
	s := Setting{Name: "sampler", Title: "Sampler", Kind: Choose}
	for i, e := range sample.For(spec) {
		s.Choices = append(s.Choices, e.Title)
		if e.Name == o.Sampler {
			s.Value, s.Doc, s.More = float64(i), e.Doc, e.Paper
		}
	}
	return s
}

func scheduleRow(o engine.Options) Setting {
	s := Setting{Name: "schedule", Title: "Schedule", Kind: Choose}
	for i, e := range schedule.All {
		s.Choices = append(s.Choices, e.Title)
		if e.Name == o.Schedule {
			s.Value, s.Doc, s.More = float64(i), e.Doc, e.Paper
		}
	}
	return s
}

func paramRow(p sample.Param, o engine.Options) Setting {
	s := Setting{Name: "params." + p.Name, Title: p.Title, Doc: p.Doc, More: p.More, Min: p.Min, Max: p.Max, Step: p.Step, Value: p.Default}
	if v, ok := o.Params[p.Name]; ok {
		s.Value = v
	}
	switch {
	case p.Choices != nil:
		s.Kind, s.Choices = Choose, p.Choices
	case p.Step == 0:
		s.Step = stepFor(p.Max - p.Min)
	}
	return s
}

// stepFor is a step that a slider over a range can be set to by hand.
func stepFor(width float64) float64 {
	switch {
	case width <= 1:
		return 0.01
	case width <= 5:
		return 0.05
	default:
		return 0.1
	}
}

// Put returns o with the setting called name at v, clamped to its range. A new sampler starts with its own defaults.
func Put(spec engine.Spec, task engine.Task, o engine.Options, name string, v float64) engine.Options {
	rows := Settings(spec, task, o)
	i := slices.IndexFunc(rows, func(s Setting) bool { return s.Name == name })
	if i < 0 || math.IsNaN(v) {
		return o
	}
	r := rows[i]
	if r.Kind == Choose {
		r.Min, r.Max = 0, float64(len(r.Choices)-1)
	}
	v = min(max(v, r.Min), r.Max)
	switch name {
	case "sampler":
		if e := sample.For(spec)[int(v)]; e.Name != o.Sampler {
			o.Sampler, o.Params = e.Name, nil
		}
	case "schedule":
		o.Schedule = schedule.All[int(v)].Name
	case "cache":
		o.Cache = caches[int(v)]
	case "stop_at_end":
		o.StopAtEnd = v > 0
	case "think":
		o.Think = v > 0
	case "ban_end":
		o.BanEnd = v > 0
	case "hole_length":
		o.HoleLength = int(v)
	case "watch":
		o.Watch = v > 0
	default:
		if param, ok := strings.CutPrefix(name, "params."); ok {
			o.Params = maps.Clone(o.Params)
			if o.Params == nil {
				o.Params = engine.Params{}
			}
			o.Params[param] = v
			break
		}
		for _, n := range numbers {
			if n.name == name {
				n.set(&o, v)
			}
		}
	}
	return o
}

// SamplerTitle is the title of a sampler for people; its name where the table has none.
func SamplerTitle(name string) string {
	if e, err := sample.Find(name); err == nil {
		return e.Title
	}
	return name
}

// Summary writes what a run was made with: "low confidence, 48 steps, block 32".
func Summary(task engine.Task, o engine.Options) string {
	s := strings.ToLower(SamplerTitle(o.Sampler))
	if s == "maskgit" {
		s = "MaskGIT"
	}
	s += ", " + Plural(o.Steps, "step")
	if !isPicture(task) && o.Block > 0 && o.Block < o.Length {
		s += ", block " + trimInt(o.Block)
	}
	return s
}

// FourSamplers are the columns of a comparison of samplers under the settings o of a task; of presets, where the model runs
// by its own process alone.
func FourSamplers(spec engine.Spec, task engine.Task, o engine.Options) []Column {
	can := sample.For(spec)
	if len(can) == 1 {
		var out []Column
		for _, p := range engine.Presets(spec, task) {
			out = append(out, Column{Title: p.Title, Options: p.Options})
		}
		return out
	}
	names := []string{"low_confidence", "margin", "threshold", "random"}
	if isPicture(task) {
		names = []string{"maskgit", "low_confidence", "entropy", "random"}
	}
	var out []Column
	for _, n := range names {
		i := slices.IndexFunc(can, func(e sample.Entry) bool { return e.Name == n })
		if i < 0 {
			continue
		}
		c := Put(spec, task, o, "sampler", float64(i))
		out = append(out, Column{Title: can[i].Title, Options: c})
	}
	return out
}

// ThreeSteps are the columns of a comparison of half, the same and twice the steps of o.
func ThreeSteps(spec engine.Spec, task engine.Task, o engine.Options) []Column {
	var out []Column
	for _, n := range []int{max(1, o.Steps/2), o.Steps, 2 * o.Steps} {
		c := Put(spec, task, o, "steps", float64(n))
		out = append(out, Column{Title: Plural(c.Steps, "step"), Options: c})
	}
	return out
}
