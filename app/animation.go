package main

import (
	"flag"
	"fmt"
	"io"
	"runtime"

	"fyne.io/fyne/v2/theme"

	"unmask/ui/export"
	"unmask/ui/glview"
	"unmask/ui/run"
)

// Layout of a sheet of steps.
const (
	sheetStates  = 12
	sheetColumns = 4
)

// film is what a person can choose about an animation; the zero value is the usual look.
type film struct {
	width int // pixels; the height follows
	fps   int // frames a second while something moves
	light bool
}

// Ranges of a film.
const (
	minFilmWidth = 64
	maxFilmWidth = 2048
	maxFilmRate  = 50
)

// flags registers the flags of a film.
func (f *film) flags(fs *flag.FlagSet) {
	ranged := func(dst *int, lo, hi int) func(string) error {
		return func(v string) error {
			if err := setInt(dst, v); err != nil {
				return err
			}
			if *dst < lo || *dst > hi {
				return fmt.Errorf("%d is outside [%d, %d]", *dst, lo, hi)
			}
			return nil
		}
	}
	fs.Func("width", "`N`: width of the animation, pixels", ranged(&f.width, minFilmWidth, maxFilmWidth))
	fs.Func("fps", "`N`: frames a second of the animation", ranged(&f.fps, 1, maxFilmRate))
	fs.BoolVar(&f.light, "light", false, "draw the animation as the light theme does")
}

// writeAnimation writes the run as an animated GIF.
func writeAnimation(w io.Writer, r *run.Run, cfg Config, look film) error {
	return exported(r, cfg, look, func(o export.Options) error { return export.GIF(w, r, o) })
}

// writeSheet writes states of the run, evenly spaced, in one PNG.
func writeSheet(w io.Writer, r *run.Run, cfg Config, look film) error {
	return exported(r, cfg, look, func(o export.Options) error {
		columns := sheetColumns
		if r.Started().Grid.Cols == 0 {
			columns = 2 // words need width
		}
		return export.Sheet(w, r, sheetStates, columns, o)
	})
}

// exported calls f with the options for r on a thread of its own, which OpenGL needs, and waits for it. Without OpenGL, or
// where the configuration says so, frames are drawn in software, with the same pixels.
func exported(r *run.Run, cfg Config, look film, f func(export.Options) error) error {
	if r.Started() == nil {
		return export.ErrEmpty
	}
	fonts, err := glview.NewFonts(theme.DefaultTextFont().Content())
	if err != nil {
		return err
	}
	o := export.Default(r, fonts, !look.light)
	o.FPS = look.fps
	if look.width > 0 { // the same picture, smaller or larger
		o.Config.Scale = float32(look.width) / float32(o.Config.Width)
		o.Config.Height = o.Config.Height * look.width / o.Config.Width
		o.Config.Width = look.width
	}
	if cfg.GL == "software" {
		return f(o)
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this function
		if gl, err := glview.OpenGL(); err == nil {
			defer gl.Close()
			o.Renderer = gl
		}
		done <- f(o)
	}()
	return <-done
}
