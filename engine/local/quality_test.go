package local

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"unmask/engine"
	"unmask/engine/cpu"
	"unmask/engine/tensor"
)

var (
	quality      = flag.String("quality", "", "folder of a checkpoint with world.json whose right answers are measured")
	qualityItems = flag.Int("quality-items", 12, "questions and pictures for each setting")
	qualityOnly  = flag.String("quality-only", "", "measure only settings whose name contains this")
)

// TestQuality measures, for a checkpoint of a closed world, how many answers are right and how many forward passes they
// take, by sampler and setting. It prints the table of docs/samplers.md and judges nothing; pictures are judged by what
// the model itself, asked with the exact setting, sees in them.
func TestQuality(t *testing.T) {
	if *quality == "" {
		t.Skip("-quality names no checkpoint")
	}
	s := New(Config{Backend: func(threads int) (tensor.Backend, error) { return cpu.New(cpu.Options{Threads: threads}) }})
	defer s.Close()
	spec, err := s.Load(t.Context(), engine.ModelRef{Path: *quality}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := readConcepts(t)
	for _, group := range []struct {
		name     string
		items    []qualityItem
		settings []qualitySetting
	}{
		{"facts", w.facts(*qualityItems), textSettings(spec.Defaults[engine.Chat])},
		{"sums", w.sums(*qualityItems), textSettings(spec.Defaults[engine.Chat])},
		{"pictures", w.pictures(*qualityItems), pictureSettings(spec.Defaults[engine.TextToImage])},
	} {
		fmt.Printf("\n| %s | passes | right | seconds |\n| --- | ---: | ---: | ---: |\n", group.name)
		for _, setting := range group.settings {
			if !strings.Contains(group.name+" "+setting.name, *qualityOnly) {
				continue
			}
			right, passes, took := 0, 0, time.Duration(0)
			for i, item := range group.items {
				ok, stats := ask(t, s, spec, item, setting.options, uint64(i))
				if ok {
					right++
				}
				passes, took = passes+stats.NFE, took+stats.Wall
			}
			n := float64(len(group.items))
			fmt.Printf("| %s | %.1f | %d of %d | %.2f |\n", setting.name, float64(passes)/n, right, len(group.items), took.Seconds()/n)
		}
	}
}

// qualityItem is a job with a right answer.
type qualityItem struct {
	task   engine.Task
	prompt string
	think  bool
	want   string
}

type qualitySetting struct {
	name    string
	options engine.Options
}

// finish runs a job to its end.
func finish(t *testing.T, s *Session, job engine.Job) *engine.Finished {
	t.Helper()
	var done *engine.Finished
	for ev, err := range s.Run(context.Background(), job) {
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := ev.(*engine.Finished); ok {
			done = f
		}
	}
	return done
}

// ask reports whether item comes out right with options o and the seed.
func ask(t *testing.T, s *Session, spec engine.Spec, item qualityItem, o engine.Options, seed uint64) (bool, engine.Stats) {
	t.Helper()
	o.Seed, o.Think, o.Previews = seed, item.think, false
	done := finish(t, s, engine.Job{Task: item.task, Messages: []engine.Message{{Role: "user", Text: item.prompt}}, Options: o})
	if item.task != engine.TextToImage {
		return done.Text == item.want, done.Stats
	}
	var img image.Image = done.Image
	look := spec.Defaults[engine.Describe]
	look.Sampler, look.Schedule, look.Params, look.Steps, look.Temperature = "low_confidence", "uniform", nil, look.Length, 0
	said := finish(t, s, engine.Job{Task: engine.Describe, Image: img, Options: look,
		Messages: []engine.Message{{Role: "user", Text: "Describe the picture."}}})
	return said.Text == item.want, done.Stats
}

// textSettings are the ways to answer that are compared.
func textSettings(base engine.Options) []qualitySetting {
	with := func(name string, change func(o *engine.Options)) qualitySetting {
		o := base
		o.Params, o.Sampler, o.Schedule, o.Temperature = nil, "low_confidence", "uniform", 0
		o.Steps = o.Length
		change(&o)
		return qualitySetting{name, o}
	}
	list := []qualitySetting{
		{"the model's own", base},
		with("low_confidence, one a step", func(*engine.Options) {}),
		with("low_confidence, two a step", func(o *engine.Options) { o.Steps = o.Length / 2 }),
		with("low_confidence, four a step", func(o *engine.Options) { o.Steps = o.Length / 4 }),
	}
	for _, bar := range []float64{0.95, 0.9, 0.8, 0.6} {
		list = append(list, with(fmt.Sprintf("threshold %g", bar), func(o *engine.Options) {
			o.Sampler, o.Params = "threshold", engine.Params{"threshold": bar}
		}))
	}
	return append(list,
		with("factor 1", func(o *engine.Options) { o.Sampler, o.Params = "factor", engine.Params{"factor": 1} }),
		with("entropy_bound 0.1", func(o *engine.Options) { o.Sampler, o.Params = "entropy_bound", engine.Params{"bound": 0.1} }),
		with("entropy_bound 0.5", func(o *engine.Options) { o.Sampler, o.Params = "entropy_bound", engine.Params{"bound": 0.5} }),
		with("edit 0.9, 0.9", func(o *engine.Options) { o.Sampler, o.Params = "edit", engine.Params{"threshold": 0.9, "edit": 0.9} }),
		with("threshold 0.9, dual cache, blocks of 8", func(o *engine.Options) {
			o.Sampler, o.Params, o.Cache, o.Block = "threshold", engine.Params{"threshold": 0.9}, engine.CacheDual, 8
		}),
		with("remdm 0.2, half the steps", func(o *engine.Options) { o.Sampler, o.Steps = "remdm", o.Length/2 }),
	)
}

// pictureSettings are the ways to draw that are compared.
func pictureSettings(base engine.Options) []qualitySetting {
	list := []qualitySetting{{"the model's own", base}}
	for _, steps := range []int{24, 12, 8, 6, 4} {
		o := base
		o.Steps, o.Sampler, o.Schedule, o.Params = steps, "maskgit", "cosine", engine.Params{"choice_temperature": 1}
		list = append(list, qualitySetting{fmt.Sprintf("maskgit, %d steps", steps), o})
	}
	for _, tau := range []float64{0, 4} {
		o := base
		o.Sampler, o.Schedule, o.Params, o.Steps = "maskgit", "cosine", engine.Params{"choice_temperature": tau}, 12
		list = append(list, qualitySetting{fmt.Sprintf("maskgit, 12 steps, choice temperature %g", tau), o})
	}
	for _, g := range []float64{0, 1.5, 5} {
		o := base
		o.Guidance, o.Steps = g, 12
		list = append(list, qualitySetting{fmt.Sprintf("own sampler, 12 steps, guidance %g", g), o})
	}
	o := base
	o.Sampler, o.Params, o.Schedule, o.Steps = "threshold", engine.Params{"threshold": 0.7, "at_least": 1}, "cosine", 12
	list = append(list, qualitySetting{"threshold 0.7, at least the quota of 12 steps", o})
	o.Sampler, o.Params = "remdm", nil
	return append(list, qualitySetting{"remdm, 12 steps", o})
}

// concepts is the part of world.json that questions are made of.
type concepts struct {
	Concepts []struct {
		Name, Article, Group, Colour string
	} `json:"concepts"`
	Backgrounds []struct{ Name string } `json:"backgrounds"`
	Groups      map[string]string       `json:"groups"`
}

func readConcepts(t *testing.T) concepts {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(*quality, worldFile))
	if err != nil {
		t.Fatal(err)
	}
	var w concepts
	if err := json.Unmarshal(data, &w); err != nil {
		t.Fatal(err)
	}
	if len(w.Concepts) == 0 || len(w.Backgrounds) == 0 {
		t.Fatalf("%s has %d concepts, %d backgrounds", worldFile, len(w.Concepts), len(w.Backgrounds))
	}
	return w
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func (w concepts) facts(n int) []qualityItem {
	var out []qualityItem
	for i := range n {
		c := w.Concepts[(i*7+3)%len(w.Concepts)]
		thing := c.Article + " " + c.Name
		item := qualityItem{engine.Chat, "What is " + thing + "?", false, capital(thing) + " is " + w.Groups[c.Group] + "."}
		if i%2 == 1 {
			item.prompt, item.want = "What colour is "+thing+"?", capital(thing)+" is "+c.Colour+"."
		}
		out = append(out, item)
	}
	return out
}

func (w concepts) sums(n int) []qualityItem {
	var out []qualityItem
	for i := range n {
		p, q := 11+(i*37)%88, 12+(i*53)%87
		out = append(out, qualityItem{engine.Chat, fmt.Sprintf("What is %d+%d?", p, q), true, fmt.Sprint(p + q)})
	}
	return out
}

func (w concepts) pictures(n int) []qualityItem {
	var out []qualityItem
	for i := range n {
		c, b := w.Concepts[(i*11+5)%len(w.Concepts)], w.Backgrounds[(i*3+1)%len(w.Backgrounds)]
		scene := fmt.Sprintf("%s %s on a %s background", c.Article, c.Name, b.Name)
		if i%2 == 1 { // two stickers
			other := w.Concepts[(i*17+2)%len(w.Concepts)]
			scene = fmt.Sprintf("%s %s and %s %s on a %s background", c.Article, c.Name, other.Article, other.Name, b.Name)
		}
		out = append(out, qualityItem{engine.TextToImage, scene, false, capital(scene) + "."})
	}
	return out
}
