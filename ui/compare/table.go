package compare

import (
	"encoding/csv"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynetheme "fyne.io/fyne/v2/theme"

	"unmask/ui/figures"
	"unmask/ui/parts"
	"unmask/ui/theme"
)

// row is what the table says of a column.
type row struct {
	name      string
	known     bool
	time      time.Duration
	passes    int
	rate      float64
	agreement float64 // with the column of the lime frame
	// likelihood is the mean ln p of the tokens written, NaN while there are none.
	likelihood float64
}

var heads = []string{"", "time", "passes", "tok/s", "agreement", "mean ln p"}

// cells are the texts of a row.
func (r row) cells() []string {
	if !r.known {
		return []string{r.name, figures.Unknown, figures.Unknown, figures.Unknown, figures.Unknown, figures.Unknown}
	}
	rate := strings.TrimSuffix(figures.Rate(r.rate), " tok/s")
	agree := figures.Unknown
	if !math.IsNaN(r.agreement) {
		agree = fmt.Sprintf("%.2f", r.agreement)
	}
	like := figures.Unknown
	if !math.IsNaN(r.likelihood) {
		like = fmt.Sprintf("%.2f", r.likelihood)
	}
	return []string{r.name, figures.Duration(r.time), figures.Count(r.passes), rate, agree, like}
}

// best says for each number which rows are the best: least time and passes, most tokens a second.
func best(rows []row) [][]bool {
	out := make([][]bool, len(rows))
	for i := range out {
		out[i] = make([]bool, len(heads))
	}
	better := []func(a, b row) bool{
		1: func(a, b row) bool { return a.time < b.time }, 2: func(a, b row) bool { return a.passes < b.passes }, 3: func(a, b row) bool { return a.rate > b.rate },
	}
	known := 0
	for _, r := range rows {
		if r.known {
			known++
		}
	}
	for k := 1; k <= 3; k++ {
		win, ties := -1, false
		for i, r := range rows {
			switch {
			case !r.known:
			case win < 0 || better[k](r, rows[win]):
				win, ties = i, false
			case !better[k](rows[win], r):
				ties = true
			}
		}
		if known > 1 && !ties {
			out[win][k] = true
		}
	}
	return out
}

// text is the table for the clipboard, tabs between cells.
func text(rows []row) string {
	var b strings.Builder
	b.WriteString(strings.Join(heads, "\t") + "\n")
	for _, r := range rows {
		b.WriteString(strings.Join(r.cells(), "\t") + "\n")
	}
	return b.String()
}

// markdown is the table as Markdown writes tables, numbers to the right.
func markdown(rows []row) string {
	var b strings.Builder
	line := func(cells []string) {
		b.WriteString("|")
		for _, c := range cells {
			b.WriteString(" " + strings.NewReplacer("|", "\\|", "\n", " ").Replace(c) + " |")
		}
		b.WriteString("\n")
	}
	line(append([]string{"column"}, heads[1:]...))
	b.WriteString("| :-- |" + strings.Repeat(" --: |", len(heads)-1) + "\n")
	for _, r := range rows {
		line(r.cells())
	}
	return b.String()
}

// csvText is the table as comma-separated values with plain numbers: seconds, counts, tokens a second, shares.
func csvText(rows []row) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	number := func(v float64) string {
		if math.IsNaN(v) {
			return ""
		}
		return strconv.FormatFloat(v, 'g', 6, 64)
	}
	out := [][]string{{"column", "seconds", "passes", "tokens_per_second", "agreement", "mean_ln_p"}}
	for _, r := range rows {
		c := []string{r.name, "", "", "", "", ""}
		if r.known {
			c = []string{r.name, number(r.time.Seconds()), strconv.Itoa(r.passes), number(r.rate), number(r.agreement), number(r.likelihood)}
		}
		out = append(out, c)
	}
	if err := w.WriteAll(out); err != nil {
		return ""
	}
	return b.String()
}

// table shows the rows, the best numbers in a grey chip.
type table struct {
	box   *fyne.Container
	cells [][]*parts.Text
	chips [][]*parts.Box
	n     int
}

func newTable() *table { return &table{box: container.New(&tableLayout{})} }

func (t *table) set(rows []row) {
	if t.n != len(rows) {
		t.build(len(rows))
	}
	wins := best(rows)
	for i, r := range rows {
		for k, s := range r.cells() {
			t.cells[i][k].Set(s)
			if wins[i][k] {
				t.chips[i][k].SetFill(theme.ColorSelected)
			} else {
				t.chips[i][k].SetFill("")
			}
		}
	}
}

