package local

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"

	"unmask/engine"
	"unmask/engine/weights"
)

// Settings where neither the job nor the model says otherwise.
const (
	defaultHole   = 1
	defaultAnswer = 128
)

// pictures are the settings of the published scripts for drawing and for editing.
func pictures(s engine.Spec) (draw, edit engine.Options) {
	draw = engine.Options{Steps: 15, Schedule: "cosine", Sampler: "maskgit", Params: engine.Params{"choice_temperature": 1},
		Temperature: 1, Guidance: 3.5, Cache: engine.CacheNone, Previews: true}
	if s.Family == "lumina-dimoo" { // config.py and the scripts
		draw.Steps, draw.Guidance, draw.Params = 64, 4, engine.Params{"choice_temperature": 1, "anneal": 2}
	}
	edit = draw
	edit.Guidance, edit.GuidanceImage = 2.5, 4
	return draw, edit
}

// defaults are the settings of the published scripts, shortened where the model has less room.
func defaults(s engine.Spec) map[engine.Task]engine.Options {
	length := max(1, min(defaultAnswer, s.MaxLen/2))
	text := engine.Options{Length: length, Steps: length, Block: min(32, length), Schedule: "uniform", Sampler: "low_confidence",
		Cache: engine.CacheNone, StopAtEnd: true, HoleLength: defaultHole}
	if s.Block > 0 {
		// A block-diffusion model sees nothing beyond the block, so reuse of keys and values is exact.
		text.Block, text.Cache = min(s.Block, length), engine.CacheDual
	}
	switch s.Family {
	case "dream": // the README's demonstration; blocks are not native to it
		text.Sampler, text.Block, text.Temperature, text.TopP = "entropy", 0, 0.2, 0.95
	case "llada-v": // the README's demonstration
		text.Block, text.Cache = 0, engine.CacheLazy
	case "lavida", "lavida-dream": // the README's demonstration; the prompt's cache is exact
		text.Length = min(64, length)
		text.Steps, text.Block, text.Schedule, text.Cache = max(1, text.Length/2), 0, "shift", engine.CachePrefix
		if s.Family == "lavida-dream" {
			text.Sampler = "margin"
		}
	case "lumina-dimoo": // inference_mmu.py
		text.Length = min(1024, max(1, s.MaxLen/2))
		text.Steps, text.Block = max(1, text.Length/8), min(256, text.Length)
	case "mdlm": // their own samplers draw from the model as it is
		text.Sampler, text.Temperature = "ancestral", 1
	case "bd3lm":
		text.Sampler, text.Temperature = "random", 1
	case "llada2": // the serving recommendation
		text.Sampler, text.Params = "threshold", engine.Params{"threshold": 0.95, "at_least": 1}
	}
	hole := text
	hole.Length, hole.Steps, hole.Block, hole.StopAtEnd, hole.BanEnd = 0, 64, 0, false, true
	if !s.Can(engine.Chat) {
		hole.Length = min(length, 32) // of what follows a text without holes
	}
	switch s.Process {
	case "spindle": // the script's temperature and top-k, in fewer passes than its 1024
		hole.Sampler, hole.Temperature, hole.TopK = "spindle", 0.1, 30
	case "embedding": // the README's steps are 2000, or 200
		hole.Sampler, hole.Steps, hole.Cache = "embedding", 200, engine.CacheNone
	}
	describe := text
	if s.Family != "llada-v" && s.Family != "lumina-dimoo" {
		describe.Length = max(1, min(64, length))
		describe.Steps = max(1, text.Steps*describe.Length/text.Length)
	}
	picture, edit := pictures(s)
	all := map[engine.Task]engine.Options{
		engine.Chat: text, engine.Infill: hole, engine.Describe: describe,
		engine.TextToImage: picture, engine.Inpaint: picture, engine.Outpaint: picture, engine.EditImage: edit, engine.Joint: picture,
	}
	for t := range all {
		if !s.Can(t) {
			delete(all, t)
		}
	}
	return all
}

