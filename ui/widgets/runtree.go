package widgets

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/palette"
	"unmask/ui/theme"
)

// TreeNode is a run in a [RunTree]. Nodes come parents first, the newest of a parent's last.
type TreeNode struct {
	ID     string
	Parent int    // index of the run that it goes on from; -1: none
	Title  string // what was changed, or the run's name
	Note   string // settings, how many tokens differ
	Edge   string // names the step on the edge: "s 41"
	Draft  bool   // not run yet
}

// RunTree shows which run goes on from which. One node is shown by the window; another may be picked beside it.
type RunTree struct {
	widget.BaseWidget
	OnShow   func(id string)
	OnPick   func(id string) // to compare with the one shown; "" none
	OnRename func(id string, at fyne.Position)
	OnDelete func(id string)

	nodes   []TreeNode
	shown   string
	picked  string
	hovered int
	focused bool
}

var (
	_ fyne.Tappable          = (*RunTree)(nil)
	_ fyne.DoubleTappable    = (*RunTree)(nil)
	_ fyne.SecondaryTappable = (*RunTree)(nil)
	_ fyne.Focusable         = (*RunTree)(nil)
	_ desktop.Hoverable      = (*RunTree)(nil)
)

// The measures of a tree.
const (
	treeNodeHigh  = 48
	treeGap       = 12
	treeIndent    = 56
	treeNodeWidth = 272
	treeDepth     = 4 // deeper nodes stand below each other
)

// NewRunTree makes an empty tree.
func NewRunTree() *RunTree {
	t := &RunTree{hovered: -1}
	t.ExtendBaseWidget(t)
	return t
}

// Set shows nodes; shown is the one in the window, picked the one beside it.
func (t *RunTree) Set(nodes []TreeNode, shown, picked string) {
	same := len(nodes) == len(t.nodes) && shown == t.shown && picked == t.picked
	for i := 0; same && i < len(nodes); i++ {
		same = nodes[i] == t.nodes[i]
	}
	if same {
		return
	}
	t.nodes, t.shown, t.picked = nodes, shown, picked
	t.Refresh()
}

// depth is how far node i is indented.
func (t *RunTree) depth(i int) int {
	d := 0
	for p := t.nodes[i].Parent; p >= 0 && p < i; p = t.nodes[p].Parent {
		i = p
		d++
	}
	return min(d, treeDepth)
}

func (t *RunTree) place(i int) (x, y, w float32) {
	x = float32(t.depth(i)) * treeIndent
	w = min(treeNodeWidth, max(t.Size().Width-x-2, 90))
	return x, float32(i)*(treeNodeHigh+treeGap) + 1, w
}

func (t *RunTree) at(pt fyne.Position) int {
	for i := range t.nodes {
		if x, y, w := t.place(i); pt.X >= x && pt.X < x+w && pt.Y >= y && pt.Y < y+treeNodeHigh {
			return i
		}
	}
	return -1
}

// Tapped implements [fyne.Tappable]: the run is shown, or with Shift picked beside the one shown.
func (t *RunTree) Tapped(e *fyne.PointEvent) {
	if c := fyne.CurrentApp().Driver().CanvasForObject(t); c != nil {
		c.Focus(t)
	}
	if i := t.at(e.Position); i >= 0 {
		t.use(i, shifted())
	}
}

func (t *RunTree) use(i int, pick bool) {
	id := t.nodes[i].ID
	switch {
	case pick && t.OnPick != nil && id != t.shown && !t.nodes[i].Draft:
		if id == t.picked {
			id = ""
		}
		t.OnPick(id)
	case !pick && t.OnShow != nil:
		t.OnShow(id)
	}
}

// DoubleTapped implements [fyne.DoubleTappable]: the run is renamed.
func (t *RunTree) DoubleTapped(e *fyne.PointEvent) { t.rename(t.at(e.Position)) }

// TappedSecondary implements [fyne.SecondaryTappable]: the run is picked.
func (t *RunTree) TappedSecondary(e *fyne.PointEvent) {
	if i := t.at(e.Position); i >= 0 {
		t.use(i, true)
	}
}

func (t *RunTree) rename(i int) {
	if i < 0 || t.OnRename == nil || t.nodes[i].Draft {
		return
	}
	x, y, _ := t.place(i)
	t.OnRename(t.nodes[i].ID, fyne.NewPos(x, y))
}

func (t *RunTree) index() int {
	for i := range t.nodes {
		if t.nodes[i].ID == t.shown {
			return i
		}
	}
	return -1
}

// MouseIn implements [desktop.Hoverable].
func (t *RunTree) MouseIn(e *desktop.MouseEvent) { t.MouseMoved(e) }

// MouseMoved implements [desktop.Hoverable].
func (t *RunTree) MouseMoved(e *desktop.MouseEvent) {
	if i := t.at(e.Position); i != t.hovered {
		t.hovered = i
		t.Refresh()
	}
}

