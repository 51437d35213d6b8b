package widgets

import (
	"fmt"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/figures"
	"unmask/ui/run"
)

// MarkKind says what a mark on the time line stands for.
type MarkKind uint8

// The kinds of mark.
const (
	PinMark    MarkKind = iota // lime
	BranchMark                 // text colour
)

// TimelineMark is something a person did at a step.
type TimelineMark struct {
	Step  int
	Kind  MarkKind
	Label string
}

// Timeline shows the steps of a run as bars, scrubs through them, and plays them. It shows where its Player stands; the
// owner calls Update after adding events to the run, and gets every change of the step through OnStep.
type Timeline struct {
	widget.BaseWidget
	// OnStep is called with each step to show. tween is false when a person jumped there, so nothing should move.
	OnStep func(step int, tween bool)
	// OnHover is called with the step under the pointer, 1 is the first; 0 when the pointer leaves.
	OnHover func(step int)
	OnHint  func(hint string) // of the buttons, for the status bar

	run     *run.Run
	player  run.Player
	shown   int
	marks   []TimelineMark
	compact bool
	focused bool
	playing *fyne.Animation
	now     func() time.Time
	ticked  time.Time
	began   time.Time
	left    run.Left
	view    *timelineRenderer
}

var (
	_ fyne.Focusable    = (*Timeline)(nil)
	_ fyne.Draggable    = (*Timeline)(nil)
	_ fyne.Tappable     = (*Timeline)(nil)
	_ desktop.Hoverable = (*Timeline)(nil)
)

// NewTimeline makes an empty time line.
func NewTimeline() *Timeline {
	t := &Timeline{now: time.Now}
	t.began = t.now()
	t.ExtendBaseWidget(t)
	return t
}

// SetRun shows another run, following it; nil shows none.
func (t *Timeline) SetRun(r *run.Run) {
	speed := t.player.Speed
	t.run, t.player, t.marks, t.left = r, run.Player{Speed: speed}, nil, run.Left{}
	t.shown = -1
	t.announce(false)
	t.animate()
	t.Refresh()
}

// SetMarks shows marks above the bars.
func (t *Timeline) SetMarks(m []TimelineMark) { t.marks = m; t.Refresh() }

// SetCompact makes the time line 56 units high, with three buttons and no labels.
func (t *Timeline) SetCompact(c bool) {
	if t.compact != c {
		t.compact = c
		t.Refresh()
	}
}

// Step is the step shown.
func (t *Timeline) Step() int {
	if t.run == nil {
		return 0
	}
	return t.player.Step(t.run.Len())
}

// Following reports whether the newest step of the run is shown as it comes.
func (t *Timeline) Following() bool { return t.player.Following() }

// Playing reports whether the run is being replayed.
func (t *Timeline) Playing() bool { return t.player.Playing() }

// Track are the widths left and right of the steps, in a time line of its present size, so that other views of the run can
// stand on the same axis.
func (t *Timeline) Track() (left, right float32) {
	if t.view == nil {
		return 0, 0
	}
	x0, x1 := t.view.trackX()
	return x0, t.Size().Width - x1
}

// Update shows what was added to the run. It is cheap when nothing was.
func (t *Timeline) Update() {
	t.announce(true)
	t.Refresh()
}

// Seek shows step and stops playing.
func (t *Timeline) Seek(step int) {
	if t.run == nil {
		return
	}
	t.player.Seek(min(step, t.run.Len()))
	t.changed(false)
}

// StepBy moves the play head by n steps.
func (t *Timeline) StepBy(n int) { t.Seek(t.Step() + n) }

// First goes to the start.
func (t *Timeline) First() { t.Seek(0) }

// Last goes to the newest step, and follows it while the run goes.
func (t *Timeline) Last() {
	if t.run == nil {
		return
	}
	if !t.run.Done() {
		t.Follow()
		return
	}
	t.Seek(t.run.Len())
}

// Follow lets the play head go with the run again.
func (t *Timeline) Follow() { t.player.Follow(); t.changed(false) }

// Toggle plays or pauses.
func (t *Timeline) Toggle() {
	if t.run == nil || t.run.Len() == 0 {
		return
	}
	t.player.Toggle(t.run)
	t.changed(false)
}

// Faster and Slower change the speed of replay.
func (t *Timeline) Faster() { t.player.Faster(); t.Refresh() }

// Slower is the opposite of Faster.
func (t *Timeline) Slower() { t.player.Slower(); t.Refresh() }

// Tick lets dt of the clock pass for the replay. The widget calls it itself while playing.
func (t *Timeline) Tick(dt time.Duration) {
	if t.run != nil && t.player.Tick(t.run, dt) {
		t.announce(true)
		t.Refresh()
	}
	t.animate()
}

func (t *Timeline) changed(tween bool) {
	t.announce(tween)
	t.animate()
	t.Refresh()
}

// announce calls OnStep when the step changed.
func (t *Timeline) announce(tween bool) {
	if s := t.Step(); s != t.shown {
		t.shown = s
		if t.OnStep != nil {
			t.OnStep(s, tween)
		}
	}
}

