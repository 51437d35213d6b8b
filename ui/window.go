// Package ui is the window: panes around one State, a runner for what they ask, and the shell that holds them.
package ui

import (
	"context"
	"image"
	"image/png"
	"io"
	"log/slog"
	"time"

	"fyne.io/fyne/v2"

	"unmask/engine"
	"unmask/ui/glview"
	"unmask/ui/glview/panel"
	"unmask/ui/state"
	"unmask/ui/theme"
)

// Config is what a window is made from.
type Config struct {
	Session engine.Session  // nothing is loaded yet; the window closes it
	History state.History   // the window closes it
	Ref     engine.ModelRef // what to load
	// Models, when not nil, keeps the list of models and looks at their files.
	Models state.Shelf
	// Devices, when not nil, chooses where models run.
	Devices state.Devices
	// Listen, when not nil, is called once with a function that shows a sentence of the engine; it may be called from any
	// goroutine.
	Listen  func(say func(text string))
	Log     *slog.Logger
	Version string // of the program, for Help
	// Trace, when not nil, gets a line for everything that tests wait for: "READY", "PANE chat", "STEP 12/32". It is called
	// on the window's goroutine.
	Trace func(line string)
	// Software draws the denoising canvas in software, whatever GL there is.
	Software bool
	// Encode, when not nil, writes a picture with the run that made it into a PNG file. Record is read from the history.
	Encode func(w io.Writer, img image.Image, rec state.Record) error
	// Notice, when not "", is shown once at the start: what happened to the history.
	Notice string
	// Starting, when not nil, is called on the window's goroutine before the window is made.
	Starting func()
	// Shown, when not nil, is called once the window is on the screen.
	Shown func()
}

// ID is the program's id for preferences.
const ID = "io.github.unmask.unmask"

// Run shows the window in a and returns when it is closed. It must be called on the main goroutine. Preferences of a
// hold the window's size only.
func Run(a fyne.App, cfg Config) {
	var w *Window
	a.Lifecycle().SetOnStarted(func() {
		if cfg.Starting != nil {
			cfg.Starting()
		}
		w = newWindow(a, cfg)
		w.win.Show()
		w.begin()
		if cfg.Notice != "" {
			w.Dispatch(state.NotKept{Err: notice(cfg.Notice)})
		}
		if cfg.Shown != nil {
			cfg.Shown()
		}
	})
	a.Run()
	if w != nil {
		w.close()
	}
}

// Window is the program's one window.
type Window struct {
	app    fyne.App
	cfg    Config
	win    fyne.Window
	box    *mailbox
	runner *Runner
	store  *Store
	shell  *shell
	trace  tracer
	start  time.Time
	stage  panel.Options
	paint  *glview.Painter

	stop chan struct{} // closed to end the pump
	over chan struct{} // closed by the pump when it has ended
}

func newWindow(a fyne.App, cfg Config) *Window {
	w := &Window{app: a, cfg: cfg, box: newMailbox(), start: time.Now(), stop: make(chan struct{}), over: make(chan struct{})}
	w.runner = newRunner(cfg.Session, cfg.History, cfg.Ref, w.box, cfg.Log)
	w.runner.shelf, w.runner.devices = cfg.Models, cfg.Devices
	if cfg.Devices != nil {
		w.box.put(letter{msg: state.DeviceTried{Name: cfg.Devices.Now()}})
	}
	if cfg.Listen != nil {
		cfg.Listen(func(text string) { w.box.put(letter{msg: state.Said{Text: text}}) })
	}
	w.store = newStore(w.box, w.runner.Do, cfg.Log)
	w.trace = tracer{line: cfg.Trace}
	a.Settings().SetTheme(theme.Theme{})
	w.openStage()
	w.win = a.NewWindow("Unmask")
	w.win.SetPadded(false)
	w.win.SetIcon(theme.Icon("icon"))
	w.win.SetMaster()
	w.shell = newShell(w)
	w.win.SetContent(w.shell.root)
	p := a.Preferences()
	w.win.Resize(fyne.NewSize(float32(p.FloatWithFallback("width", 1280)), float32(p.FloatWithFallback("height", 800))))
	w.win.SetOnDropped(w.shell.dropped)
	w.keys()
	w.store.listen = func(s *state.State) {
		w.shell.apply(s)
		w.trace.state(s)
		w.trace.places(w)
	}
	w.store.ended = w.trace.ended
	return w
}

