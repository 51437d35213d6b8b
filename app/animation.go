package main

import (
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

// writeAnimation writes the run as an animated GIF.
func writeAnimation(w io.Writer, r *run.Run, cfg Config) error {
	return exported(r, cfg, func(o export.Options) error { return export.GIF(w, r, o) })
}

// writeSheet writes states of the run, evenly spaced, in one PNG.
func writeSheet(w io.Writer, r *run.Run, cfg Config) error {
	return exported(r, cfg, func(o export.Options) error {
		columns := sheetColumns
		if r.Started().Grid.Cols == 0 {
			columns = 2 // words need width
		}
		return export.Sheet(w, r, sheetStates, columns, o)
	})
}

// exported calls f with the options for r on a thread of its own, which OpenGL needs, and waits for it. Without OpenGL, or
// where the configuration says so, frames are drawn in software, with the same pixels.
func exported(r *run.Run, cfg Config, f func(export.Options) error) error {
	if r.Started() == nil {
		return export.ErrEmpty
	}
	fonts, err := glview.NewFonts(theme.DefaultTextFont().Content())
	if err != nil {
		return err
	}
	o := export.Default(r, fonts, true)
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
