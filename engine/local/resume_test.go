package local

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"unmask/engine"
)

// ran is a run that came to its end.
type ran struct {
	started  *engine.Started
	steps    []engine.Step
	finished *engine.Finished
}

func runTiny(t *testing.T, s *Session, job engine.Job) (r ran, err error) {
	t.Helper()
	for ev, err := range s.Run(t.Context(), job) {
		if err != nil {
			return r, err
		}
		switch e := ev.(type) {
		case *engine.Started:
			r.started = e
		case engine.Step:
			r.steps = append(r.steps, e)
		case *engine.Finished:
			r.finished = e
		}
	}
	return r, nil
}

// after is the state after n steps as a state to go on from.
func (r ran) after(n int) *engine.From {
	q := r.started.Sequence.Clone()
	for _, s := range r.steps[:n] {
		q.Apply(s.Changes)
	}
	return &engine.From{Step: n, Tokens: q.Tokens}
}

// TestBranches runs on from the middle of an answer and of a picture of the embedded model: unchanged, with a pinned
// alternative, and with words that are fixed or banned.
func TestBranches(t *testing.T) {
	s, spec, _ := openTiny(t)
	for _, task := range []engine.Task{engine.Chat, engine.TextToImage} {
		job := engine.Job{Task: task, Options: spec.Defaults[task], Messages: []engine.Message{{Role: "user", Text: spec.Examples[task][0]}}}
		job.Options.Previews, job.Options.Alternatives, job.Options.Seed = false, 8, 3
		whole, err := runTiny(t, s, job)
		if err != nil {
			t.Fatal(err)
		}
		n := len(whole.steps) / 2
		branch := job
		branch.Options = whole.started.Job.Options
		branch.Options.Steps = whole.started.Steps - n
		branch.From = whole.after(n)
		same, err := runTiny(t, s, branch)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(same.finished.Sequence.Tokens, whole.finished.Sequence.Tokens) {
			t.Errorf("%s: run on from step %d without a change ends as %q, the run as %q", task, n, same.finished.Text, whole.finished.Text)
		}
		c := whole.steps[n-1].Changes[0]
		if len(c.Top) < 2 {
			t.Fatalf("%s: position %d has %d candidates", task, c.Pos, len(c.Top))
		}
		other := c.Top[1].Token
		if other == c.To {
			other = c.Top[0].Token
		}
		branch.From = whole.after(n)
		branch.From.Tokens[c.Pos], branch.From.Pinned = other, []int{c.Pos}
		pinned, err := runTiny(t, s, branch)
		if err != nil {
			t.Fatal(err)
		}
		if got := pinned.finished.Sequence; got.Tokens[c.Pos] != other || !got.Fixed[c.Pos] {
			t.Errorf("%s: position %d was pinned to %d and holds %d", task, c.Pos, other, got.Tokens[c.Pos])
		}
		branch.From.Pinned[0] = len(branch.From.Tokens)
		var in *engine.InputError
		if _, err := runTiny(t, s, branch); !errors.As(err, &in) {
			t.Errorf("%s: a pin outside the sequence gives %v", task, err)
		}
		branch.From = whole.after(n)
		branch.From.Tokens[0]++
		if _, err := runTiny(t, s, branch); !errors.As(err, &in) {
			t.Errorf("%s: a state of another prompt gives %v", task, err)
		}
	}
}

// TestWordsAreFixedAndBanned gives an answer words that must and words that may not stand in it.
func TestWordsAreFixedAndBanned(t *testing.T) {
	s, spec, _ := openTiny(t)
	job := engine.Job{Task: engine.Chat, Options: spec.Defaults[engine.Chat], Messages: []engine.Message{{Role: "user", Text: spec.Examples[engine.Chat][0]}}}
	free, err := runTiny(t, s, job)
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(strings.Trim(free.finished.Text, ".!?"))
	if len(words) == 0 {
		t.Fatalf("the answer %q has no words", free.finished.Text)
	}
	last := strings.Trim(words[len(words)-1], ",.;:!?")
	banned := job
	banned.Options.BanWords = []string{last}
	without, err := runTiny(t, s, banned)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range strings.Fields(without.finished.Text) {
		if strings.EqualFold(strings.Trim(w, ",.;:!?"), last) {
			t.Errorf("%q is banned and stands in %q", last, without.finished.Text)
		}
	}
	fixed := job
	fixed.Words = []engine.Word{{At: 2, Text: " " + last}}
	with, err := runTiny(t, s, fixed)
	if err != nil {
		t.Fatal(err)
	}
	at := with.started.Answer.Lo + 2
	if q := with.started.Sequence; !q.Fixed[at] || with.started.Texts[at] == "" || with.finished.Sequence.Tokens[at] != q.Tokens[at] {
		t.Errorf("%q is not fixed at position 2: %q", last, with.started.Texts[at])
	}
	var in *engine.InputError
	fixed.Words[0].At = 100_000
	if _, err := runTiny(t, s, fixed); !errors.As(err, &in) {
		t.Errorf("a word behind the answer gives %v", err)
	}
}

// TestPatches shows codes of the embedded model as cells, each of the same size and not all alike.
func TestPatches(t *testing.T) {
	s, spec, _ := openTiny(t)
	o := spec.Image.Offset
	cells, err := s.Patches(t.Context(), []engine.Token{o, o + 1, o + 7})
	if err != nil || len(cells) != 3 {
		t.Fatal(len(cells), err)
	}
	for _, c := range cells {
		if want := spec.Image.Width / spec.Image.Grid.Cols; c.Rect.Dx() != want || c.Rect.Dy() != want {
			t.Errorf("a cell is %v, want %d a side", c.Rect, want)
		}
	}
	if slices.Equal(cells[0].Pix, cells[1].Pix) && slices.Equal(cells[0].Pix, cells[2].Pix) {
		t.Error("all codes look alike")
	}
	if _, err := s.Patches(t.Context(), []engine.Token{o - 1}); err == nil {
		t.Error("a token that is no code is shown")
	}
}