func (t *table) build(n int) {
	t.n, t.cells, t.chips = n, nil, nil
	t.box.Objects = nil
	for k, h := range heads {
		c := parts.Caption(h)
		if k > 0 {
			c.Aligned(fyne.TextAlignTrailing)
		}
		t.box.Add(parts.Inset(2, 8, 2, 8, c))
	}
	for range n {
		var cells []*parts.Text
		var chips []*parts.Box
		for k := range heads {
			c := parts.Dense("")
			if k > 0 {
				c = parts.Number("").Shortened().Aligned(fyne.TextAlignTrailing)
			}
			chip := parts.NewBox("", theme.RadiusToken, parts.Inset(3, 8, 3, 8, c))
			cells, chips = append(cells, c), append(chips, chip)
			t.box.Add(chip)
		}
		t.cells, t.chips = append(t.cells, cells), append(t.chips, chips)
	}
	t.box.Refresh()
}

// tableLayout gives the names twice the width of a number.
type tableLayout struct{}

// MinSize implements [fyne.Layout].
func (tableLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(380, 140) }

// Layout implements [fyne.Layout].
func (tableLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	n := len(heads)
	unit := min(s.Width/(float32(n)+1), 120)
	rows := max(len(o)/n, 1)
	h := min(s.Height/float32(rows), 30)
	for i, x := range o {
		k := i % n
		at := float32(0)
		w := unit * 2
		if k > 0 {
			at, w = unit*float32(k+1), unit
		}
		x.Move(fyne.NewPos(at+4, float32(i/n)*h+2))
		x.Resize(fyne.NewSize(w-8, h-4))
	}
}

// matrix shows the agreement of every two columns.
type matrix struct {
	box   *fyne.Container
	names []*parts.Text
	cells []*parts.Text
	boxes []*parts.Box
	n     int
}

func newMatrix() *matrix { return &matrix{box: container.New(&matrixLayout{})} }

func (m *matrix) set(names []string, share [][]float64) {
	if m.n != len(names) {
		m.build(len(names))
	}
	for i, name := range names {
		r := []rune(name)
		m.names[i].Set(string(r[:min(3, len(r))]))
		m.names[m.n+i].Set(string(r[:min(3, len(r))]))
		for j := range names {
			k := i*m.n + j
			v := share[i][j]
			if math.IsNaN(v) {
				m.cells[k].Set(figures.Unknown)
				m.boxes[k].SetFill(theme.ColorRaised)
				continue
			}
			m.cells[k].Set(fmt.Sprintf("%.2f", v))
			// Grey by share: the room has no colour.
			switch {
			case v >= .95:
				m.boxes[k].SetFill(fynetheme.ColorNameInputBorder)
			case v >= .6:
				m.boxes[k].SetFill(theme.ColorMaskLight)
			default:
				m.boxes[k].SetFill(theme.ColorMask)
			}
		}
	}
}

func (m *matrix) build(n int) {
	m.n, m.names, m.cells, m.boxes = n, nil, nil, nil
	m.box.Objects = nil
	for range 2 * n {
		t := parts.Caption("").Whole().Aligned(fyne.TextAlignCenter)
		m.names = append(m.names, t)
		m.box.Add(t)
	}
	for range n * n {
		t := parts.Number("").Aligned(fyne.TextAlignCenter)
		b := parts.NewBox(theme.ColorRaised, theme.RadiusCell, parts.Inset(5, 0, 0, 0, t))
		m.cells, m.boxes = append(m.cells, t), append(m.boxes, b)
		m.box.Add(b)
	}
	m.box.Refresh()
}

// matrixLayout puts names above and at the left of the cells.
type matrixLayout struct{}

// MinSize implements [fyne.Layout].
func (matrixLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(250, 130) }

// Layout implements [fyne.Layout].
func (matrixLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	n := 0
	for n*n+2*n < len(o) {
		n++
	}
	const left, top = 36, 18
	w := min(52, (s.Width-left)/max(float32(n), 1))
	h := min(28, (s.Height-top)/max(float32(n), 1))
	for i, x := range o {
		switch {
		case i < n: // above
			x.Move(fyne.NewPos(left+float32(i)*w, 0))
			x.Resize(fyne.NewSize(w-2, top))
		case i < 2*n: // at the left
			x.Move(fyne.NewPos(0, top+float32(i-n)*h+h/2-8))
			x.Resize(fyne.NewSize(left-4, min(h, 20)))
		default:
			k := i - 2*n
			x.Move(fyne.NewPos(left+float32(k%n)*w, top+float32(k/n)*h))
			x.Resize(fyne.NewSize(w-2, h-2))
		}
	}
}