// animate starts or stops the replay's clock. Fyne calls Tick on the UI goroutine for every painted frame.
func (t *Timeline) animate() {
	switch play := t.player.Playing(); {
	case play && t.playing == nil:
		t.ticked = t.now()
		t.playing = fyne.NewAnimation(time.Hour, func(float32) {
			n := t.now()
			dt := n.Sub(t.ticked)
			t.ticked = n
			t.Tick(dt)
		})
		t.playing.RepeatCount = fyne.AnimationRepeatForever
		t.playing.Start()
	case !play && t.playing != nil:
		t.playing.Stop()
		t.playing = nil
		t.Refresh()
	}
}

// Tapped implements [fyne.Tappable].
func (t *Timeline) Tapped(e *fyne.PointEvent) {
	if c := fyne.CurrentApp().Driver().CanvasForObject(t); c != nil {
		c.Focus(t)
	}
	t.seekAt(e.Position)
}

// Dragged implements [fyne.Draggable].
func (t *Timeline) Dragged(e *fyne.DragEvent) { t.seekAt(e.Position) }

// DragEnd implements [fyne.Draggable].
func (t *Timeline) DragEnd() {}

func (t *Timeline) seekAt(p fyne.Position) {
	if t.view == nil || t.run == nil {
		return
	}
	x0, x1 := t.view.trackX()
	if p.X < x0-12 || p.X > x1+12 {
		return
	}
	t.Seek(track{x1 - x0, t.run.Planned()}.step(p.X - x0))
}

// MouseIn implements [desktop.Hoverable].
func (t *Timeline) MouseIn(e *desktop.MouseEvent) { t.MouseMoved(e) }

// MouseMoved implements [desktop.Hoverable].
func (t *Timeline) MouseMoved(e *desktop.MouseEvent) {
	if t.OnHover == nil || t.view == nil || t.run == nil {
		return
	}
	x0, x1 := t.view.trackX()
	step := 0
	if x := e.Position.X; x >= x0 && x <= x1 && x1 > x0 {
		// Under a bar the pointer means that bar's step, whose state stands at the bar's right edge.
		step = int((x-x0)/(x1-x0)*float32(t.run.Planned())) + 1
	}
	if step > t.run.Len() {
		step = 0
	}
	t.OnHover(step)
}

// MouseOut implements [desktop.Hoverable].
func (t *Timeline) MouseOut() {
	if t.OnHover != nil {
		t.OnHover(0)
	}
}

// FocusGained implements [fyne.Focusable].
func (t *Timeline) FocusGained() { t.focused = true; t.Refresh() }

// FocusLost implements [fyne.Focusable].
func (t *Timeline) FocusLost() { t.focused = false; t.Refresh() }

// TypedRune implements [fyne.Focusable]: comma and full stop change the speed, L follows.
func (t *Timeline) TypedRune(r rune) {
	switch r {
	case ',':
		t.Slower()
	case '.':
		t.Faster()
	case 'l', 'L':
		t.Follow()
	}
}

// TypedKey implements [fyne.Focusable].
func (t *Timeline) TypedKey(e *fyne.KeyEvent) {
	by := 1
	if d, ok := fyne.CurrentApp().Driver().(desktop.Driver); ok && d.CurrentKeyModifiers()&fyne.KeyModifierShift != 0 {
		by = 10
	}
	switch e.Name {
	case fyne.KeySpace:
		t.Toggle()
	case fyne.KeyLeft:
		t.StepBy(-by)
	case fyne.KeyRight:
		t.StepBy(by)
	case fyne.KeyHome:
		t.First()
	case fyne.KeyEnd:
		t.Last()
	}
}

// MinSize implements [fyne.Widget].
func (t *Timeline) MinSize() fyne.Size {
	if t.compact {
		return fyne.NewSize(420, 56)
	}
	return fyne.NewSize(560, 92)
}

// CreateRenderer implements [fyne.Widget].
func (t *Timeline) CreateRenderer() fyne.WidgetRenderer {
	t.ExtendBaseWidget(t)
	t.view = newTimelineRenderer(t)
	return t.view
}

// counter is the step shown, the steps planned, and the time left of a run that goes or the time that a finished one took.
func (t *Timeline) counter() (step, of, left string) {
	if t.run == nil || t.run.Started() == nil {
		return "", "", ""
	}
	step, of = figures.Count(t.Step()), " / "+figures.Count(t.run.Planned())
	if d, ok := t.left.Update(t.run, t.now().Sub(t.began)); ok {
		left = figures.Left(d)
	} else if !t.run.Done() && t.run.Len() < t.run.Planned() {
		left = "…"
	} else if t.run.Done() {
		left = figures.Duration(t.run.Elapsed(t.run.Len()))
	}
	return step, of, left
}

func (t *Timeline) status() (string, bool) {
	switch {
	case t.run == nil || t.run.Started() == nil:
		return "", false
	case t.player.Playing():
		return "playing", true
	case !t.run.Done() && t.player.Following():
		return "following the run", true
	case !t.run.Done():
		return "L follows the run", false
	case t.run.Err() != nil:
		return "stopped", false
	}
	return "done", false
}

func (t *Timeline) speed() string {
	s := t.player.Speed
	if s <= 0 {
		s = 1
	}
	return fmt.Sprintf("%g×", s)
}

// playIcon is what the round button shows.
func (t *Timeline) playIcon() fyne.Resource {
	if t.player.Playing() || t.run != nil && !t.run.Done() && t.player.Following() && t.run.Started() != nil {
		return fynetheme.MediaPauseIcon()
	}
	return fynetheme.MediaPlayIcon()
}
