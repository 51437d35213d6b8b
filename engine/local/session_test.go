package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"unmask/engine"
)

func TestStop(t *testing.T) {
	s, _ := loaded(t)
	job := engine.Job{Task: engine.Chat, Messages: user("Hi"), Options: engine.Options{Length: 32, Steps: 32}}
	for n := range 5 { // the caller stops
		got := 0
		for _, err := range s.Run(t.Context(), job) {
			if err != nil {
				t.Fatal(err)
			}
			if got++; got > n {
				break
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	steps := 0
	var last error
	for ev, err := range s.Run(ctx, job) {
		if _, ok := ev.(engine.Step); ok {
			if steps++; steps == 3 {
				cancel()
			}
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) || steps != 3 {
		t.Errorf("%d steps, then %v", steps, last)
	}
	for _, err := range s.Run(ctx, job) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled start: %v", err)
		}
	}
}

func TestSecondRunWaits(t *testing.T) {
	s, _ := loaded(t)
	job := engine.Job{Task: engine.Chat, Messages: user("Hi"), Options: engine.Options{Length: 8}}
	done := make(chan error, 1)
	started := false
	for range s.Run(t.Context(), job) {
		if !started {
			started = true
			go func() { // received from done below
				var last error
				for _, err := range s.Run(context.Background(), job) {
					last = err
				}
				done <- last
			}()
		}
		select {
		case <-done:
			t.Error("the second run ended during the first")
		default:
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// broken panics in its second pass.
type broken struct {
	engine.Denoiser
	calls int
}

func (b *broken) Forward(ctx context.Context, in engine.Input) (engine.Logits, error) {
	if b.calls++; b.calls == 2 {
		panic("a bug")
	}
	return b.Denoiser.Forward(ctx, in)
}

func TestPanic(t *testing.T) {
	s, spec := loaded(t)
	job := engine.Job{Task: engine.Chat, Messages: user("Hi"), Options: engine.Options{Length: 8, Steps: 8}}
	good := s.model.denoiser
	s.model.denoiser = &broken{Denoiser: good}
	var last error
	for _, err := range s.Run(t.Context(), job) {
		last = err
	}
	var p *engine.PanicError
	if !errors.As(last, &p) || p.Value != "a bug" || !strings.Contains(string(p.Stack), "Forward") {
		t.Errorf("error %v", last)
	}
	s.model.denoiser = good
	collect(t, s, job).laws(t, spec)
	defer func() {
		if r := recover(); r != "the caller's" {
			t.Errorf("recovered %v", r)
		}
		collect(t, s, job).laws(t, spec) // the turn was given back
	}()
	for range s.Run(t.Context(), job) {
		panic("the caller's")
	}
}

func TestLoad(t *testing.T) {
	s := session(t, nil)
	for _, err := range s.Run(t.Context(), engine.Job{Task: engine.Chat, Messages: user("x")}) {
		if !errors.Is(err, engine.ErrNoModel) {
			t.Errorf("run without a model: %v", err)
		}
	}
	if _, err := s.Load(t.Context(), engine.ModelRef{}, nil); !errors.Is(err, engine.ErrNoModel) {
		t.Errorf("no embedded model: %v", err)
	}
	var last, all int64
	spec, err := s.Load(t.Context(), engine.ModelRef{Path: filepath.Join(golden, "llada_gqa"), DType: "f32"}, func(done, total int64) { last, all = done, total })
	if err != nil {
		t.Fatal(err)
	}
	if spec.Can(engine.TextToImage) || last != all || all == 0 || spec.Defaults[engine.Chat].Sampler == "" || len(spec.Examples[engine.Chat]) == 0 {
		t.Errorf("spec %+v after %d of %d bytes", spec, last, all)
	}
	if _, err := s.Load(t.Context(), engine.ModelRef{Path: filepath.Join(golden, "absent")}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent folder: %v", err)
	}
	collect(t, s, engine.Job{Task: engine.Chat, Messages: user("Hi"), Options: engine.Options{Length: 8, Cache: engine.CacheDual, Block: 4}}).laws(t, spec)
}

// TestEveryFormat runs a model from a GGUF file and one that an adapter changes.
func TestEveryFormat(t *testing.T) {
	root := t.TempDir()
	for from, to := range map[string]string{"llada": "LLaDA-8B-Instruct", "d1/adapter_sft": "sft"} {
		if err := os.CopyFS(filepath.Join(root, to), os.DirFS(filepath.Join(golden, filepath.FromSlash(from)))); err != nil {
			t.Fatal(err)
		}
	}
	s := session(t, nil)
	job := engine.Job{Task: engine.Chat, Messages: user("the"), Options: engine.Options{Length: 8, Steps: 4}}
	var answers [][]engine.Token
	for _, path := range []string{filepath.Join("..", "weights", "testdata", "small.gguf"), filepath.Join(root, "LLaDA-8B-Instruct"), filepath.Join(root, "sft")} {
		spec, err := s.Load(t.Context(), engine.ModelRef{Path: path, DType: "f32"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := collect(t, s, job)
		c.laws(t, spec)
		answers = append(answers, c.finished.Sequence.Tokens)
	}
	if slices.Equal(answers[1], answers[2]) {
		t.Error("the adapter changes nothing")
	}
}
