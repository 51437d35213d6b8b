package models

import (
	"fyne.io/fyne/v2"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/ui/figures"
	"unmask/ui/parts"
	"unmask/ui/state"
	"unmask/ui/theme"
	"unmask/ui/widgets"
)

// The widths of the list's columns; the first takes what is left.
const (
	sizeWide   = 66
	typeWide   = 44
	diskWide   = 74
	memoryWide = 136
	statusWide = 112
	rowHigh    = 56
)

// row is one model of the list.
type row struct {
	widget.BaseWidget
	name, tasks, size, kind, disk, need, status *parts.Text
	bar                                         *widgets.MemBar
	icon                                        *widget.Icon
	back                                        *parts.Box
}

func newRow() *row {
	r := &row{name: parts.Body(""), tasks: parts.Caption(""), size: right(parts.Number("")), kind: parts.Number("").Shortened(), disk: right(parts.Number("")),
		need: parts.SmallNumber("").Shortened(), status: parts.Dense(""), bar: widgets.NewMemBar(6), icon: widget.NewIcon(nil)}
	memory := parts.VStack(6, 0, 0, parts.Fixed(0, 8, r.bar), r.need)
	r.back = parts.NewBox("", theme.RadiusCard, columns(8,
		parts.VStack(2, 0, 0, r.name, r.tasks), r.size, r.kind, r.disk, memory,
		parts.HStack(6, 0, 0, parts.Fixed(18, 18, r.icon), parts.Grow(40, r.status))))
	r.ExtendBaseWidget(r)
	return r
}

func right(t *parts.Text) *parts.Text { return t.Shortened().Aligned(fyne.TextAlignTrailing) }

// columns lays six objects out as the list's columns.
func columns(high float32, o ...fyne.CanvasObject) fyne.CanvasObject {
	return parts.HStack(12, 12, high, parts.Grow(120, o[0]), parts.Fixed(sizeWide, 0, o[1]), parts.Fixed(typeWide, 0, o[2]),
		parts.Fixed(diskWide, 0, o[3]), parts.Fixed(memoryWide, 0, o[4]), parts.Fixed(statusWide, 0, o[5]))
}

// MinSize implements [fyne.Widget].
func (r *row) MinSize() fyne.Size { return fyne.NewSize(520, rowHigh) }

// CreateRenderer implements [fyne.Widget].
func (r *row) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(r.back) }

// set shows m; free is the memory that loading it may take.
func (r *row) set(m state.Row, free int64, chosen bool) {
	fill := fyne.ThemeColorName("")
	if chosen {
		fill = theme.ColorSelected
	}
	r.back.SetFill(fill)
	r.name.Set(m.Name)
	r.tasks.Set(tasksOf(m.Card.Spec.Tasks))
	if m.Card.Family == "" {
		r.tasks.Set("unknown")
	}
	r.size.Set(params(m.Card.Params))
	r.kind.Set(m.Card.Stored)
	r.disk.Set(figures.Unknown)
	if m.Card.Disk > 0 {
		r.disk.Set(figures.Bytes(m.Card.Disk))
	}
	need, whole := "", free
	switch {
	case m.Err != nil:
		need, whole = "", 0
	case m.Need > 0:
		need = "needs " + figures.Bytes(m.Need)
		if m.Type != "" {
			need = figures.Bytes(m.Need) + " as " + typeWords[m.Type]
		}
	}
	r.need.Set(need)
	r.bar.Set(m.Card.Need[m.Type], m.Card.Work, whole, false)
	words := m.Status.String()
	if n := len(m.Card.Doubts); n > 0 && (m.Status == state.Fits || m.Status == state.InMemory) {
		words += ", look"
	}
	r.status.Set(words)
	r.icon.SetResource(statusIcon(m))
}

// statusIcon is the sign of a status, never without its word beside it.
func statusIcon(m state.Row) fyne.Resource {
	switch m.Status {
	case state.InMemory, state.Fits, state.FitsRather, state.SizeUnknown:
		if len(m.Card.Doubts) > 0 {
			return parts.Tinted(fynetheme.WarningIcon(), fynetheme.ColorNameWarning)
		}
		if m.Status == state.SizeUnknown {
			return parts.Tinted(fynetheme.InfoIcon(), theme.ColorText2)
		}
		return parts.Tinted(fynetheme.ConfirmIcon(), fynetheme.ColorNameSuccess)
	case state.TooLarge:
		return parts.Tinted(fynetheme.ErrorIcon(), fynetheme.ColorNameError)
	case state.Missing, state.Unreadable:
		return parts.Tinted(fynetheme.WarningIcon(), fynetheme.ColorNameWarning)
	}
	return parts.Tinted(fynetheme.DownloadIcon(), theme.ColorText2)
}
