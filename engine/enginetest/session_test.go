package enginetest

import (
	"context"
	"errors"
	"image"
	"image/color"
	"testing"

	"unmask/engine"
)

func load(t *testing.T, s *Session) *Session {
	t.Helper()
	if _, err := s.Load(t.Context(), engine.ModelRef{}, nil); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStepsLeadFromStartedToFinished(t *testing.T) {
	s := load(t, &Session{Answers: map[string]string{"27 + 46": "27 + 46 = 73"}})
	mask := image.NewAlpha(image.Rect(0, 0, 64, 64))
	for i := range 400 {
		mask.SetAlpha(10+i%20, 10+i/20, color.Alpha{A: 255})
	}
	for _, task := range engine.Tasks {
		job := engine.Job{ID: "x", Task: task, Messages: []engine.Message{{Role: "user", Text: "27 + 46"}}}
		job.Options.Previews = true
		if task == engine.Inpaint || task == engine.Outpaint || task == engine.EditImage {
			job.Image, job.Mask, job.Frame = image.NewNRGBA(image.Rect(0, 0, 64, 64)), mask, image.Rect(-16, -16, 80, 80)
		}
		var seq *engine.Sequence
		var fin *engine.Finished
		steps, previews := 0, 0
		for e, err := range s.Run(t.Context(), job) {
			if err != nil {
				t.Fatal(task, err)
			}
			switch e := e.(type) {
			case *engine.Started:
				seq = e.Sequence.Clone()
			case engine.Step:
				if e.Index != steps {
					t.Fatalf("%s: step %d has index %d", task, steps, e.Index)
				}
				steps++
				for _, c := range e.Changes {
					if seq.Fixed[c.Pos] {
						t.Fatalf("%s: step %d writes fixed position %d", task, e.Index, c.Pos)
					}
				}
				seq.Apply(e.Changes)
			case *engine.Preview:
				previews++
			case *engine.Finished:
				fin = e
			}
		}
		if fin == nil || fin.Stats.Steps != steps {
			t.Fatalf("%s: finished is %+v after %d steps", task, fin, steps)
		}
		for i, tok := range fin.Sequence.Tokens {
			if tok != seq.Tokens[i] || tok == maskToken {
				t.Fatalf("%s: position %d is %d, replay gives %d", task, i, tok, seq.Tokens[i])
			}
		}
		if (fin.Image != nil) != (previews == steps && steps > 0) {
			t.Errorf("%s: %d previews for %d steps", task, previews, steps)
		}
		if task == engine.Chat && fin.Text != "27 + 46 = 73" {
			t.Errorf("answer is %q", fin.Text)
		}
	}
}

func TestRunEndsAsAsked(t *testing.T) {
	boom := errors.New("boom")
	job := engine.Job{Task: engine.Chat, Messages: []engine.Message{{Text: "hi"}}}
	last := func(s *Session, ctx context.Context, stop func()) (n int, err error) {
		for e, er := range s.Run(ctx, job) {
			if er != nil {
				return n, er
			}
			if _, ok := e.(engine.Step); ok {
				n++
				if n == 3 && stop != nil {
					stop()
				}
			}
		}
		return n, nil
	}
	if n, err := last(load(t, &Session{FailAt: 3, Err: boom}), t.Context(), nil); n != 2 || err != boom {
		t.Errorf("scripted failure: %d steps, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if n, err := last(load(t, &Session{}), ctx, cancel); n != 3 || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %d steps, %v", n, err)
	}
	if _, err := last(&Session{}, t.Context(), nil); !errors.Is(err, engine.ErrNoModel) {
		t.Errorf("not loaded: %v", err)
	}
}