// examples are prompts for models that bring none.
func examples(s engine.Spec) map[engine.Task][]string {
	all := map[engine.Task][]string{
		engine.Chat:        {"What is the capital of France?", "Write a haiku about snow.", "Why is the sky blue?"},
		engine.Infill:      {"The best thing about ___ is ___.", "Roses are red, ___{8}."},
		engine.TextToImage: {"a red cat on a wooden table", "a lighthouse at night", "a bowl of fruit, oil painting"},
		engine.Inpaint:     {"a straw hat", "a full moon"},
		engine.Outpaint:    {"a wide beach"},
		engine.EditImage:   {"make it blue", "turn it into a watercolour"},
		engine.Joint:       {"a ___ on a wooden table"},
		engine.Describe:    {"Please describe this image in detail.", "What is in the foreground?"},
	}
	for t := range all {
		if !s.Can(t) {
			delete(all, t)
		}
	}
	return all
}

// worldFile is the file beside the weights in which a checkpoint says what it can do.
const worldFile = "world.json"

// world is world.json as far as it is read. Keys of Examples and Settings are names of tasks or one of worldNames; values
// of Settings have the fields of engine.Options and replace only what they name.
type world struct {
	Name     string                     `json:"name"`
	Examples map[string][]string        `json:"examples"`
	Settings map[string]json.RawMessage `json:"settings"`
}

// worldNames are short names of tasks, in the order in which their examples are joined.
var worldNames = []struct {
	name  string
	tasks []engine.Task
}{
	{"chat", []engine.Task{engine.Chat}},
	{"sums", []engine.Task{engine.Chat}},
	{"infill", []engine.Task{engine.Infill}},
	{"draw", []engine.Task{engine.TextToImage, engine.Inpaint, engine.Outpaint, engine.Joint}},
	{"text_to_image", []engine.Task{engine.TextToImage}},
	{"inpaint", []engine.Task{engine.Inpaint}},
	{"outpaint", []engine.Task{engine.Outpaint}},
	{"edit", []engine.Task{engine.EditImage}},
	{"joint", []engine.Task{engine.Joint}},
	{"describe", []engine.Task{engine.Describe}},
}

// readWorld lets world.json, where there is one, replace name, examples and defaults.
func readWorld(set *weights.Set, spec *engine.Spec) error {
	data, err := set.File(worldFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	bad := func(item string, err error) error {
		return &engine.FormatError{Format: worldFile, Path: set.Path(), Item: item, Err: err}
	}
	var w world
	if err := json.Unmarshal(data, &w); err != nil {
		return bad("", err)
	}
	if w.Name != "" {
		spec.Name = w.Name
	}
	told := map[engine.Task][]string{}
	for _, n := range worldNames {
		for _, t := range n.tasks {
			if spec.Can(t) && len(w.Examples[n.name]) > 0 {
				told[t] = append(told[t], w.Examples[n.name]...)
			}
			// The settings of sums are those of chats that think.
			if raw, ok := w.Settings[n.name]; ok && n.name != "sums" && spec.Can(t) {
				o := spec.Defaults[t]
				o.Params = maps.Clone(o.Params)
				named := struct {
					*engine.Options
					Answer int `json:"answer_length"` // world.json's word for Length
				}{Options: &o}
				if err := json.Unmarshal(raw, &named); err != nil {
					return bad("settings."+n.name, err)
				}
				if named.Answer > 0 {
					o.Length = named.Answer
				}
				spec.Defaults[t] = o
			}
		}
	}
	for t, list := range told {
		spec.Examples[t] = list
	}
	// What a checkpoint recommends must be what a job may ask.
	for t := range spec.Defaults {
		job := engine.Job{Task: t, Options: spec.Defaults[t]}
		if err := fill(&job, *spec); err != nil {
			return bad("settings", err)
		}
	}
	return nil
}
