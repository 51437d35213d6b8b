package export_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"hash/crc32"
	"image"
	"image/gif"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"unmask/engine"
	"unmask/ui/export"
	"unmask/ui/glview"
	"unmask/ui/palette"
	"unmask/ui/run"
	"unmask/ui/run/runtest"
)

var look = flag.String("look", "", "folder to write animations to, to be looked at")

func record(t testing.TB, events []engine.Event) *run.Run {
	t.Helper()
	r := new(run.Run)
	for _, e := range events {
		if err := r.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func options(w, h int, title string) export.Options {
	return export.Options{Config: glview.Config{Width: w, Height: h, Dark: true, Margin: 12, View: palette.Tokens}, Title: title, Length: 3 * time.Second}
}

// TestFrames: every step is shown in order, times add up, and the end stays.
func TestFrames(t *testing.T) {
	r := record(t, runtest.Picture(8, 8, 32, 9))
	var total time.Duration
	step := 0
	var final *image.RGBA
	for f, err := range export.Frames(r, options(120, 140, "moon")) {
		if err != nil {
			t.Fatal(err)
		}
		if f.Step < step || f.Step > step+1 {
			t.Fatalf("step %d after %d", f.Step, step)
		}
		step = f.Step
		total += f.Delay
		final = f.Image
	}
	if step != r.Len() || total < 3*time.Second || total > 6*time.Second {
		t.Fatalf("ends at step %d of %d after %v", step, r.Len(), total)
	}
	still, err := export.Still(r, 1<<30, options(120, 140, "moon"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(still.Pix, final.Pix) {
		t.Error("the last frame is not the still of the last step")
	}
}

func TestLengthBounds(t *testing.T) {
	r := record(t, runtest.Text())
	o := options(200, 160, "")
	o.Length, o.Hold = time.Second, time.Second
	var total time.Duration
	for f, err := range export.Frames(r, o) {
		if err != nil {
			t.Fatal(err)
		}
		total += f.Delay
	}
	if total > 2800*time.Millisecond {
		t.Errorf("one second of steps takes %v in all", total)
	}
}

func TestGIF(t *testing.T) {
	r := record(t, runtest.Text())
	var a, b bytes.Buffer
	if err := export.GIF(&a, r, options(320, 200, "a letter")); err != nil {
		t.Fatal(err)
	}
	if err := export.GIF(&b, r, options(320, 200, "a letter")); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the same run gives other bytes")
	}
	g, err := gif.DecodeAll(&a)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Image) < 20 || g.Config.Width != 320 || g.LoopCount != 0 {
		t.Fatalf("%d frames, %d wide, loops %d", len(g.Image), g.Config.Width, g.LoopCount)
	}
	// Frames laid over each other end at the still of the last step, within what 255 colours can do.
	canvas := image.NewRGBA(image.Rect(0, 0, 320, 200))
	for _, f := range g.Image {
		for y := f.Rect.Min.Y; y < f.Rect.Max.Y; y++ {
			for x := f.Rect.Min.X; x < f.Rect.Max.X; x++ {
				if c := f.At(x, y); c != f.Palette[len(f.Palette)-1] {
					canvas.Set(x, y, c)
				}
			}
		}
	}
	still, err := export.Still(r, r.Len(), options(320, 200, "a letter"))
	if err != nil {
		t.Fatal(err)
	}
	far := 0
	for i := range still.Pix {
		if d := int(still.Pix[i]) - int(canvas.Pix[i]); max(d, -d) > 24 {
			far++
		}
	}
	if far > len(still.Pix)/200 {
		t.Errorf("%d of %d bytes are far from the still", far, len(still.Pix))
	}
}

// TestPNG checks the chunks of the animation, that a plain reader sees the end, and each checksum.
func TestPNG(t *testing.T) {
	r := record(t, runtest.Picture(8, 8, 32, 9))
	o := options(120, 120, "")
	var b bytes.Buffer
	if err := export.PNG(&b, r, o); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	still, err := export.Still(r, r.Len(), o)
	if err != nil {
		t.Fatal(err)
	}
	for y := range 120 {
		for x := range 120 {
			if r1, g1, b1, _ := img.At(x, y).RGBA(); r1>>8 != uint32(still.RGBAAt(x, y).R) || g1>>8 != uint32(still.RGBAAt(x, y).G) || b1>>8 != uint32(still.RGBAAt(x, y).B) {
				t.Fatalf("pixel (%d, %d) of the plain picture is not the end of the run", x, y)
			}
		}
	}
	var frames, sequence, announced uint32
	for p := b.Bytes()[8:]; len(p) > 0; {
		n := binary.BigEndian.Uint32(p)
		kind, data := string(p[4:8]), p[8:8+n]
		if crc32.ChecksumIEEE(p[4:8+n]) != binary.BigEndian.Uint32(p[8+n:]) {
			t.Fatalf("checksum of %s", kind)
		}
		switch kind {
		case "acTL":
			announced = binary.BigEndian.Uint32(data)
		case "fcTL", "fdAT":
			if s := binary.BigEndian.Uint32(data); s != sequence {
				t.Fatalf("%s has sequence number %d, want %d", kind, s, sequence)
			}
			sequence++
			if kind == "fcTL" {
				frames++
				x, y := binary.BigEndian.Uint32(data[12:]), binary.BigEndian.Uint32(data[16:])
				if w, h := binary.BigEndian.Uint32(data[4:]), binary.BigEndian.Uint32(data[8:]); x+w > 120 || y+h > 120 || w == 0 || h == 0 {
					t.Fatalf("frame %d of %d by %d at (%d, %d)", frames, w, h, x, y)
				}
			}
		}
		p = p[12+n:]
	}
	if frames != announced || frames < 10 {
		t.Errorf("%d frames, %d announced", frames, announced)
	}
}

func TestSheetAndDefaults(t *testing.T) {
	for name, events := range map[string][]engine.Event{"text": runtest.Text(), "picture": runtest.Picture(8, 8, 32, 9), "both": runtest.Both()} {
		r := record(t, events)
		o := export.Default(r, nil, true)
		o.Title = name
		still, err := export.Still(r, 3, o)
		if err != nil {
			t.Fatal(err)
		}
		if h := still.Rect.Dy(); h < 120 || h > 600 {
			t.Errorf("%s: %d pixels high", name, h)
		}
		var b bytes.Buffer
		if err := export.Sheet(&b, r, 6, 3, o); err != nil {
			t.Fatal(err)
		}
		c, err := png.DecodeConfig(&b)
		if err != nil {
			t.Fatal(err)
		}
		if c.Width != 3*(still.Rect.Dx()+8)+8 || c.Height != 2*(still.Rect.Dy()+8)+8 {
			t.Errorf("%s: sheet of %d by %d for stills of %v", name, c.Width, c.Height, still.Rect)
		}
	}
}

func TestRefuses(t *testing.T) {
	var b bytes.Buffer
	if err := export.GIF(&b, new(run.Run), options(100, 100, "")); !errors.Is(err, export.ErrEmpty) {
		t.Errorf("empty run: %v", err)
	}
	if err := export.PNG(&b, nil, options(100, 100, "")); !errors.Is(err, export.ErrEmpty) {
		t.Errorf("no run: %v", err)
	}
	r := record(t, runtest.Text())
	for _, o := range []export.Options{options(0, 100, ""), options(1<<20, 1<<20, ""), {Config: glview.Config{Width: 10, Height: 10}, FPS: 1000},
		{Config: glview.Config{Width: 10, Height: 10}, Length: time.Hour}} {
		if err := export.GIF(&b, r, o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	// A size without room for anything draws nothing, but draws.
	if err := export.GIF(&b, r, options(1, 1, "x")); err != nil {
		t.Error(err)
	}
}

func TestLook(t *testing.T) {
	if *look == "" {
		t.Skip("nothing to look at without -look")
	}
	for name, events := range map[string][]engine.Event{"letter": runtest.Text(), "moon": runtest.Picture(16, 16, 128, 18), "both": runtest.Both()} {
		r := record(t, events)
		o := options(480, 320, "Write a letter to Mira, who sent a lamp and lives on the other side of the hills")
		o.Length = 6 * time.Second
		if name == "both" {
			o.Config.Width = 800
		}
		d := export.Default(r, nil, name != "letter")
		d.Title = o.Title
		f, err := os.Create(filepath.Join(*look, name+"-sheet.png"))
		if err != nil {
			t.Fatal(err)
		}
		if err := export.Sheet(f, r, 4, 2, d); err != nil {
			t.Fatal(err)
		}
		f.Close()
		for ext, write := range map[string]func(f *os.File) error{
			".gif": func(f *os.File) error { return export.GIF(f, r, o) },
			".png": func(f *os.File) error { return export.PNG(f, r, o) },
		} {
			f, err := os.Create(filepath.Join(*look, name+ext))
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if err := write(f); err != nil {
				t.Fatal(err)
			}
			st, _ := f.Stat()
			t.Logf("%s%s: %d bytes, %v", name, ext, st.Size(), time.Since(began))
			f.Close()
		}
	}
}
