package main

import (
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/png"
	"io"
	"runtime"
	"time"

	"fyne.io/fyne/v2/theme"

	"unmask/ui/glview"
	"unmask/ui/palette"
	"unmask/ui/run"
)

// Sizes and times of exported animations.
const (
	animWidth   = 640 // pixels, text
	animSide    = 384 // pixels, picture
	animMargin  = 16
	animTallest = 1200
	animFrame   = 80 * time.Millisecond // GIF counts hundredths of a second
	animTarget  = 8 * time.Second       // of the whole run; short runs take less
	animHold    = 2 * time.Second       // on the result
)

// film draws a run at any step and time.
type film struct {
	run   *run.Run
	scene *glview.Scene
	anim  *glview.Anim
	frame glview.Frame
	draw  glview.Renderer
	size  image.Point
}

// newFilm lays out a finished run and opens a renderer on the calling goroutine's thread.
func newFilm(r *run.Run, cfg Config) (*film, error) {
	if r.Len() == 0 {
		return nil, errors.New("the run has no step to show")
	}
	fonts, err := glview.NewFonts(theme.DefaultTextFont().Content())
	if err != nil {
		return nil, err
	}
	c := glview.Config{Width: animWidth, Height: animTallest, Scale: 1, Dark: true, View: palette.Confidence, Text: glview.Words, Margin: animMargin, Fonts: fonts}
	if r.Started().Grid.Cols > 0 {
		c.Width, c.Height, c.View, c.Text = animSide, animSide, palette.Picture, glview.NoText
	}
	f := &film{run: r}
	if f.scene, err = layOut(c, r); err != nil {
		return nil, err
	}
	if c.Text == glview.Words { // as high as its last line
		bottom := 0
		for p := range r.Positions() {
			if _, y, _, h, ok := f.scene.Place(p); ok {
				bottom = max(bottom, y+h)
			}
		}
		c.Height = min(animTallest, bottom+animMargin)
		if f.scene, err = layOut(c, r); err != nil {
			return nil, err
		}
	}
	f.anim = glview.NewAnim(f.scene)
	f.size = image.Pt(c.Width, c.Height)
	f.draw = renderer(cfg)
	return f, nil
}

func layOut(c glview.Config, r *run.Run) (*glview.Scene, error) {
	s, err := glview.NewScene(c)
	if err != nil {
		return nil, err
	}
	s.SetRun(r)
	return s, s.Update()
}

// renderer is OpenGL off the screen where it is wanted and there, else its twin in software.
func renderer(cfg Config) glview.Renderer {
	if cfg.GL != "software" {
		if r, err := glview.OpenGL(); err == nil {
			return r
		}
	}
	return glview.NewSoft()
}

// at draws the moment t of the film; the state shown is what [glview.Anim.Show] was told last.
func (f *film) at(t time.Duration) (*image.RGBA, error) {
	if err := glview.Compose(&f.frame, f.scene, f.anim, t); err != nil {
		return nil, err
	}
	img := image.NewRGBA(image.Rectangle{Max: f.size})
	return img, f.draw.Draw(&f.frame, img)
}

// show makes step n the state shown from time t on.
func (f *film) show(n int, t time.Duration, tween bool) {
	st := f.run.At(n)
	f.anim.Show(&st, t, tween, 0)
}

// shoot calls see with the frames of the whole run and how long each is shown.
func (f *film) shoot(see func(img *image.RGBA, d time.Duration) error) error {
	n := f.run.Len()
	perStep := min(max(int(animTarget/animFrame)/n, 1), 5) // frames
	var t time.Duration
	f.show(0, t, false)
	for step := 0; step <= n; step++ {
		if step > 0 {
			f.show(step, t, true)
		}
		for range perStep {
			img, err := f.at(t)
			if err != nil {
				return err
			}
			if err := see(img, animFrame); err != nil {
				return err
			}
			t += animFrame
		}
	}
	for f.anim.Moving(t) && t < time.Minute {
		img, err := f.at(t)
		if err != nil {
			return err
		}
		if err := see(img, animFrame); err != nil {
			return err
		}
		t += animFrame
	}
	img, err := f.at(t)
	if err != nil {
		return err
	}
	return see(img, animHold)
}

// onThread runs f on a thread of its own, as OpenGL needs, and waits for it. The thread ends with it.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		done <- f()
	}()
	return <-done
}

// writeAnimation writes the run as an animated GIF.
func writeAnimation(w io.Writer, r *run.Run, cfg Config) error {
	var frames []*image.RGBA
	var g gif.GIF
	err := onThread(func() error {
		f, err := newFilm(r, cfg)
		if err != nil {
			return err
		}
		defer f.draw.Close()
		return f.shoot(func(img *image.RGBA, d time.Duration) error {
			frames = append(frames, img)
			g.Delay = append(g.Delay, int(d/(10*time.Millisecond)))
			return nil
		})
	})
	if err != nil {
		return err
	}
	colours := quantise(frames)
	nearest := newNearest(colours)
	var shown *image.RGBA
	for i, img := range frames {
		part := img.Rect
		if shown != nil {
			if part = changed(shown, img); part.Empty() {
				part = image.Rect(0, 0, 1, 1)
			}
		}
		g.Image = append(g.Image, nearest.paletted(img, part))
		g.Disposal = append(g.Disposal, gif.DisposalNone)
		shown = frames[i]
	}
	g.Config = image.Config{ColorModel: colours, Width: frames[0].Rect.Dx(), Height: frames[0].Rect.Dy()}
	return gif.EncodeAll(w, &g)
}

// Sizes of a sheet of steps.
const (
	sheetColumns = 4
	sheetMost    = 16 // pictures
	sheetGap     = 8
)

// writeSheet writes up to sheetMost states of the run in one PNG, evenly spaced, the first and the last among them.
func writeSheet(w io.Writer, r *run.Run, cfg Config) error {
	var sheet *image.RGBA
	err := onThread(func() error {
		f, err := newFilm(r, cfg)
		if err != nil {
			return err
		}
		defer f.draw.Close()
		n := min(r.Len()+1, sheetMost)
		cols := min(n, sheetColumns)
		if f.size.X > animSide {
			cols = min(n, 2)
		}
		rows := (n + cols - 1) / cols
		sheet = image.NewRGBA(image.Rect(0, 0, cols*(f.size.X+sheetGap)-sheetGap, rows*(f.size.Y+sheetGap)-sheetGap))
		draw.Draw(sheet, sheet.Rect, image.NewUniform(color.Black), image.Point{}, draw.Src)
		for i := range n {
			t := time.Duration(i) * time.Minute // whatever moved before is at rest
			f.show(i*r.Len()/max(n-1, 1), t, false)
			img, err := f.at(t)
			if err != nil {
				return err
			}
			at := image.Pt(i%cols*(f.size.X+sheetGap), i/cols*(f.size.Y+sheetGap))
			draw.Draw(sheet, img.Rect.Add(at), img, image.Point{}, draw.Src)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return png.Encode(w, sheet)
}
