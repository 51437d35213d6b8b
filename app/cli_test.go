package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"unmask/engine"
	"unmask/engine/enginetest"
	"unmask/engine/trace"
)

// scripted makes the commands of the test use the scripted session instead of a model.
func scripted(t *testing.T, s *enginetest.Session) {
	t.Helper()
	old := openSession
	openSession = func(Config, *slog.Logger) (engine.Session, error) { return keptOpen{s}, nil }
	t.Cleanup(func() { openSession = old })
	t.Setenv("UNMASK_DATA", t.TempDir())
	t.Setenv("UNMASK_CONFIG", "")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Chdir(t.TempDir())
}

// keptOpen is a session that several commands use, one after the other.
type keptOpen struct{ *enginetest.Session }

func (keptOpen) Close() error { return nil }

// result of one command line.
type result struct {
	code     int
	out, err string
}

func unmask(t *testing.T, in string, args ...string) result {
	t.Helper()
	return unmaskCtx(t.Context(), in, args...)
}

func unmaskCtx(ctx context.Context, in string, args ...string) result {
	var out, errs bytes.Buffer
	code := execute(ctx, args, streams{strings.NewReader(in), &out, &errs})
	return result{code, out.String(), errs.String()}
}

// want fails when the exit code differs or a text lacks one of the parts.
func (r result) want(t *testing.T, code int, parts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d; output %q, errors %q", r.code, code, end(r.out), end(r.err))
	}
	for _, p := range parts {
		if !strings.Contains(r.out+r.err, p) {
			t.Errorf("output %q and errors %q lack %q", end(r.out), end(r.err), p)
		}
	}
}

// end is the last part of a text.
func end(s string) string { return s[max(0, len(s)-800):] }

