// Package panel shows the denoising canvas in a window. It is the thin part between package glview, which needs no toolkit,
// and Fyne.
package panel

// size: the view's gestures, clock and renderer share one state.

import (
	"image"
	"log/slog"
	"slices"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/glview"
	"unmask/ui/palette"
	"unmask/ui/run"
	"unmask/ui/theme"
)

// maxFrame bounds a frame's pixels; larger panels show it scaled up.
const maxFrame = 960 * 720 * 2

// Options are what all views of a window share.
type Options struct {
	Painter *glview.Painter // nil: drawn at once, in software, on the UI goroutine
	Fonts   *glview.Fonts
	Log     *slog.Logger
	FPS     int         // frames a second at most; 0: 30
	Reduce  func() bool // reduce motion; nil: no
	// MoreContrast draws a line around every mask, as a theme with Contrast does by itself; nil: no.
	MoreContrast func() bool
}

// View shows one run at one step. It draws while something moves, never while it is hidden, and never more often than
// Options.FPS. All methods are for the UI goroutine.
type View struct {
	widget.BaseWidget
	OnTapped func(pos int, at fyne.Position) // a token was chosen; at is in the view
	OnHover  func(pos int)                   // -1: none
	// OnPaint, when not nil, gets the positions that a drag has passed over, ascending, once it ends.
	OnPaint func(pos []int)

	o      Options
	text   glview.TextStyle
	view   palette.View
	bare   bool // without the picture
	margin float32

	run    *run.Run
	step   int
	state  run.State
	pinned []int
	hidden []int        // shown masked, whatever the run says
	stroke map[int]bool // positions under a drag
	active bool

	scene   *glview.Scene
	anim    *glview.Anim
	pal     *palette.Palette
	width   int
	height  int
	image   *canvas.Image
	buffers [3]*image.RGBA
	next    int
	frame   glview.Frame
	runs    int  // how many were set: frames of earlier ones are not shown
	drawing bool // the painter has frame and a buffer
	dirty   bool
	broken  error

	clock   func() time.Duration
	ticking *fyne.Animation
	drawn   time.Duration
	awaited int // ticks waited for the first painting
	frames  int
	hoverAt int
}

var (
	_ fyne.Tappable     = (*View)(nil)
	_ desktop.Hoverable = (*View)(nil)
	_ fyne.Draggable    = (*View)(nil)
)

// New makes an empty view.
func New(o Options) *View {
	began := time.Now()
	v := &View{o: o, margin: 12, active: true, hoverAt: -1, clock: func() time.Duration { return time.Since(began) }}
	if v.o.FPS <= 0 {
		v.o.FPS = 30
	}
	if v.o.Log == nil {
		v.o.Log = slog.New(slog.DiscardHandler)
	}
	v.image = canvas.NewImageFromImage(image.NewRGBA(image.Rect(0, 0, 1, 1)))
	v.image.ScaleMode = canvas.ImageScaleFastest
	v.image.FillMode = canvas.ImageFillStretch
	v.image.CornerRadius = theme.RadiusCard
	v.ExtendBaseWidget(v)
	return v
}

// SetRun shows another run at its newest step; nil shows none.
func (v *View) SetRun(r *run.Run) {
	v.run, v.step, v.pinned, v.hidden, v.stroke = r, 0, nil, nil, nil
	if r != nil {
		v.step = r.Len()
	}
	v.scene = nil
	v.runs++
	if r == nil || r.Started() == nil { // nothing stays of the run before
		v.image.Image = image.NewRGBA(image.Rect(0, 0, 1, 1))
		v.image.Refresh()
	}
	v.redraw()
}

// SetStep shows step n. With tween what changed since the step shown moves, without it the state is there at once.
func (v *View) SetStep(n int, tween bool) {
	if v.run == nil {
		return
	}
	v.step = n
	v.show(tween)
	v.redraw()
}

// Update shows what was added to the run at the step shown: its picture, longer lines. It is cheap.
func (v *View) Update() { v.redraw() }

// SetView changes what colours mean.
func (v *View) SetView(view palette.View) {
	if v.view == view {
		return
	}
	layout := (v.view == palette.Picture) != (view == palette.Picture)
	v.view = view
	if layout || v.scene == nil {
		v.scene = nil
	} else {
		v.scene.SetView(view)
	}
	v.redraw()
}

// SetText changes how text is drawn.
func (v *View) SetText(t glview.TextStyle) {
	if v.text != t {
		v.text, v.scene = t, nil
		v.redraw()
	}
}

// SetPicture shows or leaves out the picture of a run that has text too.
func (v *View) SetPicture(on bool) {
	if v.bare == on {
		v.bare, v.scene = !on, nil
		v.redraw()
	}
}

