package trace

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"unmask/engine"
)

// sample is a small inpainting run with every kind of event and picture.
func sample() []engine.Event {
	img := image.NewNRGBA(image.Rect(0, 0, 6, 4))
	for i := range img.Pix {
		img.Pix[i] = byte(37*i) | 1
	}
	mask := image.NewAlpha(image.Rect(1, 1, 5, 4))
	mask.SetAlpha(2, 2, color.Alpha{A: 255})
	seq := &engine.Sequence{
		Tokens: []engine.Token{7, 9, 2, 2}, Fixed: []bool{true, false, false, false},
		Spans: []engine.Span{{Lo: 0, Hi: 1}, {Lo: 1, Hi: 4, Modality: engine.Image}},
	}
	seq.Tokens[1] = 2
	started := &engine.Started{
		Job: engine.Job{ID: "a", Task: engine.Inpaint, Messages: []engine.Message{{Role: "user", Text: "a cät\n\"x\""}, {Role: "user", Text: "b", Image: img}},
			Image: img, Mask: mask, Options: engine.Options{Steps: 3, Sampler: "maskgit", Schedule: "cosine", Seed: 1<<64 - 1, Params: engine.Params{"choice_temperature": 1.5}}, Words: []engine.Word{{At: 1, Text: "a"}},
			From: &engine.From{Run: "earlier", Step: 2, Tokens: []engine.Token{1}, Pinned: []int{0}, Anew: true, Acts: []engine.Act{{Kind: engine.ActPin, Was: "b", Text: "a"}}}},
		Spec:     engine.Spec{Name: "toy", Family: "mmada", Hash: "abc", Vocab: 20, Mask: 2},
		Sequence: seq, Texts: []string{"x", "", "", ""}, Answer: engine.Span{Lo: 1, Hi: 4, Modality: engine.Image},
		Grid: engine.Grid{Cols: 3, Rows: 1}, Steps: 3, Source: img,
	}
	block := engine.Span{Lo: 1, Hi: 4, Modality: engine.Image}
	one := engine.Step{Index: 0, Block: block, Masked: 1, NFE: 2, Forward: 5 * time.Millisecond, Changes: []engine.Change{
		{Pos: 1, From: 2, To: 11, Prob: 0.1, Margin: 0.05, Entropy: 2.25, Top: []engine.Alternative{{Token: 11, Prob: 0.1}}},
		{Pos: 3, From: 2, To: 12, Prob: 1}}}
	two := engine.Step{Index: 1, Block: block, Masked: 0, NFE: 4, Looks: []engine.Look{{Pos: block.Lo, Token: 1, Prob: 0.5}}, Changes: []engine.Change{
		{Pos: 1, From: 11, To: 13, Kind: engine.Edit, Prob: 0.3}, {Pos: 2, From: 2, To: 14, Prob: 1.0 / 3, Text: "t"}}}
	last := seq.Clone()
	last.Apply(one.Changes)
	last.Apply(two.Changes)
	return []engine.Event{started, one, &engine.Preview{Step: 0, Image: img}, two,
		&engine.Finished{Sequence: last, Image: img, Stats: engine.Stats{Steps: 2, NFE: 4, Tokens: 3, Wall: time.Second}}}
}

func record(t testing.TB, events []engine.Event) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, "unmask test")
	for _, ev := range events {
		if err := w.Write(ev); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	events := sample()
	run, err := Read(bytes.NewReader(record(t, events)), "x")
	if err != nil {
		t.Fatal(err)
	}
	var got []engine.Event
	for ev, err := range (&Player{Recorded: run}).Run(t.Context(), engine.Job{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ev)
	}
	if len(got) != len(events) {
		t.Fatalf("%d events, want %d", len(got), len(events))
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], events[i]) {
			t.Errorf("event %d:\n got %+v\nwant %+v", i, got[i], events[i])
		}
	}
	if !reflect.DeepEqual(run.Sequence(99).Tokens, run.Finished.Sequence.Tokens) {
		t.Errorf("steps make %v, want %v", run.Sequence(99).Tokens, run.Finished.Sequence.Tokens)
	}
	if run.Program != "unmask test" || run.Version != Version || time.Since(run.Created) > time.Minute {
		t.Errorf("header %+v", run.Header)
	}
	again, err := Read(bytes.NewReader(record(t, events)), "x")
	if err != nil {
		t.Fatal(err)
	}
	if d := Diff(run, again); d != "" {
		t.Error(d)
	}
	again.Steps[1].Changes[0].To = 15
	if d := Diff(run, again); d != "step 2: position 1: edit 11 to 13, and edit 11 to 15" {
		t.Error(d)
	}
}

