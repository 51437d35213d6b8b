package local

import (
	"bytes"
	"image"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"unmask/engine"
	"unmask/engine/trace"
)

// TestCanvas talks with the model that denoises canvases of noise, about no, one and two pictures.
//
// size: one model, asked in every way.
func TestCanvas(t *testing.T) {
	s := session(t, nil)
	spec, err := s.Load(t.Context(), engine.ModelRef{Path: filepath.Join(golden, "diffusion-gemma"), DType: "f32"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if spec.Mask != -1 || spec.Process != "renoise" || !spec.Vectors || !spec.Can(engine.Describe) || spec.Can(engine.Infill) || spec.ThinkStyle == "" {
		t.Fatalf("spec %+v", spec)
	}
	if d := spec.Defaults[engine.Chat]; d.Length != spec.Block || d.Steps != 48 || d.Params["t_max"] != 0.8 || d.Params["bound"] != 0.1 {
		t.Errorf("defaults %+v", d)
	}
	if !slices.Equal(spec.End, []engine.Token{1, 106, 50}) {
		t.Errorf("end tokens %v, want those of generation_config.json", spec.End)
	}
	chat := func(o engine.Options, messages ...engine.Message) collected {
		c := collect(t, s, engine.Job{Task: engine.Chat, Messages: messages, Options: o})
		c.laws(t, spec)
		return c
	}
	one := chat(engine.Options{Seed: 4}, user("Why does it sing?")...)
	prompt := text(s, one)
	if want := "<bos><|turn>user\nWhy does it sing?<turn|>\n<|turn>model\n"; prompt != want {
		t.Errorf("prompt %q, want %q", prompt, want)
	}
	if again := chat(engine.Options{Seed: 4}, user("Why does it sing?")...); !slices.Equal(again.finished.Sequence.Tokens, one.finished.Sequence.Tokens) {
		t.Error("the same job gives other tokens")
	}
	if other := chat(engine.Options{Seed: 5}, user("Why does it sing?")...); slices.Equal(other.started.Sequence.Tokens, one.started.Sequence.Tokens) {
		t.Error("another seed begins with the same noise")
	}
	long := chat(engine.Options{Length: spec.Block + 1, Steps: 8}, user("Why?")...)
	if long.started.Answer.Len() != 2*spec.Block || long.started.Steps > 8 {
		t.Errorf("answer %v in %d steps, want two canvases of 4 steps", long.started.Answer, long.started.Steps)
	}
	think := chat(engine.Options{Think: true, Steps: 2}, user("Why?")...)
	if got := text(s, think); !strings.HasPrefix(got, "<bos><|turn>system\n<|think|>\n<turn|>\n<|turn>user\nWhy?") {
		t.Errorf("prompt %q asks for no thoughts", got)
	}
	talk := []engine.Message{
		{Role: "user", Text: "What <|image|> is this?", Image: picture(30, 80)}, {Role: "assistant", Text: "red"},
		{Role: "user", Text: "And this?", Image: picture(90, 40)},
	}
	seen := chat(engine.Options{Steps: 3, Seed: 1}, talk...)
	if n := vectors(seen.started.Sequence, spec); n < 2 {
		t.Errorf("%d positions of two pictures", n)
	}
	if got := text(s, seen); strings.Count(got, "<|image>") != 2 || strings.Count(got, "<image|>What  is this?") != 1 || strings.Contains(got, "<|image|>") {
		t.Errorf("prompt %q", got)
	}
	swapped := slices.Clone(talk)
	swapped[2].Image = image.NewNRGBA(image.Rect(0, 0, 90, 40))
	if other := chat(engine.Options{Steps: 3, Seed: 1}, swapped...); slices.EqualFunc(other.steps[0].Changes, seen.steps[0].Changes, func(a, b engine.Change) bool { return a.Pos == b.Pos && a.Prob == b.Prob }) {
		t.Error("another picture changes nothing")
	}
	about := collect(t, s, engine.Job{Task: engine.Describe, Image: picture(40, 40), Options: engine.Options{Steps: 2, Alternatives: 3}})
	about.laws(t, spec)
	if about.started.Source == nil || len(about.steps[1].Changes) == 0 || len(about.steps[1].Changes[0].Top) != 3 {
		t.Errorf("source %v, last changes %+v", about.started.Source != nil, about.steps[1].Changes)
	}
	recorded(t, about)
	kept := collect(t, s, engine.Job{Task: engine.Chat, Messages: user("Why?"), Words: []engine.Word{{At: 2, Text: "the kettle"}}, Options: engine.Options{Steps: 3, Seed: 2}})
	kept.laws(t, spec)
	if !strings.Contains(string(s.model.tok.AppendText(nil, kept.finished.Sequence.Tokens...)), "the kettle") {
		t.Errorf("answer %q", kept.finished.Text)
	}
	begun := one.started.Sequence.Clone()
	for _, step := range one.steps[:2] {
		begun.Apply(step.Changes)
	}
	state := slices.Clone(begun.Tokens)
	at := one.started.Answer.Lo
	state[at+1] = -1 // hidden again
	from := &engine.From{Step: 2, Tokens: state, Pinned: []int{at}}
	on := collect(t, s, engine.Job{Task: engine.Chat, Messages: user("Why does it sing?"), From: from, Options: engine.Options{Steps: 3}})
	on.laws(t, spec)
	if got := on.finished.Sequence.Tokens[at]; got != state[at] || on.started.Sequence.Tokens[at+2] != state[at+2] {
		t.Errorf("goes on from token %d, the state has %d; the pinned one is %d, want %d", on.started.Sequence.Tokens[at+2], state[at+2], got, state[at])
	}
	for _, bad := range []engine.Options{{Temperature: 0.5}, {BanWords: []string{"sea"}}, {Sampler: "low_confidence"}, {Params: engine.Params{"t_max": 0.1}}, {Guidance: 1}} {
		for _, err := range s.Run(t.Context(), engine.Job{Task: engine.Chat, Messages: user("x"), Options: bad}) {
			if err == nil {
				t.Errorf("%+v is accepted", bad)
			}
			break
		}
	}
}

// text is the prompt of a run, special tokens and all.
func text(s *Session, c collected) string {
	return string(s.model.tok.AppendText(nil, c.started.Sequence.Tokens[:c.started.Answer.Lo]...))
}

// recorded writes a run down and reads it again.
func recorded(t *testing.T, c collected) {
	t.Helper()
	var b bytes.Buffer
	w := trace.NewWriter(&b, "test")
	events := []engine.Event{c.started}
	for _, step := range c.steps {
		events = append(events, step)
	}
	for _, ev := range append(events, c.finished) {
		if err := w.Write(ev); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	run, err := trace.Read(&b, "run")
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Steps) != len(c.steps) {
		t.Errorf("%d steps are recorded, %d were made", len(run.Steps), len(c.steps))
	}
}

// TestThoughtsOfCanvases separates what stands between the channel's tokens.
func TestThoughtsOfCanvases(t *testing.T) {
	s := session(t, nil)
	if _, err := s.Load(t.Context(), engine.ModelRef{Path: filepath.Join(golden, "diffusion-gemma"), DType: "f32"}, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ in, text, think string }{
		{"<|channel>thought\nit sings<channel|>the kettle<turn|>late", "the kettle", "it sings"},
		{"the kettle<turn|>", "the kettle", ""},
		{"<|channel>thought\nno end", "", "no end"},
		{"so <|channel>thought\na<channel|>it is", "so it is", "a"},
		{"<think>a</think>b", "b", "a"},
	} {
		text, think := s.model.read(s.model.tok.AppendTokens(nil, c.in))
		if text != c.text || think != c.think {
			t.Errorf("%q: text %q, thoughts %q; want %q, %q", c.in, text, think, c.text, c.think)
		}
	}
}
