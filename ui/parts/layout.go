package parts

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
)

// Flexible is an object whose height follows from its width, as wrapped text.
type Flexible interface {
	HeightFor(width float32) float32
}

// Flowing is a layout whose height follows from its width.
type Flowing interface {
	HeightFor(objects []fyne.CanvasObject, width float32) float32
}

// HeightFor is the height of o at a width: what it says itself, what its layout says, or its minimum.
func HeightFor(o fyne.CanvasObject, width float32) float32 {
	switch o := o.(type) {
	case Flexible:
		return o.HeightFor(width)
	case *fyne.Container:
		if f, ok := o.Layout.(Flowing); ok {
			return f.HeightFor(o.Objects, width)
		}
	}
	return o.MinSize().Height
}

type vstack struct{ gap, padX, padY float32 }

// VStack puts objects under each other, gap apart, padded; every object gets the whole width. Spacers share what height
// is left.
func VStack(gap, padX, padY float32, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(vstack{gap, padX, padY}, objects...)
}

// HeightFor implements [Flowing].
func (v vstack) HeightFor(objects []fyne.CanvasObject, width float32) float32 {
	h, n := 2*v.padY, 0
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		if _, ok := o.(layout.SpacerObject); !ok {
			h += HeightFor(o, width-2*v.padX)
		}
		n++
	}
	return h + float32(max(n-1, 0))*v.gap
}

// MinSize implements [fyne.Layout]. The height is that at the last width.
func (v vstack) MinSize(objects []fyne.CanvasObject) fyne.Size {
	var w, h float32
	n := 0
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		m := o.MinSize()
		w = max(w, m.Width)
		if _, ok := o.(layout.SpacerObject); !ok {
			h += m.Height
		}
		n++
	}
	return fyne.NewSize(w+2*v.padX, h+2*v.padY+float32(max(n-1, 0))*v.gap)
}

// Layout implements [fyne.Layout].
func (v vstack) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	spacers := 0
	for _, o := range objects {
		if _, ok := o.(layout.SpacerObject); ok && o.Visible() {
			spacers++
		}
	}
	var extra float32
	if spacers > 0 {
		extra = max(0, size.Height-v.HeightFor(objects, size.Width)) / float32(spacers)
	}
	y := v.padY
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		h := extra
		if _, ok := o.(layout.SpacerObject); !ok {
			h = HeightFor(o, size.Width-2*v.padX)
		}
		o.Move(fyne.NewPos(v.padX, y))
		o.Resize(fyne.NewSize(size.Width-2*v.padX, h))
		y += h + v.gap
	}
}

type hstack struct{ gap, padX, padY float32 }

// HStack puts objects beside each other, gap apart, padded, each centred in height. Spacers and objects made by [Grow]
// share what width is left.
func HStack(gap, padX, padY float32, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(hstack{gap, padX, padY}, objects...)
}

type growLayout struct{ min float32 }

// Grow lets an object of an [HStack] take the width that is left, at least min.
func Grow(min float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(growLayout{min}, o)
}

// MinSize implements [fyne.Layout].
func (g growLayout) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(g.min, objects[0].MinSize().Height)
}

// Layout implements [fyne.Layout].
func (g growLayout) Layout(objects []fyne.CanvasObject, s fyne.Size) {
	objects[0].Move(fyne.NewPos(0, 0))
	objects[0].Resize(s)
}

// HeightFor implements [Flowing].
func (g growLayout) HeightFor(objects []fyne.CanvasObject, width float32) float32 {
	return HeightFor(objects[0], width)
}

func grows(o fyne.CanvasObject) bool {
	if _, ok := o.(layout.SpacerObject); ok {
		return true
	}
	c, ok := o.(*fyne.Container)
	if !ok {
		return false
	}
	_, ok = c.Layout.(growLayout)
	return ok
}

