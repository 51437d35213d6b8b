package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"unmask/assets"
	"unmask/engine"
	"unmask/engine/cpu"
	"unmask/engine/local"
	"unmask/engine/remote"
	"unmask/engine/tensor"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "engined" {
		os.Args = append(os.Args[:1], os.Args[2:]...)
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func worker(t *testing.T, onSocket bool, args ...string) *remote.Session {
	t.Helper()
	c := remote.Config{Command: append([]string{os.Args[0], "engined"}, args...), Socket: onSocket}
	s := remote.New(c)
	t.Cleanup(func() { s.Close() })
	return s
}

// TestEmbeddedModelAnswersTheSame compares the worker with a session in this process, event by event.
func TestEmbeddedModelAnswersTheSame(t *testing.T) {
	here := local.New(local.Config{Embedded: assets.Model(), Backend: func(n int) (tensor.Backend, error) { return cpu.New(cpu.Options{Threads: n}) }})
	t.Cleanup(func() { here.Close() })
	there := worker(t, false)
	want, err := here.Load(t.Context(), engine.ModelRef{Threads: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := there.Load(t.Context(), engine.ModelRef{Threads: 1}, nil)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("spec %+v, %v, want %+v", got, err, want)
	}
	for _, job := range []engine.Job{
		{Task: engine.Chat, Messages: []engine.Message{{Role: "user", Text: "What is 7+8?"}}, Options: engine.Options{Length: 16, Steps: 8, Alternatives: 2}},
		{Task: engine.TextToImage, Messages: []engine.Message{{Role: "user", Text: "a cat"}}, Options: engine.Options{Steps: 2, Seed: 5, Previews: true}},
	} {
		a, b := events(t, here, job), events(t, there, job)
		if len(a) < 3 || !reflect.DeepEqual(a, b) {
			t.Errorf("%s: %d events differ from %d", job.Task, len(b), len(a))
		}
	}
}

// events are the events of a run without times.
func events(t *testing.T, s engine.Session, job engine.Job) (all []engine.Event) {
	t.Helper()
	for ev, err := range s.Run(t.Context(), job) {
		if err != nil {
			t.Fatal(err)
		}
		switch e := ev.(type) {
		case engine.Step:
			e.Forward, e.Select = 0, 0
			ev = e
		case *engine.Finished:
			e.Stats.Wall, e.Stats.Forward, e.Stats.Select, e.Stats.Decode = 0, 0, 0, 0
		}
		all = append(all, ev)
	}
	return all
}

// TestTruncatedModel: a broken checkpoint is reported with its kind, and the worker goes on.
func TestTruncatedModel(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "model.safetensors"} {
		b, err := os.ReadFile(filepath.Join("..", "..", "assets", "tiny", name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "model.safetensors" {
			b = b[:len(b)/2]
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := worker(t, remote.HaveSocket, socketArgs()...)
	var broken *engine.FormatError
	if _, err := s.Load(t.Context(), engine.ModelRef{Path: dir}, nil); !errors.As(err, &broken) || errors.Is(err, engine.ErrWorkerLost) {
		t.Errorf("load: %v", err)
	}
	if i, err := s.Probe(t.Context()); err != nil || i.Device != "cpu" || i.Threads < 1 {
		t.Errorf("probe: %+v, %v", i, err)
	}
}

func socketArgs() []string {
	if remote.HaveSocket {
		return []string{"--fd", "3"}
	}
	return nil
}

// TestEndsWithItsClient: when nobody holds the other end any more, the process ends.
func TestEndsWithItsClient(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "engined")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	defer late.Stop()
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the worker ended with %v", err)
	}
}