// openStage prepares what all denoising canvases share.
func (w *Window) openStage() {
	w.stage = panel.Options{
		Log:          w.cfg.Log,
		Reduce:       func() bool { return w.store.now.Look.ReduceMotion },
		MoreContrast: func() bool { return w.store.now.Look.MoreContrast },
	}
	open := glview.OpenGL
	if w.cfg.Software {
		open = func() (glview.Renderer, error) { return glview.NewSoft(), nil }
	}
	w.paint = glview.NewPainter(open, w.cfg.Log)
	w.stage.Painter = w.paint
	fonts, err := glview.NewFonts(theme.Theme{}.Font(fyne.TextStyle{}).Content())
	if err != nil {
		w.cfg.Log.Warn("fonts of the denoising canvas", "err", err)
		return
	}
	w.stage.Fonts = fonts
}

// begin asks for what an earlier start kept, and lets the mailbox be emptied.
func (w *Window) begin() {
	_, cmds := state.Start()
	for _, c := range cmds {
		w.runner.Do(c)
	}
	go w.pump() // close waits
}

// frame is the shortest time between two looks into the mailbox.
const frame = time.Second / 30

// pump has the mailbox emptied on the window's goroutine when there is mail, at most 30 times a second.
func (w *Window) pump() {
	defer close(w.over)
	tick := time.NewTicker(frame)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-w.box.ready:
			fyne.DoAndWait(w.tick)
		}
		select {
		case <-w.stop:
			return
		case <-tick.C:
		}
	}
}

// tick shows what has come since the last one.
func (w *Window) tick() {
	if w.store.Drain() {
		w.shell.observe()
		w.trace.steps(w.store)
		w.trace.places(w)
	}
}

// close stops everything and keeps what was made.
func (w *Window) close() {
	close(w.stop)
	select { // the loop that would run a pending DoAndWait is over
	case <-w.over:
	case <-time.After(time.Second):
	}
	w.shell.close()
	w.paint.Close()
	w.runner.Close()
	if err := w.cfg.Session.Close(); err != nil {
		w.cfg.Log.Error("close", "err", err)
	}
	if err := w.cfg.History.Close(); err != nil {
		w.cfg.Log.Error("close", "err", err)
	}
}

// Dispatch implements [state.Env].
func (w *Window) Dispatch(m state.Msg) { w.store.Dispatch(m) }

// View implements [state.Env].
func (w *Window) View(id string) *state.View { return w.store.View(id) }

// Explain implements [state.Env].
func (w *Window) Explain(err error) state.Trouble { return Explain(err) }

// Note implements [state.Env].
func (w *Window) Note(text string) {
	w.shell.note(text)
	w.trace.places(w)
}

// Now implements [state.Env].
func (w *Window) Now() time.Duration { return time.Since(w.start) }

// Window implements parts.Env.
func (w *Window) Window() fyne.Window { return w.win }

// Thumb implements parts.Env.
func (w *Window) Thumb(id string) image.Image {
	img, ask := w.store.Thumb(id)
	if ask {
		w.runner.thumb(id)
	}
	return img
}

// EncodePicture implements parts.Encoder.
func (w *Window) EncodePicture(to fyne.URIWriteCloser, run string, img image.Image) error {
	if w.cfg.Encode != nil && run != "" {
		rec, err := w.cfg.History.Record(context.Background(), run)
		if err == nil {
			return w.cfg.Encode(to, img, rec)
		}
		w.cfg.Log.Warn("a picture is saved without what made it", "job", run, "err", err)
	}
	return png.Encode(to, img)
}

// Cells implements parts.Env.
func (w *Window) Cells(tokens []engine.Token) map[engine.Token]image.Image {
	known, ask := w.store.Cells(tokens)
	if len(ask) > 0 {
		w.runner.cells(ask)
	}
	return known
}

// Seek implements parts.Env.
func (w *Window) Seek(step int) {
	w.shell.observe() // the time line may not know yet which run is shown
	if tl := w.shell.timeline(); tl != nil {
		tl.Seek(step)
	}
}

// Stage implements parts.Env.
func (w *Window) Stage() panel.Options { return w.stage }

// Scale implements parts.Env.
func (w *Window) Scale() float32 { return w.win.Canvas().Scale() }
