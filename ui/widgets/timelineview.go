package widgets

import (
	"image/color"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	fynetheme "fyne.io/fyne/v2/theme"

	"unmask/ui/theme"
)

// trackInset is the room left and right of the track for the play head's handle and the focus ring.
const trackInset = 8

type timelineRenderer struct {
	t                             *Timeline
	back, top                     *canvas.Rectangle
	track                         *drawing
	first, prev, play, next, last *IconButton
	speed                         *speedButton
	step, of, left, status, total *canvas.Text
	live                          *canvas.Image
	blocks, labels                []*canvas.Text // names of blocks, of marks
	objects                       []fyne.CanvasObject
}

func newTimelineRenderer(t *Timeline) *timelineRenderer {
	r := &timelineRenderer{t: t, back: canvas.NewRectangle(color.Transparent), top: canvas.NewRectangle(color.Transparent)}
	r.track = newDrawing(t.drawTrack)
	hint := func(h string) {
		if t.OnHint != nil {
			t.OnHint(h)
		}
	}
	button := func(name, key string, icon fyne.Resource, f func()) *IconButton {
		b := NewIconButton(name, key, icon, f)
		b.OnHint = hint
		return b
	}
	r.first = button("First step", "Home", fynetheme.MediaSkipPreviousIcon(), t.First)
	r.prev = button("A step back", "Left", theme.Icon("step-back"), func() { t.StepBy(-1) })
	r.play = button("Play or pause", "Space", fynetheme.MediaPlayIcon(), t.Toggle)
	r.play.Side, r.play.Round = theme.MainAction, true
	r.next = button("A step on", "Right", theme.Icon("step-forward"), func() { t.StepBy(1) })
	r.last = button("Last step", "End", fynetheme.MediaSkipNextIcon(), t.Last)
	r.speed = newSpeedButton(t, hint)
	r.step = newText(textStyle{size: theme.TextCounter, mono: true})
	r.of = newText(textStyle{size: theme.TextNumber, mono: true})
	r.left = newText(textStyle{size: theme.TextCaption, mono: true})
	r.status = newText(textStyle{size: theme.TextCaption})
	r.total = newText(textStyle{size: theme.TextCaption, mono: true})
	r.live = canvas.NewImageFromResource(theme.Icon("live"))
	r.live.FillMode = canvas.ImageFillContain
	r.Refresh()
	return r
}

func (r *timelineRenderer) Destroy() {
	if r.t.playing != nil {
		r.t.playing.Stop()
		r.t.playing = nil
	}
}

func (r *timelineRenderer) Objects() []fyne.CanvasObject { return r.objects }

func (r *timelineRenderer) MinSize() fyne.Size { return r.t.MinSize() }

// trackX are the ends of the track in units of the widget.
func (r *timelineRenderer) trackX() (float32, float32) {
	p, s := r.track.Position(), r.track.Size()
	return p.X + trackInset, p.X + s.Width - trackInset
}

func (r *timelineRenderer) Layout(s fyne.Size) {
	compact := r.t.compact
	place(r.back, 0, 0, s.Width, s.Height)
	place(r.top, 0, 0, s.Width, 1)
	mid := s.Height / 2
	x := float32(theme.GapS)
	at := func(b fyne.CanvasObject, shown bool, w, h float32) {
		if !shown {
			b.Hide()
			return
		}
		b.Show()
		place(b, x, mid-h/2, w, h)
		x += w + theme.GapXS
	}
	at(r.first, !compact, 32, 32)
	at(r.prev, true, 32, 32)
	at(r.play, true, 40, 40)
	at(r.next, true, 32, 32)
	at(r.last, !compact, 32, 32)
	at(r.speed, !compact, 44, 32)
	right := float32(176)
	if compact {
		right = 88
	}
	x += theme.GapXS
	top, bottom := float32(10), float32(59)
	if compact {
		top, bottom = 8, s.Height-8
	}
	w := max(s.Width-right-x, 40)
	place(r.track.Raster, x, top, w, bottom-top)

	r.layoutNumbers(s.Width-right+theme.GapM, mid)
	r.layoutBlocks(x, w)
}

