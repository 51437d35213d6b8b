package remote

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"reflect"
	"strings"
	"testing"
	"time"

	"unmask/engine"
	"unmask/engine/enginetest"
)

func hello1(text string) engine.Job {
	return engine.Job{ID: "a", Task: engine.Chat, Messages: []engine.Message{{Role: "user", Text: text}}, Options: engine.Options{Steps: 8, Seed: 3}}
}

// still drops what differs between two runs of one job: times.
func still(ev engine.Event) engine.Event {
	switch ev := ev.(type) {
	case engine.Step:
		ev.Forward, ev.Select = 0, 0
		return ev
	case *engine.Finished:
		f := *ev
		f.Stats = engine.Stats{Steps: f.Stats.Steps, NFE: f.Stats.NFE, Tokens: f.Stats.Tokens}
		return &f
	}
	return ev
}

func collect(t testing.TB, s engine.Session, job engine.Job) (all []engine.Event, last error) {
	t.Helper()
	for ev, err := range s.Run(t.Context(), job) {
		if err != nil {
			last = err
			continue
		}
		if last != nil {
			t.Errorf("event %T after the error %v", ev, last)
		}
		all = append(all, still(ev))
	}
	return all, last
}

// jobs has one job a task, with pictures of several types.
func jobs() []engine.Job {
	mask := image.NewAlpha(image.Rect(-8, 4, 72, 84))
	for i := range 900 {
		mask.SetAlpha(i%30, 10+i/30, color.Alpha{A: 255})
	}
	grey := image.NewGray16(image.Rect(-8, 4, 72, 84))
	for i := range grey.Pix {
		grey.Pix[i] = byte(i * 7)
	}
	big := image.NewNRGBA(image.Rect(0, 0, 100, 100))
	for i := range big.Pix {
		big.Pix[i] = byte(i * 13)
	}
	part := big.SubImage(image.Rect(10, 20, 74, 84)) // its rows have gaps between them
	var all []engine.Job
	for _, task := range engine.Tasks {
		j := engine.Job{ID: string(task), Task: task, Messages: []engine.Message{{Role: "user", Text: "a red boat \xff\xfe"}}}
		j.Options = engine.Options{Previews: true, Seed: 1<<63 + 5, Params: engine.Params{"threshold": 0.1}, Ban: []engine.Token{7}}
		switch task {
		case engine.Inpaint:
			j.Image, j.Mask = grey, mask
		case engine.EditImage:
			j.Image = grey
		case engine.Outpaint:
			j.Image, j.Frame = part, image.Rect(0, 0, 90, 90)
		case engine.Describe, engine.Chat:
			j.Image = part
			j.Messages = append(j.Messages, engine.Message{Role: "assistant", Text: "A boat."}, engine.Message{Role: "user", Text: "And this?", Image: grey})
		}
		all = append(all, j)
	}
	return all
}

// TestEventsAreTheSame compares a worker with the session that it serves, over a socket and over pipes, two rounds each.
func TestEventsAreTheSame(t *testing.T) {
	direct := &enginetest.Session{}
	if _, err := direct.Load(t.Context(), engine.ModelRef{}, nil); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"serve", "socket-serve", "banner"} {
		t.Run(mode, func(t *testing.T) {
			s := open(t, nil, mode)
			var done, total []int64
			spec, err := s.Load(t.Context(), engine.ModelRef{}, func(d, n int64) { done, total = append(done, d), append(total, n) })
			if err != nil || !reflect.DeepEqual(spec, enginetest.Spec()) {
				t.Fatalf("load: %v, %+v", err, spec)
			}
			if n := len(done); n == 0 || done[n-1] != total[n-1] {
				t.Errorf("progress %v of %v", done, total)
			}
			for range 2 {
				for _, job := range jobs() {
					same(t, direct, s, job)
				}
			}
		})
	}
}

func same(t *testing.T, a, b engine.Session, job engine.Job) {
	t.Helper()
	flatJob, _, err := prepared(job)
	if err != nil {
		t.Fatal(err)
	}
	want, wantErr := collect(t, a, flatJob)
	got, err := collect(t, b, job)
	if fmt.Sprint(wantErr) != fmt.Sprint(err) || len(want) != len(got) || len(want) < 3 {
		t.Fatalf("%s: %d events and %v, want %d and %v", job.Task, len(got), err, len(want), wantErr)
	}
	for i := range want {
		if !reflect.DeepEqual(want[i], got[i]) {
			t.Errorf("%s: event %d is\n%+v, want\n%+v", job.Task, i, got[i], want[i])
		}
	}
}

