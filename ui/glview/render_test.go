package glview_test

import (
	"errors"
	"flag"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"unmask/engine"
	"unmask/ui/glview"
	"unmask/ui/paint"
	"unmask/ui/palette"
	"unmask/ui/run"
	"unmask/ui/run/runtest"
)

var update = flag.Bool("update", false, "write the golden pictures anew")

// shot is one frame of a run: what is drawn at time at, after steps from and then to were shown at time 0.
type shot struct {
	name     string
	events   []engine.Event
	cfg      glview.Config
	from, to int
	tween    bool
	at       time.Duration
	finished bool
}

var shots = []shot{
	{name: "text-still", events: runtest.Text(), cfg: glview.Config{Width: 320, Height: 200, Dark: true, Text: glview.Words}, to: 20},
	{name: "text-flash", events: runtest.Text(), cfg: glview.Config{Width: 320, Height: 200, View: palette.Confidence, Text: glview.Words}, from: 10, to: 11, tween: true, at: 60 * time.Millisecond},
	{name: "text-remask", events: runtest.Text(), cfg: glview.Config{Width: 320, Height: 200, Dark: true, Text: glview.Words}, from: 20, to: 21, tween: true, at: 100 * time.Millisecond},
	{name: "text-reduced", events: runtest.Text(), cfg: glview.Config{Width: 320, Height: 200, Dark: true, Text: glview.Words, ReduceMotion: true, Contrast: true}, from: 20, to: 21},
	{name: "cells-done", events: runtest.Text(), cfg: glview.Config{Width: 200, Height: 90, View: palette.Entropy, Text: glview.CellsOnly}, to: 38, finished: true},
	{name: "picture-still", events: runtest.Picture(8, 8, 32, 9), cfg: glview.Config{Width: 176, Height: 176, Dark: true, View: palette.Picture}, to: 5},
	{name: "picture-flash", events: runtest.Picture(8, 8, 32, 9), cfg: glview.Config{Width: 176, Height: 176, View: palette.Picture}, from: 4, to: 5, tween: true, at: 150 * time.Millisecond},
	{name: "picture-order", events: runtest.Picture(8, 8, 32, 9), cfg: glview.Config{Width: 100, Height: 100, View: palette.Order}, to: 5},
	{name: "both", events: runtest.Both(), cfg: glview.Config{Width: 420, Height: 180, View: palette.Tokens, Margin: 8}, to: 12},
}

// compose makes the frame of a shot.
func compose(t testing.TB, c shot) *glview.Frame {
	t.Helper()
	r := new(run.Run)
	for _, e := range c.events {
		if _, ok := e.(*engine.Finished); ok && !c.finished {
			continue
		}
		if err := r.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	s, err := glview.NewScene(c.cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.SetRun(r)
	if err := s.Update(); err != nil {
		t.Fatal(err)
	}
	a := glview.NewAnim(s)
	st := r.At(c.from)
	a.Show(&st, 0, false, 0)
	a.SetPinned([]int{r.Started().Answer.Lo + 2}, -time.Second)
	a.SetLive(c.tween)
	st = r.At(c.to)
	a.Show(&st, 0, c.tween, time.Second)
	f := new(glview.Frame)
	if err := glview.Compose(f, s, a, c.at); err != nil {
		t.Fatal(err)
	}
	return f
}

func render(t testing.TB, r glview.Renderer, f *glview.Frame) *image.RGBA {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, f.W, f.H))
	if err := r.Draw(f, img); err != nil {
		t.Fatal(err)
	}
	return img
}

// TestSoftGoldens: the software renderer gives exactly the pictures in testdata.
func TestSoftGoldens(t *testing.T) {
	for _, c := range shots {
		t.Run(c.name, func(t *testing.T) {
			img := render(t, glview.NewSoft(), compose(t, c))
			path := filepath.Join("testdata", c.name+".png")
			if *update {
				save(t, path, img)
				return
			}
			f, err := os.Open(path)
			if errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("%v; run with -update and look at it", err)
			} else if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			want, err := png.Decode(f)
			if err != nil {
				t.Fatal(err)
			}
			if d, at := worst(img, want); d > softTolerance {
				save(t, filepath.Join(t.ArtifactDir(), c.name+".png"), img)
				t.Fatalf("differs by %d at %v from %s; the picture is in %s", d, at, path, t.ArtifactDir())
			}
		})
	}
}

// softTolerance is 1 on machines that fuse multiplications and additions, where a sum may round the other way.
var softTolerance = map[bool]int{true: 0, false: 1}[runtime.GOARCH == "amd64"]

func save(t testing.TB, path string, img image.Image) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(f, img); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// worst is the largest difference of a colour byte, and where.
func worst(a, b image.Image) (int, image.Point) {
	if a.Bounds() != b.Bounds() {
		return 256, a.Bounds().Max
	}
	most, at := 0, image.Point{}
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			r1, g1, b1, _ := a.At(x, y).RGBA()
			r2, g2, b2, _ := b.At(x, y).RGBA()
			for _, d := range [3]int{int(r1>>8) - int(r2>>8), int(g1>>8) - int(g2>>8), int(b1>>8) - int(b2>>8)} {
				if d = max(d, -d); d > most {
					most, at = d, image.Pt(x, y)
				}
			}
		}
	}
	return most, at
}

