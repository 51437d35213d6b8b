package panel

import (
	"maps"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
)

// pixel is pt in the frame.
func (v *View) pixel(pt fyne.Position) (int, int) {
	s := v.Size()
	return int(pt.X / max(s.Width, 1) * float32(v.width)), int(pt.Y / max(s.Height, 1) * float32(v.height))
}

// Rect is where position pos stands in the view; ok is false where it is not shown.
func (v *View) Rect(pos int) (at fyne.Position, size fyne.Size, ok bool) {
	if v.scene == nil || v.width == 0 {
		return fyne.Position{}, fyne.Size{}, false
	}
	x, y, w, h, ok := v.scene.Place(pos)
	k := v.Size().Width / float32(v.width)
	return fyne.NewPos(float32(x)*k, float32(y)*k), fyne.NewSize(float32(w)*k, float32(h)*k), ok
}

// Tapped implements [fyne.Tappable].
func (v *View) Tapped(e *fyne.PointEvent) {
	if v.OnTapped == nil || v.scene == nil {
		return
	}
	if p := v.scene.Hit(v.pixel(e.Position)); p >= 0 {
		v.OnTapped(p, e.Position)
	}
}

// Dragged implements [fyne.Draggable]: cells under the pointer are painted and shown masked at once.
func (v *View) Dragged(e *fyne.DragEvent) {
	if v.OnPaint == nil || v.scene == nil {
		return
	}
	p := v.scene.Hit(v.pixel(e.Position))
	if p < 0 || v.stroke[p] {
		return
	}
	if v.stroke == nil {
		v.stroke = map[int]bool{}
	}
	v.stroke[p] = true
	v.show(false)
	v.redraw()
}

// DragEnd implements [fyne.Draggable].
func (v *View) DragEnd() {
	if v.OnPaint == nil || len(v.stroke) == 0 {
		return
	}
	pos := slices.Sorted(maps.Keys(v.stroke))
	v.stroke = nil
	v.show(false)
	v.redraw()
	v.OnPaint(pos)
}

// MouseIn implements [desktop.Hoverable].
func (v *View) MouseIn(e *desktop.MouseEvent) { v.MouseMoved(e) }

// MouseMoved implements [desktop.Hoverable].
func (v *View) MouseMoved(e *desktop.MouseEvent) {
	if v.scene != nil {
		v.hover(v.scene.Hit(v.pixel(e.Position)))
	}
}

// MouseOut implements [desktop.Hoverable].
func (v *View) MouseOut() { v.hover(-1) }

func (v *View) hover(p int) {
	if p != v.hoverAt {
		v.hoverAt = p
		if v.OnHover != nil {
			v.OnHover(p)
		}
	}
}