// MinSize implements [fyne.Layout].
func (h hstack) MinSize(objects []fyne.CanvasObject) fyne.Size {
	var w, t float32
	n := 0
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		m := o.MinSize()
		if _, ok := o.(layout.SpacerObject); !ok {
			w += m.Width
			t = max(t, m.Height)
		}
		n++
	}
	return fyne.NewSize(w+2*h.padX+float32(max(n-1, 0))*h.gap, t+2*h.padY)
}

// Layout implements [fyne.Layout].
func (h hstack) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	left := size.Width - h.MinSize(objects).Width
	n := 0
	for _, o := range objects {
		if o.Visible() && grows(o) {
			n++
		}
	}
	x := h.padX
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		m := o.MinSize()
		if _, ok := o.(layout.SpacerObject); ok {
			m = fyne.Size{}
		}
		if grows(o) {
			m.Width += left / float32(n)
			m.Height = max(m.Height, HeightFor(o, m.Width))
		}
		t := min(m.Height, size.Height)
		o.Move(fyne.NewPos(x, (size.Height-t)/2))
		o.Resize(fyne.NewSize(max(m.Width, 0), t))
		x += m.Width + h.gap
	}
}

type inset struct{ top, right, bottom, left float32 }

// Inset pads one object.
func Inset(top, right, bottom, left float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(inset{top, right, bottom, left}, o)
}

// MinSize implements [fyne.Layout].
func (i inset) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return objects[0].MinSize().AddWidthHeight(i.left+i.right, i.top+i.bottom)
}

// Layout implements [fyne.Layout].
func (i inset) Layout(objects []fyne.CanvasObject, s fyne.Size) {
	objects[0].Move(fyne.NewPos(i.left, i.top))
	objects[0].Resize(s.SubtractWidthHeight(i.left+i.right, i.top+i.bottom))
}

// HeightFor implements [Flowing].
func (i inset) HeightFor(objects []fyne.CanvasObject, width float32) float32 {
	return HeightFor(objects[0], width-i.left-i.right) + i.top + i.bottom
}

type fixed struct{ w, h float32 }

// Fixed gives an object a size; 0 leaves a dimension to the object.
func Fixed(w, h float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(fixed{w, h}, o)
}

// MinSize implements [fyne.Layout].
func (f fixed) MinSize(objects []fyne.CanvasObject) fyne.Size {
	m := objects[0].MinSize()
	if f.w > 0 {
		m.Width = f.w
	}
	if f.h > 0 {
		m.Height = f.h
	}
	return m
}

// Layout implements [fyne.Layout].
func (f fixed) Layout(objects []fyne.CanvasObject, s fyne.Size) {
	objects[0].Move(fyne.NewPos(0, 0))
	objects[0].Resize(s)
}

// HeightFor implements [Flowing].
func (f fixed) HeightFor(objects []fyne.CanvasObject, width float32) float32 {
	if f.h > 0 {
		return f.h
	}
	return HeightFor(objects[0], width)
}

type atLeast struct{ w, h float32 }

// AtLeast gives an object at least a size.
func AtLeast(w, h float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(atLeast{w, h}, o)
}

// MinSize implements [fyne.Layout].
func (a atLeast) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return objects[0].MinSize().Max(fyne.NewSize(a.w, a.h))
}

// Layout implements [fyne.Layout].
func (a atLeast) Layout(objects []fyne.CanvasObject, s fyne.Size) {
	objects[0].Move(fyne.NewPos(0, 0))
	objects[0].Resize(s)
}

type square struct{ min, max float32 }

// Square centres an object in the largest square that fits, at least min and at most max (0: no limit) a side.
func Square(min, max float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(square{min, max}, o)
}

// MinSize implements [fyne.Layout].
func (q square) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSquareSize(q.min) }

// Layout implements [fyne.Layout].
func (q square) Layout(objects []fyne.CanvasObject, s fyne.Size) {
	side := min(s.Width, s.Height)
	if q.max > 0 {
		side = min(side, q.max)
	}
	objects[0].Move(fyne.NewPos((s.Width-side)/2, (s.Height-side)/2))
	objects[0].Resize(fyne.NewSquareSize(side))
}
