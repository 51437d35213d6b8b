package glview_test

import (
	"flag"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fyne.io/fyne/v2/theme"

	"unmask/engine"
	"unmask/ui/glview"
	"unmask/ui/palette"
	"unmask/ui/run"
	"unmask/ui/run/runtest"
)

// look is a folder to write frames to, to be looked at; nothing is compared with them.
var look = flag.String("look", "", "folder to write frames to")

func write(t *testing.T, name string, img image.Image) {
	t.Helper()
	f, err := os.Create(filepath.Join(*look, name+".png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

func TestLook(t *testing.T) {
	if *look == "" {
		t.Skip("nothing to look at without -look")
	}
	fonts, err := glview.NewFonts(theme.DefaultTextFont().Content())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		events []engine.Event
		w, h   int
		view   palette.View
		scale  float32
		step   int
	}{
		{"text", runtest.Text(), 760, 400, palette.Confidence, 1, 27},
		{"text-tokens", runtest.Text(), 760, 400, palette.Tokens, 1, 27},
		{"text-small", runtest.Text(), 396, 142, palette.Confidence, 1, 27},
		{"picture", runtest.Picture(16, 16, 64, 18), 448, 448, palette.Picture, 1, 11},
		{"picture-conf", runtest.Picture(16, 16, 64, 18), 252, 264, palette.Confidence, 1, 11},
		{"picture-order", runtest.Picture(16, 16, 64, 18), 252, 264, palette.Order, 1, 11},
		{"both", runtest.Both(), 1240, 430, palette.Confidence, 1, 14},
		{"both-2x", runtest.Both(), 1240, 430, palette.Entropy, 2, 14},
	} {
		for _, dark := range []bool{true, false} {
			r := new(run.Run)
			for _, e := range c.events {
				if _, ok := e.(*engine.Finished); !ok {
					if err := r.Add(e); err != nil {
						t.Fatal(err)
					}
				}
			}
			s, err := glview.NewScene(glview.Config{Width: int(float32(c.w) * c.scale), Height: int(float32(c.h) * c.scale), Scale: c.scale, Dark: dark, View: c.view, Margin: 12, Fonts: fonts})
			if err != nil {
				t.Fatal(err)
			}
			s.SetRun(r)
			if err := s.Update(); err != nil {
				t.Fatal(err)
			}
			for _, mode := range []string{"still", "moving"} {
				a := glview.NewAnim(s)
				st := r.At(c.step - 1)
				a.SetLive(true)
				a.Show(&st, 0, false, 0)
				a.SetPinned([]int{r.Started().Answer.Lo + 3}, 0)
				st = r.At(c.step)
				a.Show(&st, time.Second, mode == "moving", 200*time.Millisecond)
				var f glview.Frame
				if err := glview.Compose(&f, s, a, 1200*time.Millisecond); err != nil {
					t.Fatal(err)
				}
				img := image.NewRGBA(image.Rect(0, 0, f.W, f.H))
				began := time.Now()
				if err := glview.NewSoft().Draw(&f, img); err != nil {
					t.Fatal(err)
				}
				t.Logf("%s: %d boxes, %v", c.name, len(f.Boxes), time.Since(began))
				write(t, fmt.Sprintf("%s-%s-%v", c.name, mode, dark), img)
			}
		}
	}
}