func TestPNG(t *testing.T) {
	events := sample()
	run, err := Read(bytes.NewReader(record(t, events)), "x")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := EncodePNG(&b, run.Finished.Image, run); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if d := diffPicture(toNRGBA(img), run.Finished.Image); d != "" {
		t.Error(d)
	}
	for _, want := range []string{"seed\x00\x00\x00\x00\x0018446744073709551615", "prompt\x00\x00\x00\x00\x00a cät", "toy sha256:abc", "Sampler: maskgit", "choice_temperature: 1.5"} {
		if !bytes.Contains(b.Bytes(), []byte(want)) {
			t.Errorf("the PNG lacks %q", want)
		}
	}
	path := filepath.Join(t.TempDir(), "x.png")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	back, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	run.Previews = nil
	if !reflect.DeepEqual(run, back) {
		t.Errorf("the run came back as %+v, want %+v", back, run)
	}
	for _, c := range []struct {
		data []byte
		want string
	}{
		{b.Bytes()[:len(b.Bytes())/2], "PNG"},
		{bytes.Replace(b.Bytes(), []byte(runChunk), []byte("umRm"), 1), "carries no run"},
		{bytes.Replace(b.Bytes(), []byte(runChunk+"\x1f"), []byte(runChunk+"\x1e"), 1), "checksum"},
	} {
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

// TestCutOff reads every beginning of a file: an error, and no step that the whole file has not.
func TestCutOff(t *testing.T) {
	whole := record(t, sample())
	most := 0
	for n := 0; n < len(whole)-8; n += 5 { // the gzip trailer is not needed
		run, err := Read(bytes.NewReader(whole[:n]), "x")
		if run != nil && run.Finished != nil {
			continue
		}
		if err == nil || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			t.Fatalf("%d of %d bytes: error %v", n, len(whole), err)
		}
		if run != nil {
			most = max(most, len(run.Steps))
		}
	}
	if most != 2 {
		t.Errorf("at most %d steps came back, want 2", most)
	}
}

func TestEnd(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b, "p")
	if err := w.Write(sample()[1]); err == nil || !strings.Contains(err.Error(), "not Started") {
		t.Errorf("a step first: %v", err)
	}
	w = NewWriter(&b, "p")
	for _, ev := range sample()[:2] {
		if err := w.Write(ev); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.End(errors.New("no such luck")), w.Close()); err != nil {
		t.Fatal(err)
	}
	run, err := Read(&b, "x")
	if err != nil || run.Reason != "no such luck" || len(run.Steps) != 1 {
		t.Errorf("%+v, %v", run, err)
	}
}

func TestFullDisk(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev/full")
	}
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	w := NewWriter(f, "p")
	err = w.Write(sample()[0])
	if err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("error %v", err)
	}
	if again := w.Close(); again == nil {
		t.Error("Close reports no error after a failed write")
	}
}

func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x"+Suffix)
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := Create(path, "p")
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range sample()[:3] {
		if err := w.Write(ev); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "old" {
		t.Errorf("the file holds %q before Close, %v", b, err)
	}
	if run, err := ReadFile(path + ".part"); run == nil || len(run.Steps) != 1 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("what a kill would leave: %+v, %v", run, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + ".part"); err == nil {
		t.Error("the part file is still there")
	}
}

