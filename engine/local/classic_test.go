package local

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"unmask/engine"
)

// TestModelsThatDoNotChat fills holes with the families of text alone, which know no turns: their text stands between the
// tokens of training, and chats are refused.
func TestModelsThatDoNotChat(t *testing.T) {
	for _, c := range []struct{ dir, family, first string }{
		{"mdlm", "mdlm", "<|endoftext|>"}, {"bd3lm", "bd3lm", "<|endoftext|>"},
		{"diffusionbert", "diffusionbert", "[CLS]"}, {"diffusionbert_layerwise", "diffusionbert", "[CLS]"},
	} {
		t.Run(c.dir, func(t *testing.T) {
			s := session(t, nil)
			spec, err := s.Load(t.Context(), engine.ModelRef{Path: filepath.Join(golden, c.dir), DType: "f32"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if spec.Family != c.family || spec.Can(engine.Chat) || !spec.Can(engine.Infill) {
				t.Errorf("family %q, tasks %v", spec.Family, spec.Tasks)
			}
			run := collect(t, s, engine.Job{Task: engine.Infill, Messages: user("a ___{3} b"), Options: engine.Options{Seed: 3}})
			run.laws(t, spec)
			changed := 0
			for _, step := range run.steps {
				changed += len(step.Changes)
			}
			first := run.started.Sequence
			id, ok := s.model.tok.Special(c.first)
			if changed < 3 || !ok || first.Tokens[0] != id || !first.Fixed[0] {
				t.Errorf("%d changes; the text begins with %d, want %s", changed, first.Tokens[0], c.first)
			}
			for _, err := range s.Run(t.Context(), engine.Job{Task: engine.Chat, Messages: user("Hi")}) {
				if err == nil {
					t.Error("it chats")
				}
				break
			}
		})
	}
}

// TestOwnProcesses runs DiffusionBERT and Diffusion-LM by their own processes: every step is a change to watch, the run ends
// without a mask, and a text without holes goes on.
func TestOwnProcesses(t *testing.T) {
	for _, c := range []struct {
		dir, process string
		prompt       string
		options      engine.Options
		steps        int
		fixed        int // positions that are not to be written
	}{
		{"diffusionbert", "spindle", "can run ___{4} hours", engine.Options{Seed: 2, Steps: 32}, 32, 5},
		{"diffusionbert_layerwise", "spindle", "can run", engine.Options{Seed: 2, Steps: 16, Length: 6}, 16, 4},
		{"diffusion-lm", "embedding", "the quick ___{2} fox .", engine.Options{Seed: 2, Steps: 12}, 12, 0},
		{"diffusion-lm", "embedding", "the quick ___", engine.Options{Seed: 2, Steps: 12, Params: engine.Params{"step": 1}}, 12, 3},
		{"diffusion-lm", "embedding", "___", engine.Options{Seed: 2}, 12, 0},
	} {
		t.Run(c.dir+"/"+c.prompt, func(t *testing.T) {
			s := session(t, nil)
			spec, err := s.Load(t.Context(), engine.ModelRef{Path: filepath.Join(golden, c.dir), DType: "f32"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if spec.Process != c.process || spec.Defaults[engine.Infill].Sampler != c.process {
				t.Fatalf("process %q, default sampler %q, want %q", spec.Process, spec.Defaults[engine.Infill].Sampler, c.process)
			}
			run := collect(t, s, engine.Job{Task: engine.Infill, Messages: user(c.prompt), Options: c.options})
			if c.options.Steps > 0 && (len(run.steps) != c.steps || run.started.Steps != c.steps) {
				t.Errorf("%d steps, %d planned, want %d", len(run.steps), run.started.Steps, c.steps)
			}
			seq, fixed := run.started.Sequence.Clone(), 0
			for i, f := range seq.Fixed {
				if f {
					fixed++
				} else if seq.Tokens[i] != spec.Mask {
					t.Errorf("position %d is free and holds %d before the run", i, seq.Tokens[i])
				}
			}
			if c.fixed > 0 && fixed != c.fixed {
				t.Errorf("%d positions are fixed, want %d", fixed, c.fixed)
			}
			for _, step := range run.steps {
				for _, ch := range step.Changes {
					if seq.Fixed[ch.Pos] || ch.From != seq.Tokens[ch.Pos] || !(ch.Prob >= 0 && ch.Prob <= 1.0001) {
						t.Errorf("step %d: change %+v at a position with %d, fixed %t", step.Index, ch, seq.Tokens[ch.Pos], seq.Fixed[ch.Pos])
					}
				}
				seq.Apply(step.Changes)
			}
			for i, id := range seq.Tokens {
				if id == spec.Mask {
					t.Errorf("position %d is a mask at the end", i)
				}
			}
			for _, p := range engine.Presets(spec, engine.Infill) {
				job := engine.Job{Task: engine.Infill, Options: p.Options}
				if err := fill(&job, spec); err != nil {
					t.Errorf("preset %s: %v", p.Name, err)
				}
			}
		})
	}
}

// TestForeignProcess: a model refuses the process of another, and one that denoises embeddings every sampler of the masked
// loop.
func TestForeignProcess(t *testing.T) {
	for _, c := range []struct{ dir, sampler string }{{"diffusion-lm", "low_confidence"}, {"diffusion-lm", "spindle"}, {"mdlm", "spindle"}, {"diffusionbert", "embedding"}} {
		s := session(t, nil)
		if _, err := s.Load(t.Context(), engine.ModelRef{Path: filepath.Join(golden, c.dir)}, nil); err != nil {
			t.Fatal(err)
		}
		for _, err := range s.Run(t.Context(), engine.Job{Task: engine.Infill, Messages: user("a ___ b"), Options: engine.Options{Sampler: c.sampler}}) {
			if !errors.Is(err, engine.ErrUnsupported) || !strings.Contains(err.Error(), c.sampler) {
				t.Errorf("%s with %s: %v", c.dir, c.sampler, err)
			}
			break
		}
	}
}

// TestWantedWords steers Diffusion-LM towards words; words that it does not have, and models that are not steered, are named.
func TestWantedWords(t *testing.T) {
	s := session(t, nil)
	if _, err := s.Load(t.Context(), engine.ModelRef{Path: filepath.Join(golden, "diffusion-lm"), DType: "f32"}, nil); err != nil {
		t.Fatal(err)
	}
	// The network's weights are random: it follows no classifier to a word. That one steers is seen in what it predicts.
	texts := func(want ...string) (out []string) {
		for seed := range uint64(4) {
			job := engine.Job{Task: engine.Infill, Messages: user("the quick ___{3} ."), Options: engine.Options{Seed: seed, Steps: 40, WantWords: want}}
			out = append(out, collect(t, s, job).finished.Text)
		}
		return out
	}
	plain, fox, dog := texts(), texts("fox"), texts("dog")
	if slices.Equal(plain, fox) || slices.Equal(fox, dog) {
		t.Errorf("a wanted word changes nothing: %q, %q, %q", plain, fox, dog)
	}
	if again := texts("fox"); !slices.Equal(fox, again) {
		t.Errorf("the same seeds give %q, then %q", fox, again)
	}
	var unsupported *engine.UnsupportedError
	for _, err := range s.Run(t.Context(), engine.Job{Task: engine.Infill, Messages: user("the ___"), Options: engine.Options{BanWords: []string{"fox"}}}) {
		if err != nil && !errors.As(err, &unsupported) {
			t.Errorf("banned words: %v", err)
		}
	}
	if unsupported == nil {
		t.Error("banned words are passed over in silence")
	}
	for _, c := range []struct{ dir, want string }{{"diffusion-lm", "zyzzyva"}, {"llada", "a"}} {
		if _, err := s.Load(t.Context(), engine.ModelRef{Path: filepath.Join(golden, c.dir), DType: "f32"}, nil); err != nil {
			t.Fatal(err)
		}
		var input *engine.InputError
		for _, err := range s.Run(t.Context(), engine.Job{Task: engine.Infill, Messages: user("the ___"), Options: engine.Options{WantWords: []string{c.want}}}) {
			if !errors.As(err, &input) || input.Item != "wanted words" {
				t.Errorf("%s: %v", c.dir, err)
			}
			break
		}
	}
}
