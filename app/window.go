package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"log"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/app"

	"unmask/app/history"
	"unmask/assets/icons"
	"unmask/engine/trace"
	"unmask/ui"
	"unmask/ui/glview/glprobe"
	"unmask/ui/state"
)

// windowTimeout is how long a window may take to appear; a busy machine with a software driver needs seconds.
const windowTimeout = 20 * time.Second

// window opens the window in a way that the preflight has tried and returns when it is closed. It must be called on the
// main goroutine. It returns errNoDisplay when Fyne makes no window after all.
func (c *call) window(ctx context.Context, mode windowMode) error {
	defer c.takeFynesLog(ctx)()
	if err := useMode(mode); err != nil {
		return err
	}
	session, err := openDevices(c.cfg, c.log)
	if err != nil {
		return err
	}
	kept, err := history.Open(ctx, c.cfg.DataDir, c.log)
	if err != nil {
		c.log.Warn("nothing will be kept", "err", err)
		if kept, err = history.OpenMemory(ctx, err); err != nil {
			return errors.Join(err, session.Close())
		}
	}
	app.SetMetadata(fyne.AppMetadata{
		ID: ui.ID, Name: "Unmask", Version: version, Build: 1,
		Icon:       fyne.NewStaticResource("icon.png", icons.PNG()),
		Migrations: map[string]bool{"fyneDo": true},
	})
	a := app.NewWithID(ui.ID)
	w := newWatchdog(a, windowTimeout, func() {
		c.giveUp(ctx, fmt.Sprintf("none came within %s", windowTimeout))
	})
	cfg := ui.Config{
		Session: session, Devices: session, Listen: session.listen, Models: c.shelf(), History: kept, Ref: c.cfg.ref(), Log: c.log, Version: version,
		Notice: kept.Notice(), Software: c.cfg.GL == "software", Encode: encodeRecord,
		Starting: func() {
			if mode.info.API == glprobe.EGL {
				glprobe.UseEGL()
			}
		},
		Shown: w.look,
	}
	if c.own.(*guiFlags).lines {
		cfg.Trace = c.lines()
	}
	defer w.stop()
	stopped := context.AfterFunc(ctx, func() { fyne.Do(a.Quit) }) // Ctrl+C, kill
	defer stopped()
	ui.Run(a, cfg)
	return nil
}

// encodeRecord writes a picture as PNG with the run that made it.
func encodeRecord(w io.Writer, img image.Image, rec state.Record) error {
	r := &trace.Run{Header: header(), Started: rec.Started, Steps: rec.Steps, Finished: rec.Finished}
	if rec.Finished == nil {
		r.Reason = string(rec.Run.State)
	}
	return trace.EncodePNG(w, img, r)
}

// takeFynesLog sends what Fyne prints to our log until the function that it returns is called.
func (c *call) takeFynesLog(ctx context.Context) (restore func()) {
	w, flags := log.Writer(), log.Flags()
	log.SetOutput(&fyneLog{to: c.log, noWindow: func() { c.giveUp(ctx, "the driver refused to make one") }})
	log.SetFlags(0)
	return func() { log.SetOutput(w); log.SetFlags(flags) }
}

// fyneLog passes what Fyne prints through the standard logger on to ours, one line a Write.
type fyneLog struct {
	to       *slog.Logger
	noWindow func() // called before Fyne, which could make no window, ends the program
	quiet    bool   // the lines after a harmless error belong to it
}

// Write implements [io.Writer].
func (f *fyneLog) Write(b []byte) (int, error) {
	line := strings.TrimSpace(string(b))
	if strings.HasPrefix(line, "Fyne error:") {
		// without a session bus the theme does not follow the desktop's, which is all that it means
		f.quiet = strings.Contains(line, "failed to watch theme settings")
	}
	level := slog.LevelWarn
	if f.quiet {
		level = slog.LevelDebug
	}
	f.to.Log(context.Background(), level, line)
	if strings.Contains(line, "window creation error") { // internal/driver/glfw, driver.initFailed
		f.noWindow()
	}
	return len(b), nil
}

// lines prints a line for everything that tests wait for. Standard output may be a pipe that nobody reads any more.
func (c *call) lines() func(string) {
	return func(line string) { io.WriteString(c.out, line+"\n") }
}

// giveUp ends the program where there is no window although the preflight found one. Fyne's loop cannot be left from
// another goroutine, so the program ends here; everything that the history took is on disk.
func (c *call) giveUp(ctx context.Context, why string) {
	err := c.headless(ctx, errors.New(why))
	os.Exit(exitCode(err, c.err))
}

// watchdog waits for the first window to get a size: Fyne goes on without a window when the driver refuses to make one.
type watchdog struct {
	app  fyne.App
	up   chan struct{} // closed when a window has a size
	once sync.Once
	quit chan struct{} // closed by stop
	over chan struct{} // closed when watch has ended
}

// newWatchdog starts to wait; late is called when no window has come in time.
func newWatchdog(a fyne.App, limit time.Duration, late func()) *watchdog {
	w := &watchdog{app: a, up: make(chan struct{}), quit: make(chan struct{}), over: make(chan struct{})}
	go w.watch(limit, late) // stop waits
	return w
}

func (w *watchdog) watch(limit time.Duration, late func()) {
	defer close(w.over)
	end := time.NewTimer(limit)
	defer end.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-w.up:
			return
		case <-w.quit:
			return
		case <-end.C:
			late()
			return
		case <-tick.C:
			fyne.Do(w.look)
		}
	}
}

// look runs on the window's goroutine. The canvas of a window that the driver refused has no size.
func (w *watchdog) look() {
	for _, win := range w.app.Driver().AllWindows() {
		if s := win.Canvas().Size(); s.Width > 0 && s.Height > 0 {
			w.once.Do(func() { close(w.up) })
		}
	}
}

// stop ends the waiting.
func (w *watchdog) stop() {
	close(w.quit)
	<-w.over
}
