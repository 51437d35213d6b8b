package local

import (
	"image"
	"image/color"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"unmask/engine"
	"unmask/engine/cpu"
	"unmask/engine/tensor"
)

const golden = "../testdata/golden"

// folder reads a fixture folder into a file system.
func folder(t testing.TB, dir, prefix string, into fstest.MapFS) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(p, "golden.") {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, p))
		into[prefix+p] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// multimodal is the MMaDA fixture with the MAGVITv2 fixture as its image tokenizer: random weights, every task. The
// codebooks are made to agree in the config alone, since the rows are there.
func multimodal(t testing.TB) fstest.MapFS {
	t.Helper()
	all := fstest.MapFS{}
	folder(t, filepath.Join(golden, "mmada"), "", all)
	folder(t, filepath.Join(golden, "magvitv2"), "vq/", all)
	return all
}

func session(t testing.TB, embedded fs.FS) *Session {
	t.Helper()
	s := New(Config{Embedded: embedded, Backend: func(n int) (tensor.Backend, error) { return cpu.New(cpu.Options{Threads: n}) }})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func loaded(t testing.TB) (*Session, engine.Spec) {
	t.Helper()
	s := session(t, multimodal(t))
	spec, err := s.Load(t.Context(), engine.ModelRef{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, spec
}

// collected is everything that one run yielded.
type collected struct {
	started  *engine.Started
	steps    []engine.Step
	previews []*engine.Preview
	finished *engine.Finished
}

func collect(t testing.TB, s engine.Session, job engine.Job) collected {
	t.Helper()
	var c collected
	for ev, err := range s.Run(t.Context(), job) {
		if err != nil {
			t.Fatal(err)
		}
		switch ev := ev.(type) {
		case *engine.Started:
			c.started = ev
		case engine.Step:
			c.steps = append(c.steps, ev)
		case *engine.Preview:
			c.previews = append(c.previews, ev)
		case *engine.Finished:
			c.finished = ev
		}
	}
	if c.started == nil || c.finished == nil {
		t.Fatal("no started or no finished event")
	}
	return c
}

// laws checks what holds of every run.
func (c collected) laws(t *testing.T, spec engine.Spec) {
	t.Helper()
	seq := c.started.Sequence.Clone()
	noise := make([]bool, len(seq.Tokens)) // of models without a mask
	for i, fixed := range seq.Fixed {
		noise[i] = spec.Mask < 0 && !fixed
	}
	masked := func() int {
		n := 0
		for i, x := range seq.Tokens {
			if x == spec.Mask && !seq.Fixed[i] || noise[i] {
				n++
			}
		}
		return n
	}
	if len(c.started.Texts) != len(seq.Tokens) {
		t.Errorf("%d texts of %d tokens", len(c.started.Texts), len(seq.Tokens))
	}
	at := 0
	for _, s := range seq.Spans {
		if s.Lo != at || s.Hi <= s.Lo {
			t.Errorf("spans %v", seq.Spans)
		}
		at = s.Hi
	}
	if at != len(seq.Tokens) {
		t.Errorf("spans end at %d of %d", at, len(seq.Tokens))
	}
	for i, s := range c.steps {
		if s.Index != i {
			t.Errorf("step %d has index %d", i, s.Index)
		}
		last := -1
		for _, ch := range s.Changes {
			if seq.Fixed[ch.Pos] || seq.Tokens[ch.Pos] != ch.From || ch.Pos <= last || !c.started.Answer.Contains(ch.Pos) {
				t.Fatalf("step %d: change %+v, token there %d, fixed %v, answer %v", i, ch, seq.Tokens[ch.Pos], seq.Fixed[ch.Pos], c.started.Answer)
			}
			last = ch.Pos
			noise[ch.Pos] = spec.Mask < 0 && ch.Kind == engine.Remask
		}
		seq.Apply(s.Changes)
		if s.Masked != masked() {
			t.Errorf("step %d: %d masked, counted %d", i, s.Masked, masked())
		}
	}
	if !slices.Equal(seq.Tokens, c.finished.Sequence.Tokens) {
		t.Error("the steps do not make the finished sequence")
	}
	if masked() != 0 {
		t.Errorf("%d positions are still masked", masked())
	}
	if c.finished.Stats.Steps != len(c.steps) || c.finished.Stats.NFE != c.steps[len(c.steps)-1].NFE || c.finished.Stats.Wall <= 0 {
		t.Errorf("stats %+v of %d steps", c.finished.Stats, len(c.steps))
	}
	if len(c.steps) > c.started.Steps {
		t.Errorf("%d steps, %d were planned", len(c.steps), c.started.Steps)
	}
	for _, o := range []string{c.started.Job.Options.Sampler, c.started.Job.Options.Schedule, string(c.started.Job.Options.Cache)} {
		if o == "" {
			t.Errorf("options are not filled in: %+v", c.started.Job.Options)
		}
	}
}

func picture(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetNRGBA(x, y, color.NRGBA{byte(255 * x / w), byte(255 * y / h), byte(x*y + 40), 255})
		}
	}
	return img
}

func user(text string) []engine.Message { return []engine.Message{{Role: "user", Text: text}} }

func TestChat(t *testing.T) {
	s, spec := loaded(t)
	c := collect(t, s, engine.Job{Task: engine.Chat, Messages: user("What is the colour of the car?"), Options: engine.Options{Length: 16, Steps: 8, Alternatives: 3}})
	c.laws(t, spec)
	if c.started.Answer.Len() != 16 || len(c.steps) != 8 || c.finished.Stats.NFE != 8 {
		t.Errorf("answer %v in %d steps", c.started.Answer, len(c.steps))
	}
	for _, ch := range c.steps[0].Changes {
		if len(ch.Top) != 3 || ch.Text == "" && ch.To != 0 {
			t.Errorf("change %+v", ch)
		}
	}
	if got := c.started.Texts[2]; got != "u" {
		t.Errorf("text of position 2 is %q", got)
	}
	again := collect(t, s, c.started.Job)
	if !slices.Equal(again.finished.Sequence.Tokens, c.finished.Sequence.Tokens) {
		t.Error("the job of the started event gives other tokens")
	}
}

func TestChatWithPicture(t *testing.T) {
	s, spec := loaded(t)
	msg := user("What is this?")
	msg[0].Image = picture(50, 40)
	c := collect(t, s, engine.Job{Task: engine.Chat, Messages: msg, Options: engine.Options{Length: 8, Steps: 4, Guidance: 1}})
	c.laws(t, spec)
	if c.finished.Stats.NFE != 8 {
		t.Errorf("%d passes, want 8: a guided one counts twice", c.finished.Stats.NFE)
	}
	if c.started.Source == nil || c.started.Grid != spec.Image.Grid || c.started.Sequence.Spans[1].Modality != engine.Image {
		t.Errorf("source %v, grid %v, spans %v", c.started.Source != nil, c.started.Grid, c.started.Sequence.Spans)
	}
	d := collect(t, s, engine.Job{Task: engine.Describe, Image: picture(50, 40), Messages: msg[:0], Options: engine.Options{Length: 8, Steps: 4}})
	d.laws(t, spec)
	if d.started.Job.Messages[0].Text == "" {
		t.Error("no question was put")
	}
}

func TestInfill(t *testing.T) {
	s, spec := loaded(t)
	c := collect(t, s, engine.Job{Task: engine.Infill, Messages: user("A red ___ on a ___{2} table."), Options: engine.Options{HoleLength: 3}})
	c.laws(t, spec)
	free := 0
	for _, f := range c.started.Sequence.Fixed {
		if !f {
			free++
		}
	}
	if free != 5 || c.finished.Stats.Tokens != 5 {
		t.Errorf("%d free positions and %d tokens, want 3 + 2", free, c.finished.Stats.Tokens)
	}
	if !strings.HasPrefix(c.finished.Text, "A red") || !strings.Contains(c.finished.Text, " on a") || !strings.HasSuffix(c.finished.Text, " table.") {
		t.Errorf("text %q", c.finished.Text)
	}
	for _, e := range spec.End {
		if slices.Contains(c.finished.Sequence.Tokens[c.started.Answer.Lo:c.started.Answer.Hi], e) {
			t.Error("an end token stands in a hole")
		}
	}
}

func TestBadInput(t *testing.T) {
	s, spec := loaded(t)
	img := picture(20, 20)
	for _, c := range []struct {
		job  engine.Job
		want string
	}{
		{engine.Job{Task: "dance"}, `task "dance"`},
		{engine.Job{Task: engine.Chat}, "prompt: is empty"},
		{engine.Job{Task: engine.TextToImage, Messages: user(" ")}, "prompt: is empty"},
		{engine.Job{Task: engine.Chat, Messages: user("x"), Options: engine.Options{Length: 99999}}, "length = 99999 is outside [1, 256]"},
		{engine.Job{Task: engine.Chat, Messages: user("x"), Options: engine.Options{Temperature: -1}}, "temperature = -1"},
		{engine.Job{Task: engine.Chat, Messages: user("x"), Options: engine.Options{Sampler: "oracle"}}, `"oracle"`},
		{engine.Job{Task: engine.Chat, Messages: user("x"), Options: engine.Options{Schedule: "never"}}, `"never"`},
		{engine.Job{Task: engine.Chat, Messages: user("x"), Options: engine.Options{Params: engine.Params{"luck": 1}}}, "luck"},
		{engine.Job{Task: engine.Chat, Messages: user("x"), Options: engine.Options{Cache: "magic"}}, `"magic"`},
		{engine.Job{Task: engine.Chat, Messages: user("x"), Options: engine.Options{Ban: []engine.Token{-4}}}, "ban = -4"},
		{engine.Job{Task: engine.Chat, Messages: []engine.Message{{Role: "king", Text: "x"}}}, `"king"`},
		{engine.Job{Task: engine.Chat, Messages: user(strings.Repeat("cat ", 400)), Options: engine.Options{Length: 16}}, "the model's 256 positions"},
		{engine.Job{Task: engine.TextToImage, Messages: user(strings.Repeat("cat ", 400))}, "at most"},
		{engine.Job{Task: engine.Infill, Messages: user("nothing to fill")}, "0 holes"},
		{engine.Job{Task: engine.Infill, Messages: user("___{9999}")}, "9999 tokens long, want 1 to 256"},
		{engine.Job{Task: engine.Infill, Messages: user(strings.Repeat("___{200} ", 9))}, "positions"},
		{engine.Job{Task: engine.Describe}, "picture: there is none"},
		{engine.Job{Task: engine.Inpaint, Image: img}, "mask: there is none"},
		{engine.Job{Task: engine.Inpaint, Image: img, Mask: image.NewAlpha(image.Rect(0, 0, 30, 20))}, "(30,20) pixels, the picture has (20,20)"},
		{engine.Job{Task: engine.Inpaint, Image: img, Mask: image.NewAlpha(img.Rect)}, "0 of the"},
		{engine.Job{Task: engine.Inpaint, Image: image.NewNRGBA(image.Rectangle{}), Mask: image.NewAlpha(img.Rect)}, "0 x 0 pixels"},
		{engine.Job{Task: engine.Inpaint, Image: image.NewUniform(color.White), Mask: image.NewAlpha(img.Rect)}, "pixels"},
		{engine.Job{Task: engine.Outpaint, Image: img, Frame: image.Rect(5, 0, 40, 20)}, "does not contain"},
		{engine.Job{Task: engine.Outpaint, Image: img, Frame: img.Rect}, "adds less than half a cell"},
		{engine.Job{Task: engine.Outpaint, Image: img, Frame: image.Rect(-1e6, -1e6, 1e6, 1e6)}, "at most"},
	} {
		got := 0
		var last error
		for ev, err := range s.Run(t.Context(), c.job) {
			if err == nil {
				t.Errorf("%s: event %T", c.want, ev)
			}
			got, last = got+1, err
		}
		if got != 1 || last == nil || !strings.Contains(last.Error(), c.want) {
			t.Errorf("error %v, want %q", last, c.want)
		}
	}
	if collect(t, s, engine.Job{Task: engine.Chat, Messages: user("Hi"), Options: engine.Options{Length: 4}}).laws(t, spec); t.Failed() {
		t.Error("the session does not go on after errors")
	}
}

func TestOldTurnsAreDropped(t *testing.T) {
	s, spec := loaded(t)
	var long []engine.Message
	for range 12 {
		long = append(long, engine.Message{Role: "user", Text: "What is the colour of the car?"}, engine.Message{Role: "assistant", Text: "red"})
	}
	long = append(long, engine.Message{Role: "user", Text: "And the cat?"})
	c := collect(t, s, engine.Job{Task: engine.Chat, Messages: long, Options: engine.Options{Length: 16, Steps: 2}})
	c.laws(t, spec)
	m := c.started.Job.Messages
	if n := len(m); n >= len(long) || n < 3 || m[n-1].Text != "And the cat?" || m[0].Role != "user" || len(c.started.Sequence.Tokens) > spec.MaxLen {
		t.Errorf("%d messages in %d positions", n, len(c.started.Sequence.Tokens))
	}
	if len(long) != 25 || long[0].Text != "What is the colour of the car?" {
		t.Error("the caller's messages changed")
	}
}

func TestWorld(t *testing.T) {
	files := multimodal(t)
	files["world.json"] = &fstest.MapFile{Data: []byte(`{"name":"Tiny world","examples":{"draw":["a cat"],"chat":["Hello!"],"sums":["1+1"]},
		"settings":{"draw":{"steps":6,"guidance":2.5},"chat":{"length":24,"steps":12},"describe":{"answer_length":16}}}`)}
	spec, err := session(t, files).Load(t.Context(), engine.ModelRef{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := spec.Defaults[engine.Inpaint]; d.Steps != 6 || d.Guidance != 2.5 || d.Sampler != "maskgit" {
		t.Errorf("defaults of inpaint %+v", d)
	}
	if d := spec.Defaults[engine.Chat]; d.Length != 24 || d.Steps != 12 || spec.Name != "Tiny world" || !slices.Equal(spec.Examples[engine.Chat], []string{"Hello!", "1+1"}) {
		t.Errorf("name %q, defaults of chat %+v, examples %v", spec.Name, d, spec.Examples)
	}
	if d := spec.Defaults[engine.Describe]; d.Length != 16 {
		t.Errorf("defaults of describe %+v", d)
	}
	for _, c := range []string{`{"settings":{"chat":{"steps":-4}}}`, `{"settings":{"chat":3}}`, `{`} {
		bad := maps.Clone(files)
		bad["world.json"] = &fstest.MapFile{Data: []byte(c)}
		if _, err := session(t, bad).Load(t.Context(), engine.ModelRef{}, nil); err == nil || !strings.Contains(err.Error(), "world.json") {
			t.Errorf("%s: %v", c, err)
		}
	}
}

func TestPresets(t *testing.T) {
	_, spec := loaded(t)
	for _, task := range spec.Tasks {
		list := engine.Presets(spec, task)
		if len(list) < 4 || list[0].Name != "default" {
			t.Errorf("%s: presets %v", task, list)
		}
		for _, p := range list {
			job := engine.Job{Task: task, Options: p.Options}
			if err := fill(&job, spec); err != nil {
				t.Errorf("%s %s: %v", task, p.Name, err)
			}
		}
	}
	engine.Presets(spec, engine.Chat)[0].Options.Ban = []engine.Token{1}
	if spec.Defaults[engine.Chat].Ban != nil {
		t.Error("a preset shares its options with the spec")
	}
}

func TestRead(t *testing.T) {
	s, _ := loaded(t)
	m := s.model
	for _, c := range []struct{ in, text, think string }{
		{"  plain <|eot_id|>rest", "plain", ""},
		{"<think>a b</think> c<|endoftext|>", "c", "a b"},
		{"<think>never ends", "", "never ends"},
		{"literal<eot_id>rest", "literal", ""},
		{"<|mdm_mask|>x<|mdm_mask|>", "x", ""},
	} {
		text, think := m.read(m.tok.AppendTokens(nil, c.in))
		if text != c.text || think != c.think {
			t.Errorf("%q reads as %q, %q; want %q, %q", c.in, text, think, c.text, c.think)
		}
	}
}