// lines rewrites the lines of a run file.
func lines(t testing.TB, data []byte, edit func([]string) []string) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	out := gzip.NewWriter(&b)
	if _, err := io.WriteString(out, strings.Join(edit(strings.Split(string(text), "\n")), "\n")); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var hostile = []struct{ old, new, want string }{
	{`"unmask_run":1`, `"unmask_run":2`, "version 2, this program reads 1 to 1"},
	{`"fixed":[true,false,false,false]`, `"fixed":[true]`, "4 tokens, 1 fixed"},
	{`"hi":1}`, `"hi":2}`, "follows position 2"},
	{`"answer":{"lo":1,"hi":4`, `"answer":{"lo":1,"hi":5`, "[1, 5) is outside the 4 positions"},
	{`"cols":3`, `"cols":5`, "5 x 1 cells of 4"},
	{`"tokens":[7,`, `"tokens":[70,`, "token 70 at position 0, the vocabulary has 20"},
	{`"pictures":4`, `"pictures":40`, "40 follow, at most 5"},
	{`"role":"mask"`, `"role":"message.9"`, "2 messages"},
	{`"role":"mask"`, `"role":"hat"`, "no known role"},
	{`"pos":3,`, `"pos":4,`, "changes position 4 of 4"},
	{`"pos":3,`, `"pos":0,`, "fixed position 0"},
	{`"from":11,`, `"from":12,`, "token 11 is there, not 12"},
	{`"to":12,`, `"to":-1,`, "token -1"},
	{`"kind":2,`, `"kind":7,`, "kind 7, want 0 to 2"},
	{`"masked":1`, `"masked":9`, "9 masked of 4"},
	{`{"step":{"index":1`, `{"stop":{"index":1`, "no known kind"},
	{`[7,13,14,12]`, `[7,13,14,13]`, "token 13 at position 3, the steps made it 12"},
	{`"png":"iVBOR`, `"png":"AAAAA`, "no picture"},
}

func TestHostile(t *testing.T) {
	good := record(t, sample())
	for _, c := range hostile {
		found := false
		data := lines(t, good, func(l []string) []string {
			for i := range l {
				if strings.Contains(l[i], c.old) && !found {
					l[i], found = strings.Replace(l[i], c.old, c.new, 1), true
				}
			}
			return l
		})
		if !found {
			t.Errorf("no line holds %s", c.old)
		}
		_, err := Read(bytes.NewReader(data), "x.unmask")
		var fe *engine.FormatError
		if !errors.As(err, &fe) || fe.Path != "x.unmask" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.new, err, c.want)
		}
	}
	d := &Reader{lines: bufio.NewReaderSize(strings.NewReader(strings.Repeat(" ", 200_000)+"\n"), 16), limit: 100_000}
	if b, err := d.line(); err == nil || !strings.Contains(err.Error(), "a line is over 100000 bytes long") {
		t.Errorf("a line of %d bytes: %v", len(b), err)
	}
	if _, err := Read(strings.NewReader("GIF89a"), "x"); err == nil || !strings.Contains(err.Error(), "gzip") {
		t.Errorf("no gzip: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"unmask_run":1,"started":{"sequence":{"tokens":[1],"fixed":[false],"spans":[{"lo":0,"hi":1}]}},"pictures":0}` + "\n" +
		`{"step":{"changes":[{"pos":0,"from":1,"to":2}]}}` + "\n"))
	z, err := gzip.NewReader(bytes.NewReader(record(f, sample())))
	if err != nil {
		f.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(text)
		_ = w.Close()
		run, err := Read(&b, "x")
		if err == nil && run.Started != nil {
			run.Sequence(len(run.Steps))
			if _, err := json.Marshal(run.Started); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzPNG(f *testing.F) {
	run, err := Read(bytes.NewReader(record(f, sample())), "x")
	if err != nil {
		f.Fatal(err)
	}
	var b bytes.Buffer
	if err := EncodePNG(&b, run.Finished.Image, run); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = readPNG(bytes.NewReader(data), "x") })
}

// TestVectors reads a run over pictures that stand in the sequence as tokens beyond the vocabulary, where they are fixed
// and the model has such.
func TestVectors(t *testing.T) {
	for _, c := range []struct {
		vectors bool
		token   engine.Token
		at      int
		ok      bool
	}{{true, 20, 0, true}, {true, 23, 0, true}, {true, 24, 0, false}, {false, 20, 0, false}, {true, 20, 1, false}} {
		events := sample()
		started := events[0].(*engine.Started)
		started.Spec.Vectors = c.vectors
		started.Sequence.Tokens[c.at] = c.token
		if c.at == 0 { // fixed, so it stays
			events[len(events)-1].(*engine.Finished).Sequence.Tokens[0] = c.token
		}
		if _, err := Read(bytes.NewReader(record(t, events)), "x"); (err == nil) != c.ok {
			t.Errorf("%+v: error %v", c, err)
		}
	}
}