// writePNG writes a w by h picture; pixels where white says so are white, the others black.
func writePNG(t *testing.T, name string, w, h int, white func(x, y int) bool) string {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.NRGBA{A: 255}
			if white(x, y) {
				c = color.NRGBA{255, 255, 255, 255}
			}
			img.SetNRGBA(x, y, c)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestBadUsageIsTwo(t *testing.T) {
	scripted(t, &enginetest.Session{})
	pic := writePNG(t, "pic.png", 64, 64, func(x, y int) bool { return x > y })
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"unknown command":       {[]string{"pint", "x"}, []string{`no command "pint"`}},
		"unknown flag":          {[]string{"chat", "--stepz", "3", "x"}, []string{"-stepz"}},
		"number":                {[]string{"chat", "x", "--steps", "many"}, []string{`"many" is not a whole number`}},
		"not finite":            {[]string{"chat", "x", "--temperature", "NaN"}, []string{"not a number"}},
		"negative seed":         {[]string{"chat", "x", "--seed", "-1"}, []string{"18446744073709551615"}},
		"sampler":               {[]string{"chat", "x", "--sampler", "best"}, []string{"low_confidence"}},
		"schedule":              {[]string{"chat", "x", "--schedule", "sine"}, []string{"cosine"}},
		"other sampler's flag":  {[]string{"chat", "x", "--threshold", "0.5"}, []string{"--threshold: the sampler low_confidence has no such parameter"}},
		"two prompts":           {[]string{"chat", "a", "b"}, []string{"2 arguments"}},
		"no prompt":             {[]string{"paint"}, []string{"0 arguments"}},
		"no hole":               {[]string{"infill", "all is here"}, []string{"___"}},
		"no image":              {[]string{"inpaint", "a kite"}, []string{"--image"}},
		"no mask":               {[]string{"inpaint", "--image", pic, "a kite"}, []string{"--mask"}},
		"mask and frame":        {[]string{"inpaint", "--image", pic, "--mask", pic, "--frame", "0,0,99,99"}, []string{"either"}},
		"empty frame":           {[]string{"inpaint", "--image", pic, "--frame", "5,5,5,9"}, []string{"empty"}},
		"half a frame":          {[]string{"inpaint", "--image", pic, "--frame", "1,2,3"}, []string{"four whole numbers"}},
		"picture format":        {[]string{"paint", "x", "-o", "x.jpg"}, []string{".png"}},
		"samplers of compare":   {[]string{"compare", "x", "--samplers", "margin,best"}, []string{`"best"`}},
		"conversation to file":  {[]string{"chat", "-o", "x.txt"}, []string{"conversation"}},
		"argument of doctor":    {[]string{"doctor", "x"}, []string{"no argument"}},
		"argument of gui":       {[]string{"gui", "x"}, []string{"no argument"}},
		"mask without image":    {[]string{"infill", "--mask", "m.png", "a ___"}, []string{"--image"}},
		"drawn and given":       {[]string{"infill", "--draw", "--image", "p.png", "a ___"}, []string{"--draw"}},
		"eval of no such task":  {[]string{"eval", "--tasks", "juggle"}, []string{"juggle", "describe"}},
		"eval of nothing":       {[]string{"eval", "--n", "0"}, []string{"--n"}},
		"eval with an argument": {[]string{"eval", "draw"}, []string{"draw"}},
		"verify without folder": {[]string{"verify"}, []string{"folder"}},
		"settings":              {[]string{"chat", "x", "--threads", "-2", "--dtype", "f8"}, []string{"-2 is outside", `"f8"`}},
		"missing config":        {[]string{"chat", "x", "--config", "none.json"}, []string{"none.json"}},
		"shape":                 {[]string{"bench", "--shape", "10,3,1"}, []string{"want 5"}},
		"odd heads":             {[]string{"bench", "--shape", "30,2,1,8,64"}, []string{"even width"}},
		"repeats":               {[]string{"bench", "--repeats", "0"}, []string{"[1, 1000]"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := unmask(t, "", c.args...)
			r.want(t, exitUsage, c.want...)
			if strings.Count(r.err, "\n") > 3 {
				t.Errorf("bad usage prints %q", r.err)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	scripted(t, &enginetest.Session{})
	r := unmask(t, "", "help")
	r.want(t, exitDone)
	for _, c := range commands {
		if !strings.Contains(r.out, "\n  "+c.name) {
			t.Errorf("help lacks %s", c.name)
		}
		h := unmask(t, "", c.name, "--help")
		h.want(t, exitDone, "Usage: unmask "+c.name, "Exit codes")
		if unmask(t, "", "help", c.name).out != h.out {
			t.Errorf("help %s differs from %s --help", c.name, c.name)
		}
	}
}

func TestChat(t *testing.T) {
	scripted(t, &enginetest.Session{Answers: map[string]string{"What is 27 + 46?": "It is 73"}})
	unmask(t, "", "chat", "What is 27 + 46?", "--seed", "3").want(t, exitDone, "It is 73\n", "forward passes", "seed 3")
	unmask(t, "What is 27 + 46?\n", "chat", "-").want(t, exitDone, "It is 73")
	unmask(t, "", "chat", "--", "--steps").want(t, exitDone, "--steps")
	unmask(t, "", "chat", "--watch", "What is 27 + 46?").want(t, exitDone, "masked", "▒")
	r := unmask(t, "", "chat", "--json", "What is 27 + 46?", "--steps=6", "--sampler", "threshold", "--threshold", "0.8")
	r.want(t, exitDone)
	var rep report
	if err := json.Unmarshal([]byte(r.out), &rep); err != nil {
		t.Fatal(err)
	}
	if rep.Text != "It is 73" || rep.Options.Steps != 6 || rep.Options.Sampler != "threshold" || rep.Options.Params["threshold"] != 0.8 || rep.NFE == 0 || rep.Hash == "" {
		t.Errorf("report is %+v", rep)
	}
	unmask(t, "", "chat", "What is 27 + 46?", "-o", "answer.txt").want(t, exitDone)
	if b, err := os.ReadFile("answer.txt"); err != nil || string(b) != "It is 73\n" {
		t.Errorf("answer.txt is %q, %v", b, err)
	}
}

func TestConversationKeepsItsTurns(t *testing.T) {
	scripted(t, &enginetest.Session{Answers: map[string]string{"hello": "Good day", "and you": "Well"}})
	r := unmask(t, "hello\n\nand you\n", "chat")
	r.want(t, exitDone)
	if r.out != "Good day\nWell\n" {
		t.Errorf("answers are %q", r.out)
	}
}

func TestPaintWritesAPicture(t *testing.T) {
	scripted(t, &enginetest.Session{})
	unmask(t, "", "paint", "a red boat", "-o", "boat.png").want(t, exitDone, "boat.png")
	img, err := readPicture("boat.png")
	if err != nil || img.Bounds().Dx() != enginetest.Spec().Image.Width {
		t.Errorf("boat.png: %v", err)
	}
	unmask(t, "", "paint", "a red boat", "--seed", "9").want(t, exitDone, "paint-9.png")
	unmask(t, "", "paint", "a red boat", "--seed", "9").want(t, exitDone, "paint-9-2.png")
	r := unmask(t, "", "paint", "a red boat", "-o", "-")
	if _, err := png.Decode(strings.NewReader(r.out)); err != nil {
		t.Errorf("-o - is no PNG: %v", err)
	}
	unmask(t, "", "paint", "a red boat", "-o", filepath.Join("none", "x.png")).want(t, exitFailed, "none")
}

func TestInpaint(t *testing.T) {
	scripted(t, &enginetest.Session{})
	pic := writePNG(t, "pic.png", 64, 64, func(x, y int) bool { return x > y })
	mask := writePNG(t, "mask.png", 64, 64, func(x, y int) bool { return x < 20 && y < 20 })
	small := writePNG(t, "small.png", 10, 12, func(x, y int) bool { return true })
	black := writePNG(t, "black.png", 64, 64, func(x, y int) bool { return false })
	unmask(t, "", "inpaint", "--image", pic, "--mask", mask, "a kite", "-o", "kite.png").want(t, exitDone, "kite.png")
	unmask(t, "", "inpaint", "--image", pic, "--mask", small, "a kite").want(t, exitFailed, "small.png has 10 x 12 pixels", "pic.png has 64 x 64")
	unmask(t, "", "inpaint", "--image", pic, "--mask", black, "a kite").want(t, exitFailed, "no white pixel among 4096")
	unmask(t, "", "inpaint", "--image", pic, "--frame", "10,0,99,64").want(t, exitFailed, "frame", "64 x 64")
	b, err := os.ReadFile(pic)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"cut.png": b[:len(b)/2], "empty.png": nil, "text.png": []byte("this is no picture"), "huge.png": hugePNG()} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		unmask(t, "", "inpaint", "--image", name, "--mask", mask, "x").want(t, exitFailed, name)
		unmask(t, "", "describe", name).want(t, exitFailed, name)
	}
	unmask(t, "", "describe", "none.png").want(t, exitFailed, "none.png")
	unmask(t, "", "describe", ".").want(t, exitFailed)
}

// hugePNG is the beginning of a PNG that says it has 100000 x 100000 pixels.
func hugePNG() []byte {
	return []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x01\x86\xa0\x00\x01\x86\xa0\x08\x06\x00\x00\x00\x2f\x93\x0b\x9f")
}

func TestDescribeInfillCompare(t *testing.T) {
	scripted(t, &enginetest.Session{})
	pic := writePNG(t, "pic.png", 64, 64, func(x, y int) bool { return x > y })
	unmask(t, "", "describe", pic, "What is it?").want(t, exitDone)
	unmask(t, "", "infill", "The boat is ___ and red").want(t, exitDone, "boat")
	unmask(t, "", "infill", "--draw", "A boat that is ___", "-o", "joint.png").want(t, exitDone, "joint.png")
	r := unmask(t, "", "compare", "Name three colours", "--samplers", "low_confidence,margin, threshold", "--threshold", "0.5", "--json")
	r.want(t, exitDone)
	var cols []column
	if err := json.Unmarshal([]byte(r.out), &cols); err != nil || len(cols) != 3 {
		t.Fatalf("columns are %q, %v", r.out, err)
	}
	if cols[0].Agreement != 1 || cols[0].Options.Params["threshold"] != 0 || cols[2].Options.Params["threshold"] != 0.5 {
		t.Errorf("columns are %+v", cols)
	}
	unmask(t, "", "compare", "--paint", "a boat", "--samplers", "maskgit,random", "-o", "b.png").want(t, exitDone, "b-maskgit.png", "b-random.png", "agree")
}

func TestFailures(t *testing.T) {
	scripted(t, &enginetest.Session{LoadErr: errors.New("the weights are broken")})
	unmask(t, "", "chat", "x").want(t, exitFailed, "unmask: the weights are broken")
	unmask(t, "", "models", "--json").want(t, exitFailed, "the weights are broken")
	unmask(t, "", "doctor").want(t, exitFailed, "the weights are broken", "!!  model")
	scripted(t, &enginetest.Session{FailAt: 2, Err: errors.New("out of paper")})
	unmask(t, "", "chat", "x").want(t, exitFailed, "out of paper")
	r := unmask(t, "", "paint", "x", "-o", "x.png")
	r.want(t, exitFailed, "out of paper")
	if files, err := os.ReadDir("."); err != nil || len(files) != 0 {
		t.Errorf("a failed run leaves %v, %v", files, err)
	}
}

func TestStopKeepsWhatIsThere(t *testing.T) {
	scripted(t, &enginetest.Session{Delay: 20e6})
	ctx, cancel := context.WithCancel(t.Context())
	w := &cancelAfter{lines: 3, cancel: cancel}
	var out bytes.Buffer
	code := execute(ctx, []string{"chat", "--watch", "one two three four five six"}, streams{strings.NewReader(""), &out, w})
	if code != exitFailed || !strings.Contains(w.String(), "stopped") || !strings.Contains(out.String(), "▒") {
		t.Errorf("exit code %d, output %q, errors %q", code, out.String(), w.String())
	}
}

// cancelAfter cancels after some lines were written.
type cancelAfter struct {
	bytes.Buffer
	lines  int
	cancel func()
}

func (c *cancelAfter) Write(b []byte) (int, error) {
	if c.lines--; c.lines == 0 {
		c.cancel()
	}
	return c.Buffer.Write(b)
}

// TestEveryOptionHasAFlag sets every flag of the options and looks at what arrives.
func TestEveryOptionHasAFlag(t *testing.T) {
	scripted(t, &enginetest.Session{})
	r := unmask(t, "", "chat", "x", "--json", "--length", "20", "--steps", "10", "--block", "10", "--top-k", "5", "--hole-length", "3",
		"--alternatives", "2", "--temperature", "0.5", "--top-p", "0.9", "--guidance", "1.5", "--end-penalty", "2", "--seed", "0x10",
		"--sampler", "maskgit", "--choice-temperature", "4.5", "--anneal", "compounding", "--rule", "1", "--schedule", "cosine", "--cache", "dual",
		"--stop-at-end=false", "--ban-end", "--think", "--previews")
	r.want(t, exitDone)
	var rep report
	if err := json.Unmarshal([]byte(r.out), &rep); err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(rep.Options)
	want := `{"length":20,"steps":10,"block":10,"schedule":"cosine","sampler":"maskgit","params":{"anneal":1,"choice_temperature":4.5,"rule":1},"temperature":0.5,"top_p":0.9,"top_k":5,"guidance":1.5,"seed":16,"cache":"dual","stop_at_end":false,"end_penalty":2,"ban_end":true,"think":true,"hole_length":3,"previews":true,"alternatives":2}`
	if string(got) != want {
		t.Errorf("options are\n%s, want\n%s", got, want)
	}
}

// TestRunOn goes on from a step of recorded runs: a pinned text stands in the result, a branch replays bit-equal, and its
// own recording says what it goes on from.
func TestRunOn(t *testing.T) {
	scripted(t, &enginetest.Session{})
	unmask(t, "", "chat", "one two three", "--trace", "chat.unmask", "--keep-candidates", "--alternatives", "2").want(t, exitDone)
	unmask(t, "", "replay", "chat.unmask", "--run-on", "--at", "4", "--pin", "1= never", "--seed", "9", "--trace", "branch.unmask").want(t, exitDone, "never")
	unmask(t, "", "replay", "branch.unmask").want(t, exitDone, "bit-equal")
	rec, err := trace.ReadFile("branch.unmask")
	if err != nil {
		t.Fatal(err)
	}
	if f := rec.Started.Job.From; f == nil || f.Step != 4 || f.Run != "chat.unmask" || len(f.Acts) != 1 || rec.Started.Job.Options.Seed != 9 {
		t.Errorf("the branch goes on from %+v", f)
	}
	first, err := trace.ReadFile("chat.unmask")
	if err != nil || len(first.Steps[0].Looks) == 0 {
		t.Errorf("no candidates are kept: %v", err)
	}
	unmask(t, "", "replay", "chat.unmask", "--run-on", "--remask", "0-3").want(t, exitDone)
	unmask(t, "", "replay", "chat.unmask", "--at", "4").want(t, exitUsage, "--run-on")
	unmask(t, "", "replay", "chat.unmask", "--run-on", "--at", "400").want(t, exitUsage, "12 steps")
	unmask(t, "", "replay", "chat.unmask", "--run-on", "--remask", "900").want(t, exitUsage, "position 900")
	unmask(t, "", "replay", "chat.unmask", "--run-on", "--pin", "x").want(t, exitUsage, "POSITION=TEXT")
	unmask(t, "", "paint", "a red boat", "-o", "boat.png").want(t, exitDone)
	unmask(t, "", "replay", "boat.png", "--run-on", "--at", "6", "-o", "again.png").want(t, exitDone, "again.png")
	unmask(t, "", "replay", "boat.png", "--run-on", "--at", "6").want(t, exitUsage, "-o")
	unmask(t, "", "chat", "one two", "--fix-words", "1 here", "--ban-words", "there").want(t, exitDone, "here")
}

func TestReplay(t *testing.T) {
	scripted(t, &enginetest.Session{})
	pic := writePNG(t, "pic.png", 64, 64, func(x, y int) bool { return x > y })
	mask := writePNG(t, "mask.png", 64, 64, func(x, y int) bool { return x < 20 && y < 20 })
	unmask(t, "", "paint", "a red boat", "--seed", "5", "-o", "boat.png", "--trace", "boat.unmask").want(t, exitDone)
	unmask(t, "", "chat", "one two three", "--trace", "chat.unmask").want(t, exitDone)
	unmask(t, "", "inpaint", "--image", pic, "--mask", mask, "a kite", "-o", "kite.png").want(t, exitDone)
	for _, file := range []string{"boat.png", "boat.unmask", "chat.unmask", "kite.png"} {
		unmask(t, "", "replay", file).want(t, exitDone, "bit-equal")
	}
	unmask(t, "", "replay", "--recorded", "boat.png").want(t, exitDone, `"a red boat"`)
	r := unmask(t, "", "replay", "boat.png", "--json")
	r.want(t, exitDone)
	var rep replayed
	if err := json.Unmarshal([]byte(r.out), &rep); err != nil || rep.Equal == nil || !*rep.Equal || rep.Prompt != "a red boat" {
		t.Errorf("report is %q, %v", r.out, err)
	}
	unmask(t, "", "replay", pic).want(t, exitFailed, "pic.png", "carries no run")
	unmask(t, "", "replay", "none.unmask").want(t, exitFailed, "none.unmask")
	unmask(t, "", "replay", "boat.png", "-o", "x.webm").want(t, exitUsage, ".gif")
}

// TestReplayFindsADifference changes one token, and one pixel, of what was recorded.
func TestReplayFindsADifference(t *testing.T) {
	scripted(t, &enginetest.Session{})
	unmask(t, "", "paint", "a red boat", "-o", "boat.png", "--trace", "boat.unmask").want(t, exitDone)
	for name, spoil := range map[string]func(r *trace.Run){
		"token":   func(r *trace.Run) { r.Steps[2].Changes[0].To++ },
		"picture": func(r *trace.Run) { r.Finished.Image.Pix[400] ^= 1 },
		"steps":   func(r *trace.Run) { r.Steps = r.Steps[:len(r.Steps)-1] },
		"model":   func(r *trace.Run) { r.Started.Spec.Hash = "another" },
	} {
		t.Run(name, func(t *testing.T) {
			rec, err := trace.ReadFile("boat.unmask")
			if err != nil {
				t.Fatal(err)
			}
			spoil(rec)
			if err := writeFile("spoiled.unmask", rec.Write); err != nil {
				t.Fatal(err)
			}
			r := unmask(t, "", "replay", "spoiled.unmask")
			r.want(t, exitFailed)
			if strings.Contains(r.out, "bit-equal") {
				t.Errorf("a spoiled %s is not found: %q", name, r.out)
			}
		})
	}
}

// TestReplayOfACutTrace cuts a trace anywhere: what is before the cut is compared, or the error names the file.
func TestReplayOfACutTrace(t *testing.T) {
	scripted(t, &enginetest.Session{})
	unmask(t, "", "chat", "one two three four", "--trace", "chat.unmask").want(t, exitDone)
	b, err := os.ReadFile("chat.unmask")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 10, len(b) / 4, len(b) / 2, len(b) - 9, len(b) - 1} {
		if err := os.WriteFile("cut.unmask", b[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		r := unmask(t, "", "replay", "cut.unmask")
		if n > len(b)-16 { // only the checksum is missing
			r.want(t, exitDone, "bit-equal")
			continue
		}
		if r.code != exitFailed || !strings.Contains(r.err, "cut.unmask") || strings.Contains(r.out, "bit-equal") {
			t.Errorf("cut after %d of %d bytes: exit code %d, %q, %q", n, len(b), r.code, r.out, r.err)
		}
	}
}

func TestStoppedRunKeepsItsTrace(t *testing.T) {
	scripted(t, &enginetest.Session{FailAt: 4, Err: errors.New("out of paper")})
	unmask(t, "", "chat", "one two three four", "--trace", "chat.unmask").want(t, exitFailed, "out of paper")
	rec, err := trace.ReadFile("chat.unmask")
	if err != nil || len(rec.Steps) != 3 || rec.Reason != "out of paper" {
		t.Errorf("the trace has %d steps and the reason %q, %v", len(rec.Steps), rec.Reason, err)
	}
}

func TestModelsAndVerify(t *testing.T) {
	scripted(t, &enginetest.Session{})
	unmask(t, "", "models").want(t, exitDone, "Scripted", "low_confidence", "256 positions"[4:], "What is 27 + 46?")
	r := unmask(t, "", "models", "--json")
	var specs []engine.Spec
	if err := json.Unmarshal([]byte(r.out), &specs); err != nil || len(specs) != 1 || specs[0].Name != "Scripted" {
		t.Errorf("models --json: %v, %q", err, r.out)
	}
	unmask(t, "", "verify", "none").want(t, exitFailed, "none")
	unmask(t, "", "verify", ".").want(t, exitFailed)
}

// TestAnimations exports runs of words and of pictures and looks at the frames.
func TestAnimations(t *testing.T) {
	scripted(t, &enginetest.Session{})
	t.Setenv("UNMASK_GL", "software") // exact
	unmask(t, "", "chat", "one two three four", "--trace", "chat.unmask").want(t, exitDone)
	unmask(t, "", "paint", "a red boat", "-o", "boat.png").want(t, exitDone)
	unmask(t, "", "paint", "a red boat", "-o", "direct.gif").want(t, exitDone, "direct.gif")
	unmask(t, "", "replay", "boat.png", "-o", "boat.gif").want(t, exitDone, "bit-equal", "boat.gif")
	unmask(t, "", "replay", "--recorded", "chat.unmask", "-o", "chat.gif").want(t, exitDone, "chat.gif")
	unmask(t, "", "replay", "boat.png", "-o", "boat-sheet.png").want(t, exitDone)
	unmask(t, "", "replay", "--recorded", "boat.png", "-o", "recorded.gif").want(t, exitDone)
	unmask(t, "", "replay", "--recorded", "boat.png", "-o", "small.gif", "--width", "200", "--fps", "5", "--light").want(t, exitDone)
	if g := readGIF(t, "small.gif"); g.Config.Width != 200 {
		t.Errorf("small.gif is %d pixels wide", g.Config.Width)
	}
	unmask(t, "", "replay", "--recorded", "boat.png", "-o", "x.gif", "--width", "9").want(t, exitUsage, "[64, 2048]")
	for _, name := range []string{"direct.gif", "boat.gif", "chat.gif", "recorded.gif"} {
		g := readGIF(t, name)
		if len(g.Image) < 12 || g.Config.Width < 100 || g.Config.Height < 40 {
			t.Errorf("%s has %d frames of %d x %d", name, len(g.Image), g.Config.Width, g.Config.Height)
		}
		first, last := g.Image[0], image.NewRGBA(g.Image[0].Rect)
		for _, f := range g.Image {
			draw.Draw(last, f.Rect, f, f.Rect.Min, draw.Src)
		}
		differ := 0
		for y := range first.Rect.Dy() {
			for x := range first.Rect.Dx() {
				if r, _, _, _ := first.At(x, y).RGBA(); r>>8 != uint32(last.RGBAAt(x, y).R) {
					differ++
				}
			}
		}
		if differ < first.Rect.Dx()*first.Rect.Dy()/100 {
			t.Errorf("%s: the last frame differs from the first in %d pixels", name, differ)
		}
	}
	a, err := os.ReadFile("direct.gif")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile("boat.gif"); err != nil || !bytes.Equal(a, b) {
		t.Errorf("the animation of a run and of its replay differ: %d and %d bytes, %v", len(a), len(b), err)
	}
	if img, err := readPicture("boat-sheet.png"); err != nil || img.Bounds().Dx() < 400 {
		t.Errorf("sheet: %v", err)
	}
}

func readGIF(t *testing.T, name string) *gif.GIF {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gif.DecodeAll(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return g
}