// SetMargin sets the room around everything, in units; it is 12.
func (v *View) SetMargin(m float32) {
	if v.margin != m {
		v.margin, v.scene = m, nil
		v.redraw()
	}
}

// SetPinned frames positions.
func (v *View) SetPinned(pos []int) {
	if slices.Equal(pos, v.pinned) {
		return
	}
	v.pinned = pos
	if v.anim != nil {
		v.anim.SetPinned(pos, v.clock())
	}
	v.redraw()
}

// SetHidden shows positions masked, whatever the run says; the same ones cost nothing.
func (v *View) SetHidden(pos []int) {
	if slices.Equal(pos, v.hidden) {
		return
	}
	v.hidden = pos
	v.show(false)
	v.redraw()
}

// Wake draws what is due after the view, or something around it, was shown again: Fyne tells nobody. It costs nothing when
// nothing is due, so a pane may call it whenever it looks at its run.
func (v *View) Wake() {
	if v.ticking == nil {
		v.tick()
	}
}

// SetActive says whether the view may draw at all.
func (v *View) SetActive(on bool) {
	v.active = on
	if on {
		v.redraw()
	} else {
		v.stop()
	}
}

// Frames is how many frames were drawn so far.
func (v *View) Frames() int { return v.frames }

// Err is why nothing can be drawn, or nil.
func (v *View) Err() error { return v.broken }

func (v *View) redraw() {
	v.dirty = true
	v.awaited = 0
	v.tick()
}

// show tells the animation which state is shown.
func (v *View) show(tween bool) {
	if v.run == nil || v.anim == nil {
		return
	}
	v.run.AtInto(&v.state, v.step)
	hide := func(p int) {
		if p >= 0 && p < len(v.state.Cells) && !v.state.Cells[p].Masked {
			v.state.Cells[p].Masked = true
			v.state.Masked++
		}
	}
	for _, p := range v.hidden {
		hide(p)
	}
	for p := range v.stroke {
		hide(p)
	}
	took := time.Duration(0)
	if n := min(v.step, v.run.Len()); n > 0 {
		took = v.run.Infos()[n-1].Took
	}
	v.anim.Show(&v.state, v.clock(), tween, took)
}

// prepare makes the scene anew when the size, the theme or the run changed, and reports whether there is one.
func (v *View) prepare() bool {
	size := v.Size()
	c := fyne.CurrentApp().Driver().CanvasForObject(v)
	if all := fyne.CurrentApp().Driver().AllWindows(); c == nil && len(all) > 0 {
		c = all[0].Canvas() // Fyne knows the canvas of an object only once it was painted
	}
	if v.run == nil || v.run.Started() == nil || size.Width < 8 || size.Height < 8 || c == nil {
		return false
	}
	scale := c.Scale()
	w, h := int(size.Width*scale), int(size.Height*scale)
	for w*h > maxFrame { // drawn smaller, shown scaled up
		scale *= .5
		w, h = int(size.Width*scale), int(size.Height*scale)
	}
	pal := theme.Current()
	if v.scene != nil && v.width == w && v.height == h && v.pal == pal {
		v.anim.Reduce = v.o.Reduce != nil && v.o.Reduce()
		return true
	}
	s, err := glview.NewScene(glview.Config{Width: w, Height: h, Scale: scale, Dark: pal.Dark, View: v.view, Text: v.text,
		Margin: v.margin, NoPicture: v.bare, Fonts: v.o.Fonts, ReduceMotion: v.o.Reduce != nil && v.o.Reduce(),
		Contrast: pal.Contrast || v.o.MoreContrast != nil && v.o.MoreContrast()})
	if err != nil {
		v.fail(err)
		return false
	}
	s.SetRun(v.run)
	v.scene, v.anim = s, glview.NewAnim(s)
	v.width, v.height, v.pal = w, h, pal
	v.show(false)
	v.anim.SetPinned(v.pinned, v.clock()-time.Second)
	return true
}

func (v *View) fail(err error) {
	if v.broken == nil {
		v.o.Log.Error("drawing the denoising canvas", "err", err)
	}
	v.broken = err
}

// seen reports whether nothing around the view is hidden. Fyne finds no place for what is hidden and then says (0, 0),
// where nothing but the whole content of a window stands.
func (v *View) seen() bool {
	if !v.active || !v.Visible() {
		return false
	}
	d := fyne.CurrentApp().Driver()
	c := d.CanvasForObject(v)
	return c != nil && (c.Content() == fyne.CanvasObject(v) || d.AbsolutePositionForObject(v) != fyne.Position{})
}

// unpainted is how many ticks of Fyne's clock a view waits for its first painting: until then it has no canvas. Ticks are
// counted and not seconds, as a busy machine paints late.
const unpainted = 240