func TestErrorsKeepTheirKind(t *testing.T) {
	s := open(t, nil, "serve")
	if _, err := collect(t, s, hello1("x")); !errors.Is(err, engine.ErrNoModel) {
		t.Errorf("a run before a load: %v", err)
	}
	loadedSession(t, s)
	job := hello1("x")
	job.Options.Steps = 5000
	_, err := collect(t, s, job)
	var p *engine.ParamError
	if !errors.As(err, &p) || p.Value != 5000 || p.Max != 1024 || err.Error() != p.Error() {
		t.Errorf("steps: %v", err)
	}
	var in *engine.InputError
	if _, err := collect(t, s, engine.Job{Task: engine.Inpaint}); !errors.As(err, &in) {
		t.Errorf("no picture: %v", err)
	}
	huge := image.NewUniform(color.White) // its bounds are two billion pixels a side
	if _, err := collect(t, s, engine.Job{Task: engine.Inpaint, Image: huge}); !errors.As(err, &in) || !strings.Contains(err.Error(), "32768") {
		t.Errorf("a huge picture: %v", err)
	}
	if all, err := collect(t, s, hello1("x")); err != nil || len(all) < 3 {
		t.Errorf("a good run after bad ones: %d events, %v", len(all), err)
	}
}

func TestProbeAndUnload(t *testing.T) {
	s := open(t, nil, "socket-serve")
	a, err := s.Probe(t.Context())
	if err != nil || a.Device != "cpu" || a.Process == 0 {
		t.Fatalf("probe: %+v, %v", a, err)
	}
	loadedSession(t, s)
	if b, err := s.Probe(t.Context()); err != nil || b.Process != a.Process {
		t.Errorf("a second probe: process %d, then %d, %v", a.Process, b.Process, err)
	}
	if err := s.Unload(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := collect(t, s, hello1("x")); !errors.Is(err, engine.ErrNoModel) {
		t.Errorf("a run after an unload: %v", err)
	}
}

// TestStop stops by the caller and by the context, and runs again on the same worker after each.
func TestStop(t *testing.T) {
	s := loadedSession(t, open(t, nil, "socket-slow"))
	info, err := s.Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for n := range 4 {
		got := 0
		for _, err := range s.Run(t.Context(), hello1("x")) {
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
	for ev, err := range s.Run(ctx, hello1("x")) {
		if _, ok := ev.(engine.Step); ok {
			if steps++; steps == 3 {
				cancel()
			}
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) || errors.Is(last, engine.ErrWorkerLost) || steps > 4 {
		t.Errorf("%d steps, then %v", steps, last)
	}
	if again, err := s.Probe(t.Context()); err != nil || again.Process != info.Process {
		t.Errorf("process %d after %d, %v", again.Process, info.Process, err)
	}
}

// TestDeafWorkerIsKilled: a worker that does not stop is killed, which the person sees as a stop; the next run has a new one.
func TestDeafWorkerIsKilled(t *testing.T) {
	var notices []string
	s := loadedSession(t, open(t, func(c *Config) {
		c.StopTimeout = 100 * time.Millisecond
		c.Notice = func(n string) { notices = append(notices, n) }
	}, "deaf"))
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		var last error
		for ev, err := range s.Run(ctx, hello1("x")) {
			if _, ok := ev.(engine.Step); ok {
				cancel()
			}
			last = err
		}
		cancel()
		if d := time.Since(began); !errors.Is(last, context.Canceled) || d > 20*time.Second {
			t.Errorf("after %s: %v", d, last)
		}
	}
	for ev, err := range s.Run(t.Context(), hello1("x")) { // the caller stops
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := ev.(engine.Step); ok {
			break
		}
	}
	if len(notices) > 0 {
		t.Errorf("notices %q", notices)
	}
}

// TestRunSurvivesItsWorker: the worker dies in the middle of a run; each event comes once all the same.
func TestRunSurvivesItsWorker(t *testing.T) {
	direct := &enginetest.Session{}
	if _, err := direct.Load(t.Context(), engine.ModelRef{}, nil); err != nil {
		t.Fatal(err)
	}
	want, _ := collect(t, direct, hello1("hello"))
	for name, c := range map[string]struct {
		mode    []string
		back    bool
		notices int
	}{
		"another worker": {[]string{"die-once", "4" + t.TempDir() + "/died"}, false, 1},
		"the fallback":   {[]string{"die", "4"}, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			notices := 0
			s := loadedSession(t, open(t, func(g *Config) {
				g.Notice = func(string) { notices++ }
				if c.back {
					g.Fallback = &enginetest.Session{}
				}
			}, c.mode...))
			for range 2 {
				got, err := collect(t, s, hello1("hello"))
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%d events and %v, want %d", len(got), err, len(want))
				}
			}
			if notices != c.notices {
				t.Errorf("%d notices, want %d", notices, c.notices)
			}
		})
	}
}

// TestLostWorker: without a fallback the run ends with what was shown, and the worker's last words.
func TestLostWorker(t *testing.T) {
	s := loadedSession(t, open(t, nil, "die", "3"))
	got, err := collect(t, s, hello1("hello"))
	var lost *LostError
	if !errors.Is(err, engine.ErrWorkerLost) || !errors.As(err, &lost) || len(got) != 3 {
		t.Fatalf("%d events, %v", len(got), err)
	}
	if lost.Reason != "exit status 3" || !strings.Contains(strings.Join(lost.Stderr, "\n"), "out of luck") {
		t.Errorf("lost: %+v", lost)
	}
	if _, err := s.Load(t.Context(), engine.ModelRef{}, nil); err != nil {
		t.Errorf("load after a loss: %v", err)
	}
}

// TestOtherAnswerIsNotMixed: a second attempt that goes another way is not put behind the steps of the first.
func TestOtherAnswerIsNotMixed(t *testing.T) {
	s := loadedSession(t, open(t, nil, "other", t.TempDir()+"/died"))
	got, err := collect(t, s, hello1("hello"))
	if !errors.Is(err, errDiffers) || !errors.Is(err, engine.ErrWorkerLost) || len(got) != 3 {
		t.Errorf("%d events, %v", len(got), err)
	}
}

// TestIdleWorkerIsReplaced: a worker that was killed between two runs is missed by nobody.
func TestIdleWorkerIsReplaced(t *testing.T) {
	s := loadedSession(t, open(t, nil, "socket-serve"))
	for range 3 {
		if err := s.worker.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-s.worker.gone
		if got, err := collect(t, s, hello1("hello")); err != nil || len(got) < 3 {
			t.Errorf("%d events, %v", len(got), err)
		}
	}
}

func TestWorkersThatAreNone(t *testing.T) {
	for mode, want := range map[string]string{
		"version":   "version 99",
		"garbage":   `"this"`,
		"oversized": "4294967295",
		"noise":     "no frames here",
		"silent":    "no answer within",
		"talk":      "line 10\n\tline 11",
		"missing":   "does not start",
	} {
		t.Run(mode, func(t *testing.T) {
			missing := func(c *Config) {
				c.StartTimeout = 10 * time.Second
				if mode == "silent" {
					c.StartTimeout = 300 * time.Millisecond
				}
				if mode == "missing" {
					c.Command = []string{t.TempDir() + "/unmask-engined"}
				}
			}
			_, err := open(t, missing, mode).Load(t.Context(), engine.ModelRef{}, nil)
			if !errors.Is(err, engine.ErrWorkerLost) || !strings.Contains(err.Error(), want) {
				t.Errorf("load: %v", err)
			}
			if mode == "talk" && (strings.Contains(err.Error(), "line 9\n") || !strings.Contains(err.Error(), "line 29")) {
				t.Errorf("not the last twenty lines: %v", err)
			}
			s := open(t, func(c *Config) { missing(c); c.Fallback = &enginetest.Session{} }, mode)
			loadedSession(t, s)
			if got, err := collect(t, s, hello1("hello")); err != nil || len(got) < 3 {
				t.Errorf("with a fallback: %d events, %v", len(got), err)
			}
		})
	}
}

// TestCallerPanics: the caller's panic passes through, and the session works on.
func TestCallerPanics(t *testing.T) {
	s := loadedSession(t, open(t, nil, "socket-serve"))
	func() {
		defer func() {
			if r := recover(); r != "the caller's" {
				t.Errorf("recovered %v", r)
			}
		}()
		for range s.Run(t.Context(), hello1("x")) {
			panic("the caller's")
		}
	}()
	if got, err := collect(t, s, hello1("hello")); err != nil || len(got) < 3 {
		t.Errorf("%d events, %v", len(got), err)
	}
}

func TestClosedSession(t *testing.T) {
	s := loadedSession(t, open(t, nil, "serve"))
	w := s.worker
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if st := w.cmd.ProcessState; st == nil || !st.Success() {
		t.Errorf("the worker ended with %v", st)
	}
	if _, err := s.Load(t.Context(), engine.ModelRef{}, nil); !errors.Is(err, errClosed) {
		t.Errorf("load: %v", err)
	}
	if _, err := collect(t, s, hello1("x")); !errors.Is(err, engine.ErrNoModel) {
		t.Errorf("run: %v", err)
	}
}

// BenchmarkSteps measures the whole way of a step of 32 changes, and of small ones of a run.
func BenchmarkSteps(b *testing.B) {
	for _, mode := range []string{"serve", "socket-serve"} {
		b.Run(mode, func(b *testing.B) {
			s := loadedSession(b, open(b, nil, mode))
			job := hello1("hello")
			job.Options.Length, job.Options.Steps = 512, 512
			events := 0
			began := time.Now()
			for b.Loop() {
				for _, err := range s.Run(b.Context(), job) {
					if err != nil {
						b.Fatal(err)
					}
					events++
				}
			}
			b.ReportMetric(float64(events)/time.Since(began).Seconds(), "frames/s")
		})
	}
}