// layoutNumbers puts the counter, the time left and the status on the right, from rx on.
func (r *timelineRenderer) layoutNumbers(rx, mid float32) {
	sw := fyne.MeasureText(r.step.Text, r.step.TextSize, r.step.TextStyle)
	ow := fyne.MeasureText(r.of.Text, r.of.TextSize, r.of.TextStyle)
	y := float32(26)
	if r.t.compact {
		y = mid - sw.Height/2
	}
	place(r.step, rx, y, sw.Width, sw.Height)
	place(r.of, rx+sw.Width, y+sw.Height-ow.Height-1, ow.Width, ow.Height)
	lw := fyne.MeasureText(r.left.Text, r.left.TextSize, r.left.TextStyle)
	place(r.left, rx+sw.Width+ow.Width+theme.GapM, y+sw.Height-lw.Height-1, lw.Width, lw.Height)
	st := fyne.MeasureText(r.status.Text, r.status.TextSize, r.status.TextStyle)
	sx := rx
	if r.live.Visible() {
		place(r.live, rx, 53, 14, 14)
		sx += 18
	}
	place(r.status, sx, 60-st.Height/2, st.Width, st.Height)
	if r.t.compact {
		r.left.Hide()
		r.status.Hide()
		r.live.Hide()
	} else {
		r.left.Show()
		r.status.Show()
	}
}

// layoutBlocks puts the names of the blocks and the last step below the bars; names without room are left out.
func (r *timelineRenderer) layoutBlocks(x, w float32) {
	t := r.t
	for _, b := range slices.Concat(r.blocks, r.labels) {
		b.Hide()
	}
	r.total.Hide()
	if t.run == nil || t.compact || t.run.Started() == nil {
		return
	}
	tr := track{w - 2*trackInset, t.run.Planned()}
	tw := fyne.MeasureText(r.total.Text, r.total.TextSize, r.total.TextStyle)
	end := x + w - trackInset - tw.Width
	r.total.Show()
	place(r.total, end, 64, tw.Width, tw.Height)
	for i, m := range t.marks[:min(len(t.marks), len(r.labels))] {
		l := r.labels[i]
		lw := fyne.MeasureText(l.Text, l.TextSize, l.TextStyle)
		l.Show()
		place(l, x+trackInset+tr.x(m.Step)+6, 10+10.5-lw.Height/2, lw.Width, lw.Height)
	}
	from := float32(-1)
	for i, e := range blockEdges(t.run) {
		if i >= len(r.blocks) {
			break
		}
		b := r.blocks[i]
		bw := fyne.MeasureText(b.Text, b.TextSize, b.TextStyle)
		bx := x + trackInset + tr.x(e.step)
		if i > 0 {
			bx += theme.GapXS
		}
		if bx < from || bx+bw.Width > end-theme.GapS {
			continue
		}
		from = bx + bw.Width + theme.GapS
		b.Show()
		place(b, bx, 64, bw.Width, bw.Height)
	}
}

func (r *timelineRenderer) Refresh() {
	t, p := r.t, theme.Current()
	r.back.FillColor, r.top.FillColor = p.Panel, p.Line
	step, of, left := t.counter()
	setText(r.step, step, p.Text)
	setText(r.of, of, p.Text2)
	setText(r.left, left, p.Text2)
	status, strong := t.status()
	c := p.Text2
	if strong {
		c = p.LimeInk
	}
	setText(r.status, status, c)
	if strong && !t.compact {
		r.live.Show()
		r.live.Resource = fynetheme.NewPrimaryThemedResource(theme.Icon("live"))
	} else {
		r.live.Hide()
	}
	var names []blockEdge
	if t.run != nil {
		names = blockEdges(t.run)
		setText(r.total, "step "+of[min(len(of), 3):], p.Text2)
	}
	for len(r.blocks) < len(names) && len(r.blocks) < 64 {
		r.blocks = append(r.blocks, newText(textStyle{size: theme.TextCaption}))
	}
	for i := range r.blocks {
		if i < len(names) {
			setText(r.blocks[i], names[i].name, p.Text2)
		}
	}
	for len(r.labels) < len(t.marks) && len(r.labels) < 64 {
		r.labels = append(r.labels, newText(textStyle{size: theme.TextCaption}))
	}
	for i, m := range t.marks[:min(len(t.marks), len(r.labels))] {
		setText(r.labels[i], m.Label, p.Text)
	}
	for _, b := range []*IconButton{r.first, r.prev, r.play, r.next, r.last} {
		if t.run == nil || t.run.Len() == 0 {
			b.Disable()
		} else {
			b.Enable()
		}
	}
	r.play.SetIcon(t.playIcon())
	r.speed.set(t.speed())
	r.objects = r.objects[:0]
	r.objects = append(r.objects, r.back, r.top, r.track.Raster, r.first, r.prev, r.play, r.next, r.last, r.speed,
		r.step, r.of, r.left, r.live, r.status, r.total)
	for _, b := range slices.Concat(r.blocks, r.labels) {
		r.objects = append(r.objects, b)
	}
	r.Layout(t.Size())
	r.track.Refresh()
	canvas.Refresh(t)
}