// onGL runs fn on a locked thread with a GL renderer; without GL the test is skipped loudly, and fails where
// UNMASK_REQUIRE_GL is set.
func onGL(t *testing.T, fn func(r *glview.GL)) {
	t.Helper()
	done := make(chan error, 1)
	go func() { // received below
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		r, err := glview.NewCheckedGL(t)
		if err != nil {
			done <- err
			return
		}
		defer func() { done <- nil }()
		defer r.Close()
		fn(r)
	}()
	if err := <-done; err != nil {
		if os.Getenv("UNMASK_REQUIRE_GL") != "" {
			t.Fatalf("UNMASK_REQUIRE_GL is set, but there is no GL: %v", err)
		}
		fmt.Fprintf(os.Stderr, "WARNING: %s SKIPPED, there is no off-screen GL here: %v\n", t.Name(), err)
		t.Skip("no GL: ", err)
	}
}

// TestGLEqualsSoftware: every shot, drawn three times in changing order, is within 3/255 of the software renderer.
func TestGLEqualsSoftware(t *testing.T) {
	frames := make([]*glview.Frame, len(shots))
	for i, c := range shots {
		frames[i] = compose(t, c)
	}
	onGL(t, func(r *glview.GL) {
		t.Logf("%s", r.Info())
		for round := range 3 {
			for i, f := range frames {
				want := render(t, glview.NewSoft(), f)
				img := image.NewRGBA(want.Rect)
				if err := r.Draw(f, img); err != nil {
					t.Errorf("%s: %v", shots[i].name, err)
					return
				}
				if d, at := worst(img, want); d > 3 {
					t.Errorf("round %d: %s differs by %d at %v", round, shots[i].name, d, at)
				}
			}
		}
	})
}

// TestGLShapes draws every shape at uneven places and sizes, half transparent, in both renderers.
func TestGLShapes(t *testing.T) {
	f := &glview.Frame{W: 97, H: 61, Back: palette.Dark.Canvas}
	for i := range 24 {
		b := paint.Box{X: float32(i%6)*16 + .3*float32(i), Y: float32(i/6) * 15.4, W: 9 + float32(i%5)*2.25, H: 8.5, Radius: float32(i % 7),
			Fill: palette.Alpha(palette.Dark.Fill[i%16], .6), Shape: paint.Shape(i % 3)}
		if i%2 == 0 {
			b.Line, b.Width = palette.Alpha(palette.Dark.Text, .8), 1.5
		}
		f.Boxes = append(f.Boxes, b)
	}
	want := render(t, glview.NewSoft(), f)
	onGL(t, func(r *glview.GL) {
		img := image.NewRGBA(want.Rect)
		if err := r.Draw(f, img); err != nil {
			t.Error(err)
			return
		}
		if d, at := worst(img, want); d > 3 {
			t.Errorf("differs by %d at %v", d, at)
		}
	})
}

// failing is a renderer that breaks after some frames.
type failing struct{ left int }

func (f *failing) Info() string { return "failing" }
func (f *failing) Close() error { return nil }
func (f *failing) Draw(*glview.Frame, *image.RGBA) error {
	if f.left--; f.left < 0 {
		return errors.New("context lost")
	}
	return nil
}

// TestPainterFallsBack: a renderer that fails is replaced, and the frame that it failed on is drawn.
func TestPainterFallsBack(t *testing.T) {
	f := compose(t, shots[5])
	want := render(t, glview.NewSoft(), f)
	p := glview.NewPainter(func() (glview.Renderer, error) { return &failing{left: 1}, nil }, slog.New(slog.DiscardHandler))
	img := image.NewRGBA(want.Rect)
	for range 2 {
		done := make(chan error)
		if !p.Paint(f, img, func(err error) { done <- err }) {
			t.Fatal("refused")
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	p.Close()
	if d, _ := worst(img, want); d != 0 {
		t.Error("the second frame was not drawn in software")
	}
	if soft, why := p.Software(); !soft || why != "context lost" || p.Info() != "software" {
		t.Errorf("software %v because %q, info %q", soft, why, p.Info())
	}
	if p.Paint(f, img, func(error) {}) {
		t.Error("a closed painter took a frame")
	}
	p.Close()
	p = glview.NewPainter(func() (glview.Renderer, error) { return nil, errors.New("no display") }, slog.New(slog.DiscardHandler))
	p.Close()
	if soft, why := p.Software(); !soft || why != "no display" {
		t.Errorf("software %v because %q", soft, why)
	}
}

func BenchmarkSoftFrame(b *testing.B) { benchmark(b, glview.NewSoft()) }

func benchmark(b *testing.B, r glview.Renderer) {
	c := shots[5]
	c.events, c.cfg.Width, c.cfg.Height = runtest.Picture(16, 16, 256, 18), 640, 480
	f := compose(b, c)
	img := image.NewRGBA(image.Rect(0, 0, f.W, f.H))
	for b.Loop() {
		if err := r.Draw(f, img); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGLFrame(b *testing.B) {
	runtime.LockOSThread()
	r, err := glview.OpenGL()
	if err != nil {
		b.Skip(err)
	}
	defer r.Close()
	benchmark(b, r)
}