// MouseOut implements [desktop.Hoverable].
func (t *RunTree) MouseOut() { t.hovered = -1; t.Refresh() }

// FocusGained implements [fyne.Focusable].
func (t *RunTree) FocusGained() { t.focused = true; t.Refresh() }

// FocusLost implements [fyne.Focusable].
func (t *RunTree) FocusLost() { t.focused = false; t.Refresh() }

// TypedRune implements [fyne.Focusable].
func (t *RunTree) TypedRune(rune) {}

// TypedKey implements [fyne.Focusable]: up and down show another run, Enter renames it, Delete deletes it.
func (t *RunTree) TypedKey(e *fyne.KeyEvent) {
	i := t.index()
	switch e.Name {
	case fyne.KeyUp:
		if i > 0 {
			t.use(i-1, false)
		}
	case fyne.KeyDown:
		if i >= 0 && i+1 < len(t.nodes) {
			t.use(i+1, false)
		}
	case fyne.KeyReturn, fyne.KeyEnter, fyne.KeyF2:
		t.rename(i)
	case fyne.KeyDelete:
		if i >= 0 && t.OnDelete != nil {
			t.OnDelete(t.nodes[i].ID)
		}
	}
}

// MinSize implements [fyne.Widget].
func (t *RunTree) MinSize() fyne.Size {
	return fyne.NewSize(200, float32(len(t.nodes))*(treeNodeHigh+treeGap)+2)
}

// CreateRenderer implements [fyne.Widget].
func (t *RunTree) CreateRenderer() fyne.WidgetRenderer {
	t.ExtendBaseWidget(t)
	r := &treeRenderer{t: t}
	r.Refresh()
	return r
}

type treeRenderer struct {
	t       *RunTree
	objects []fyne.CanvasObject
}

func (r *treeRenderer) Destroy()                     {}
func (r *treeRenderer) MinSize() fyne.Size           { return r.t.MinSize() }
func (r *treeRenderer) Objects() []fyne.CanvasObject { return r.objects }
func (r *treeRenderer) Layout(fyne.Size)             { r.Refresh() }

func (r *treeRenderer) rect(x, y, w, h, radius float32, fill color.Color) *canvas.Rectangle {
	o := canvas.NewRectangle(fill)
	o.CornerRadius = radius
	o.Move(fyne.NewPos(x, y))
	o.Resize(fyne.NewSize(w, h))
	r.objects = append(r.objects, o)
	return o
}

func (r *treeRenderer) text(s string, size, x, y, w float32, mono bool, c color.Color) {
	style := fyne.TextStyle{Monospace: mono}
	for fyne.MeasureText(s, size, style).Width > w && len([]rune(s)) > 2 {
		k := []rune(s)
		s = string(k[:len(k)-2]) + "…"
	}
	o := canvas.NewText(s, c)
	o.TextSize, o.TextStyle = size, style
	o.Move(fyne.NewPos(x, y))
	o.Resize(fyne.MeasureText(s, size, style))
	r.objects = append(r.objects, o)
}

// Refresh draws the edges, then the nodes. A tree has few nodes, so they are made anew.
func (r *treeRenderer) Refresh() {
	t, p := r.t, theme.Current()
	r.objects = r.objects[:0]
	line := palette.Mix(p.Line, p.Border, .6)
	for i, n := range t.nodes {
		if n.Parent < 0 || n.Parent >= i {
			continue
		}
		px, py, _ := t.place(n.Parent)
		x, y, _ := t.place(i)
		from := px + 16
		if x <= px { // as deep as its parent
			x = px + 8
		}
		r.rect(from, py+treeNodeHigh, 1, y+treeNodeHigh/2-py-treeNodeHigh, 0, line)
		r.rect(from, y+treeNodeHigh/2, x-from, 1, 0, line)
		r.text(n.Edge, theme.TextCaption, from+4, y+treeNodeHigh/2-16, treeIndent-14, true, p.Text2)
	}
	for i, n := range t.nodes {
		x, y, w := t.place(i)
		fill := p.Raised
		if i == t.hovered || n.ID == t.shown {
			fill = p.Selected
		}
		o := r.rect(x, y, w, treeNodeHigh, theme.RadiusCard, fill)
		switch {
		case n.ID == t.shown:
			o.StrokeColor, o.StrokeWidth = p.LimeInk, 1.5
			if t.focused {
				o.StrokeWidth = 2.5
			}
		case n.ID == t.picked:
			o.StrokeColor, o.StrokeWidth = p.Text, 1.5
		case n.Draft:
			o.StrokeColor, o.StrokeWidth = p.Border, 1
		}
		r.text(n.Title, theme.TextDense, x+12, y+6, w-20, false, p.Text)
		r.text(n.Note, theme.TextCaption, x+12, y+26, w-20, true, fynetheme.ColorForWidget(theme.ColorText2, t))
	}
	canvas.Refresh(t)
}