// await keeps the clock going for a view that was asked to draw before Fyne knows it, and reports whether that is so.
func (v *View) await() bool {
	if !v.active || v.run == nil || fyne.CurrentApp().Driver().CanvasForObject(v) != nil {
		return false
	}
	if v.awaited++; v.awaited > unpainted {
		return false
	}
	v.start()
	return true
}

// tick draws a frame when one is due, and keeps the clock going while something moves.
func (v *View) tick() {
	if v.drawing || v.await() {
		return
	}
	if !v.seen() || !v.prepare() {
		v.stop()
		return
	}
	now := v.clock()
	v.anim.SetLive(!v.run.Done() && v.step >= v.run.Len())
	if !v.dirty && !v.anim.Moving(v.drawn) {
		v.stop()
		return
	}
	// Fyne's clock ticks 60 times a second and not evenly: a frame that would be due before the next half tick is due now.
	if v.frames > 0 && now-v.drawn+time.Second/120 < time.Second/time.Duration(v.o.FPS) && v.ticking != nil {
		return
	}
	v.dirty = false
	v.drawn = now
	if err := v.scene.Update(); err != nil {
		v.fail(err)
		return
	}
	if err := glview.Compose(&v.frame, v.scene, v.anim, now); err != nil {
		v.fail(err)
		return
	}
	v.paint()
	if v.anim.Moving(now) || v.dirty {
		v.start()
	}
}

func (v *View) paint() {
	dst := v.buffers[v.next]
	if dst == nil || dst.Rect.Dx() != v.width || dst.Rect.Dy() != v.height {
		dst = image.NewRGBA(image.Rect(0, 0, v.width, v.height))
		v.buffers[v.next] = dst
	}
	// Three buffers: one is shown, one may still be uploaded, one is drawn into.
	v.next = (v.next + 1) % len(v.buffers)
	of := v.runs
	present := func(err error) {
		if v.runs != of {
			return
		}
		if err != nil {
			v.fail(err)
			return
		}
		v.broken = nil
		v.frames++
		v.image.Image = dst
		v.image.Refresh()
	}
	if v.o.Painter == nil {
		present(glview.NewSoft().Draw(&v.frame, dst))
		return
	}
	v.drawing = v.o.Painter.Paint(&v.frame, dst, func(err error) {
		fyne.Do(func() {
			v.drawing = false
			present(err)
			if v.dirty {
				v.Wake()
			}
		})
	})
	if !v.drawing {
		v.dirty = true
	}
}

// start lets Fyne call tick for every painted frame, until stop.
func (v *View) start() {
	if v.ticking != nil {
		return
	}
	v.ticking = fyne.NewAnimation(time.Hour, func(float32) { v.tick() })
	v.ticking.RepeatCount = fyne.AnimationRepeatForever
	v.ticking.Start()
}

func (v *View) stop() {
	if v.ticking != nil {
		v.ticking.Stop()
		v.ticking = nil
	}
}

// Hide implements [fyne.CanvasObject].
func (v *View) Hide() {
	v.BaseWidget.Hide()
	v.stop()
}

// Show implements [fyne.CanvasObject].
func (v *View) Show() {
	v.BaseWidget.Show()
	v.redraw()
}

// Resize implements [fyne.CanvasObject].
func (v *View) Resize(s fyne.Size) {
	if s == v.Size() {
		return
	}
	v.BaseWidget.Resize(s)
	v.redraw()
}

// MinSize implements [fyne.Widget].
func (v *View) MinSize() fyne.Size { return fyne.NewSize(64, 64) }

// CreateRenderer implements [fyne.Widget].
func (v *View) CreateRenderer() fyne.WidgetRenderer {
	v.ExtendBaseWidget(v)
	back := canvas.NewRectangle(theme.Current().Canvas)
	back.CornerRadius = theme.RadiusCard
	return &renderer{v: v, back: back}
}

type renderer struct {
	v    *View
	back *canvas.Rectangle
}

func (r *renderer) Destroy() { r.v.stop() }

// Objects is called when what is shown is painted. A view that became due while something around it was hidden, or before
// it was ever painted, draws at the next tick: Fyne tells it in no other way that it is seen now.
func (r *renderer) Objects() []fyne.CanvasObject {
	if v := r.v; v.dirty && v.run != nil && !v.drawing {
		v.start()
	}
	return []fyne.CanvasObject{r.back, r.v.image}
}

func (r *renderer) MinSize() fyne.Size { return r.v.MinSize() }

func (r *renderer) Layout(s fyne.Size) {
	r.back.Resize(s)
	r.v.image.Resize(s)
}

// Refresh is called when the theme changed, among others.
func (r *renderer) Refresh() {
	r.back.FillColor = theme.Current().Canvas
	r.back.Refresh()
	r.v.redraw()
}
