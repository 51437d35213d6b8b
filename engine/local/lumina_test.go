package local

import (
	"bytes"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"unmask/engine"
	"unmask/engine/token"
)

// openLumina opens Lumina-DiMOO's fixture with pictures of side cells along a side.
func openLumina(t *testing.T, side string) (*Session, engine.Spec) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "Lumina-DiMOO")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(golden, "lumina-dimoo"))); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "vqvae", "config.json")
	data, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, bytes.Replace(data, []byte(`"sample_size": 512`), []byte(`"sample_size": `+side), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	s := session(t, nil)
	spec, err := s.Load(t.Context(), engine.ModelRef{Path: dir, DType: "f32"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, spec
}

// TestLumina draws, repaints, widens, edits and describes with Lumina-DiMOO, in its own rows.
func TestLumina(t *testing.T) {
	s, spec := openLumina(t, "64")
	if spec.Family != "lumina-dimoo" || !spec.Can(engine.EditImage) || spec.Image == nil || spec.Image.Grid != (engine.Grid{Cols: 4, Rows: 4}) || spec.Image.Width != 64 {
		t.Fatalf("spec %+v, image %+v", spec, spec.Image)
	}
	marks := s.model.lumina
	if d := spec.Defaults[engine.EditImage]; d.Steps != 64 || d.Guidance != 2.5 || d.GuidanceImage != 4 || d.Params["anneal"] != 2 {
		t.Errorf("edits are made with %+v", d)
	}
	if d := spec.Defaults[engine.TextToImage]; d.Guidance != 4 || d.Temperature != 1 || d.Schedule != "cosine" {
		t.Errorf("pictures are drawn with %+v", d)
	}
	wide := picture(200, 90)
	mask := image.NewAlpha(wide.Rect)
	for i := range mask.Pix {
		mask.Pix[i] = byte(255 * (i % 200 / 100)) // the right half
	}
	quick := engine.Options{Steps: 5, Seed: 3}
	for _, c := range []struct {
		name  string
		job   engine.Job
		grid  engine.Grid
		nfe   int
		spans int
	}{
		{"draw", engine.Job{Task: engine.TextToImage}, engine.Grid{Cols: 4, Rows: 4}, 10, 3},
		{"size", engine.Job{Task: engine.TextToImage, Frame: image.Rect(0, 0, 96, 47)}, engine.Grid{Cols: 6, Rows: 3}, 10, 3},
		{"inpaint", engine.Job{Task: engine.Inpaint, Image: wide, Mask: mask}, engine.Grid{Cols: 4, Rows: 2}, 8, 3}, // four painted cells, one a step
		{"outpaint", engine.Job{Task: engine.Outpaint, Image: wide, Frame: image.Rect(-50, -45, 250, 105)}, engine.Grid{Cols: 6, Rows: 3}, 10, 3},
		{"edit", engine.Job{Task: engine.EditImage, Image: wide}, engine.Grid{Cols: 4, Rows: 2}, 15, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.job.Messages, c.job.Options = user("make it blue"), quick
			d := spec.Defaults[c.job.Task]
			c.job.Options.Guidance, c.job.Options.GuidanceImage, c.job.Options.Temperature = d.Guidance, d.GuidanceImage, d.Temperature
			run := collect(t, s, c.job)
			run.laws(t, spec)
			st := run.started
			if st.Grid != c.grid || len(st.Sequence.Spans) != c.spans || st.Answer.Len() != c.grid.Cols*c.grid.Rows {
				t.Errorf("grid %v, %d spans, answer %v; want grid %v, %d spans", st.Grid, len(st.Sequence.Spans), st.Answer, c.grid, c.spans)
			}
			if slices.Contains(st.Sequence.Tokens, marks.Newline) {
				t.Error("the sequence shows line breaks")
			}
			if n := run.finished.Stats.NFE; n != c.nfe {
				t.Errorf("%d passes, want %d", n, c.nfe)
			}
			w, h := s.model.image.Size(c.grid.Cols, c.grid.Rows)
			if b := run.finished.Image.Bounds(); b.Dx() != w || b.Dy() != h {
				t.Errorf("a picture of %v, want %d x %d", b, w, h)
			}
			again := collect(t, s, c.job)
			if !slices.Equal(again.finished.Sequence.Tokens, run.finished.Sequence.Tokens) {
				t.Error("a second run with the same seed differs")
			}
		})
	}
	for _, bad := range []engine.Job{
		{Task: engine.EditImage}, {Task: engine.TextToImage, Frame: image.Rect(0, 0, 1<<14, 1<<14)},
		{Task: engine.TextToImage, Frame: image.Rect(0, 0, 3, 300)}, {Task: engine.EditImage, Image: wide, Options: engine.Options{GuidanceImage: 99}},
		{Task: engine.TextToImage, Options: engine.Options{GuidanceImage: 1}}, {Task: engine.EditImage, Image: wide, Messages: user(" ")},
	} {
		if bad.Messages == nil {
			bad.Messages = user("x")
		}
		failed := false
		for _, err := range s.Run(t.Context(), bad) {
			failed = failed || err != nil
		}
		if !failed {
			t.Errorf("%+v: no error", bad)
		}
	}
}

// TestLuminaRows checks the rows that the network is given: line breaks after each row of a picture, the given picture
// inside the request, and the answer between its marks.
func TestLuminaRows(t *testing.T) {
	s, spec := openLumina(t, "64")
	m := s.model
	l := m.lumina
	p, err := m.planEdit(t.Context(), engine.Job{Task: engine.EditImage, Messages: user("make it blue")}, picture(64, 64))
	if err != nil {
		t.Fatal(err)
	}
	st := p.next()
	codes := p.seq.Tokens[slices.Index(p.seq.Tokens, l.Begin)+1:][:16]
	with := l.Prompt(token.LuminaEdit, "make it blue")
	want := slices.Concat(l.With(with, l.Picture(codes, 4)), []engine.Token{l.Answer}, l.Picture(slices.Repeat([]engine.Token{spec.Mask}, 16), 4), []engine.Token{l.EndAnswer})
	if !slices.Equal(st.seq.Tokens, want) {
		t.Errorf("row\n%v, want\n%v", st.seq.Tokens, want)
	}
	tail := want[slices.Index(want, l.Answer):]
	words := slices.Concat(l.With(l.Prompt(token.LuminaEdit, token.LuminaNone), l.Picture(codes, 4)), tail)
	if got := st.guide(nil, st.seq); !slices.Equal(got, words) {
		t.Errorf("row without the words\n%v, want\n%v", got, words)
	}
	if got := st.guideImage(nil, st.seq); !slices.Equal(got, slices.Concat(with, tail)) {
		t.Errorf("row without the picture\n%v", got)
	}
	for i, fixed := range st.seq.Fixed {
		if pos := st.place(i); pos >= 0 && (p.seq.Tokens[pos] != st.seq.Tokens[i] || p.seq.Fixed[pos] != fixed) || pos < 0 && st.seq.Tokens[i] != l.Newline {
			t.Fatalf("position %d is %d of the plan's", i, pos)
		}
	}
	if p.next() != nil {
		t.Error("a second stage")
	}
	for _, want := range [][]engine.Token{l.Prompt("", "x"), l.Prompt("s", "x")} {
		if len(want) < 2 || !strings.HasSuffix(string(m.tok.AppendText(nil, want...)), "</user>") {
			t.Errorf("a request is %q", m.tok.AppendText(nil, want...))
		}
	}
}

// TestLuminaAnswers chats and describes.
func TestLuminaAnswers(t *testing.T) {
	s, spec := openLumina(t, "32")
	options := engine.Options{Length: 8, Steps: 4, Block: 4}
	talk := []engine.Message{{Role: "user", Text: "What is this?", Image: picture(40, 60)}, {Role: "assistant", Text: "red"}, {Role: "user", Text: "And now?"}}
	for _, job := range []engine.Job{
		{Task: engine.Describe, Image: picture(90, 40)}, {Task: engine.Chat, Messages: user("hello")}, {Task: engine.Chat, Messages: talk},
		{Task: engine.Infill, Messages: user("a red ___ in the ___")},
	} {
		if job.Options = options; job.Task == engine.Infill {
			job.Options = engine.Options{HoleLength: 2, Steps: 4}
		}
		run := collect(t, s, job)
		run.laws(t, spec)
		for _, step := range run.steps {
			if job.Task != engine.Infill && step.Block.Len() != 4 {
				t.Errorf("%s: a block of %v", job.Task, step.Block)
			}
		}
		pictures := 0
		for _, span := range run.started.Sequence.Spans {
			if span.Modality == engine.Image {
				pictures++
			}
		}
		if want := job.Task == engine.Describe || len(job.Messages) == 3; want != (pictures == 1) {
			t.Errorf("%s: %d pictures in the row", job.Task, pictures)
		}
	}
}

// TestConfidentCache compares ML-Cache, over so few steps that all of them compute everything, with none, and runs it where
// it reuses.
func TestConfidentCache(t *testing.T) {
	s, spec := openLumina(t, "64")
	draw := func(steps int, cache engine.CacheMode) []engine.Token {
		run := collect(t, s, engine.Job{Task: engine.TextToImage, Messages: user("a car"), Options: engine.Options{Steps: steps, Guidance: 3, Cache: cache, Seed: 5}})
		run.laws(t, spec)
		return run.finished.Sequence.Tokens
	}
	if !slices.Equal(draw(1, engine.CacheNone), draw(1, engine.CacheConfident)) {
		t.Error("one pass has nothing to reuse, and differs")
	}
	draw(16, engine.CacheConfident)
	for _, err := range s.Run(t.Context(), engine.Job{Task: engine.Chat, Messages: user("x"), Options: engine.Options{Cache: engine.CacheConfident}}) {
		if err == nil {
			t.Error("a chat has no codes to be sure of")
		}
		break
	}
}

// TestLuminaGoesOn runs on from the middle of a drawing: unchanged it ends as the whole run does.
func TestLuminaGoesOn(t *testing.T) {
	s, _ := openLumina(t, "64")
	job := engine.Job{Task: engine.TextToImage, Messages: user("a car"), Options: engine.Options{Steps: 6, Guidance: 2, Seed: 4, Watch: true, Alternatives: 2}}
	whole, err := runTiny(t, s, job)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range whole.steps {
		for _, l := range step.Looks {
			if !whole.started.Answer.Contains(l.Pos) {
				t.Fatalf("a look at position %d, the picture is %v", l.Pos, whole.started.Answer)
			}
		}
	}
	branch := job
	branch.Options = whole.started.Job.Options
	branch.Options.Steps = whole.started.Steps - 3
	branch.From = whole.after(3)
	again, err := runTiny(t, s, branch)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.finished.Sequence.Tokens, whole.finished.Sequence.Tokens) {
		t.Errorf("run on from step 3 it ends otherwise:\n%v\n%v", again.finished.Sequence.Tokens, whole.finished.Sequence.Tokens)
	}
}
