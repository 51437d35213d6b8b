package local

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/token"
	"unmask/engine/vq"
)

// Bounds of pictures that a person gives.
const (
	maxSide   = 1 << 15 // pixels
	maxPixels = 64 << 20
)

// maxCaption is the longest text part of a picture request of the released model: 512 and its task token.
const maxCaption = 513

// flat is img as 8-bit pixels, so that what is recorded is what was seen; nil stays nil.
func flat(img image.Image) (*image.NRGBA, error) {
	if img == nil {
		return nil, nil
	}
	b := img.Bounds()
	if b.Empty() || b.Dx() > maxSide || b.Dy() > maxSide || b.Dx()*b.Dy() > maxPixels {
		return nil, &engine.InputError{Item: "picture", Reason: fmt.Sprintf("%d x %d pixels, want 1 to %d a side and at most %d", b.Dx(), b.Dy(), maxSide, maxPixels)}
	}
	if n, ok := img.(*image.NRGBA); ok {
		return n, nil
	}
	n := image.NewNRGBA(b)
	draw.Draw(n, b, img, b.Min, draw.Src)
	return n, nil
}

// look encodes a picture on the model's own grid.
func (m *model) look(ctx context.Context, img *image.NRGBA) ([]engine.Token, *image.NRGBA, error) {
	if m.image == nil {
		return nil, nil, &engine.UnsupportedError{What: "a picture with the model " + m.spec.Name, Have: "text"}
	}
	return m.lookAs(ctx, img, m.spec.Image.Grid)
}

// lookAs encodes a picture on grid g. It returns its tokens and the picture as the engine sees it, at the size of decoded
// ones.
func (m *model) lookAs(ctx context.Context, img *image.NRGBA, g engine.Grid) ([]engine.Token, *image.NRGBA, error) {
	fit := vq.Crop
	if m.lumina != nil {
		fit = func(img image.Image, w, h int) (*image.NRGBA, error) { return vq.Cut(img, image.Pt(w, h)) }
	}
	w, h := m.image.InputSize(g.Cols, g.Rows)
	px, err := fit(img, w, h)
	if err != nil {
		return nil, nil, err
	}
	codes, err := m.image.EncodePixels(ctx, px)
	if err != nil {
		return nil, nil, err
	}
	m.offset(codes)
	w, h = m.image.Size(g.Cols, g.Rows)
	source, err := fit(img, w, h)
	return codes, source, err
}

// offset turns codes into tokens, in place.
func (m *model) offset(codes []engine.Token) {
	for i := range codes {
		codes[i] += m.spec.Image.Offset
	}
}

// caption is the text part of a picture request and that of its unconditional row.
func (m *model) caption(job engine.Job, cells int) (with, without []engine.Token, err error) {
	limit := min(maxCaption, m.spec.MaxLen-cells-2)
	with = m.prompts.Caption(strings.TrimSpace(prompt(job)), 1<<30)
	without = m.prompts.Caption("", 1<<30)
	if len(with) > limit {
		return nil, nil, &engine.InputError{Item: "prompt", Reason: fmt.Sprintf("%d tokens long, at most %d fit before a picture of %d cells", len(with), limit, cells)}
	}
	return with, without, nil
}

// drawing is a sequence with a picture and what belongs to it.
type drawing struct {
	seq   engine.Sequence
	image engine.Span
	guide denoise.Guide
}

// draw lays out [t2i] BOS text EOS [soi] codes [eoi]. Codes that are the mask token are free.
func (m *model) draw(with, without, codes []engine.Token) drawing {
	r := &row{}
	whole := m.prompts.TextToImage(with, codes)
	lo := len(with) + 1
	r.add(engine.Text, true, whole[:lo]...)
	span := r.add(engine.Image, true, codes...)
	for i, t := range codes {
		r.seq.Fixed[lo+i] = t != m.spec.Mask
	}
	r.add(engine.Text, true, whole[span.Hi:]...)
	return drawing{r.seq, span, denoise.ReplacePrefix(without, len(with))}
}

// planDrawing prepares a picture from a prompt.
func (m *model) planDrawing(job engine.Job) (*plan, error) {
	if strings.TrimSpace(prompt(job)) == "" {
		return nil, &engine.InputError{Item: "prompt", Reason: "is empty"}
	}
	g := m.spec.Image.Grid
	if !job.Frame.Empty() {
		var err error
		if g, err = m.sized(job.Frame.Size()); err != nil {
			return nil, err
		}
	}
	codes := slices.Repeat([]engine.Token{m.spec.Mask}, g.Cols*g.Rows)
	if m.lumina != nil {
		return m.planRows(job, drawn{system: token.LuminaDraw, codes: codes, grid: g})
	}
	return m.planPicture(job, codes, nil)
}

// sized is the grid of a picture of about this many pixels.
func (m *model) sized(pixels image.Point) (engine.Grid, error) {
	w, h := m.image.Size(1, 1)
	g := engine.Grid{Cols: (pixels.X + w/2) / w, Rows: (pixels.Y + h/2) / h}
	switch {
	case !m.spec.Image.Free && g != m.spec.Image.Grid:
		return g, &engine.UnsupportedError{What: fmt.Sprintf("a picture of %d x %d pixels with the model %s", pixels.X, pixels.Y, m.spec.Name),
			Have: fmt.Sprintf("%d x %d", m.spec.Image.Width, m.spec.Image.Height)}
	case g.Cols < 1 || g.Rows < 1 || g.Cols > m.spec.MaxLen || g.Rows > m.spec.MaxLen || (g.Cols+1)*g.Rows > m.spec.MaxLen:
		return g, &engine.InputError{Item: "size", Reason: fmt.Sprintf("%d x %d pixels are %d x %d cells of %d x %d; want at least one and at most %d with their line breaks",
			pixels.X, pixels.Y, g.Cols, g.Rows, w, h, m.spec.MaxLen)}
	}
	return g, nil
}

// planInpaint prepares a picture whose painted cells are imagined anew.
func (m *model) planInpaint(ctx context.Context, job engine.Job, img *image.NRGBA) (*plan, error) {
	if img == nil {
		return nil, &engine.InputError{Item: "picture", Reason: "there is none to paint on"}
	}
	if job.Mask == nil {
		return nil, &engine.InputError{Item: "mask", Reason: "there is none"}
	}
	g := m.spec.Image.Grid
	if m.lumina != nil {
		g = m.proportions(img, 1)
	}
	codes, source, err := m.hidden(ctx, job.Mask, img, g)
	if err != nil {
		return nil, err
	}
	if m.lumina != nil {
		return m.planRows(job, drawn{system: token.LuminaDraw, codes: codes, grid: g, source: source})
	}
	return m.planPicture(job, codes, source)
}

// hidden are the codes of a picture in grid g, masks in the painted cells, and the picture as the engine sees it.
func (m *model) hidden(ctx context.Context, mask *image.Alpha, img *image.NRGBA, g engine.Grid) ([]engine.Token, *image.NRGBA, error) {
	if mask.Bounds() != img.Bounds() {
		return nil, nil, &engine.InputError{Item: "mask", Reason: fmt.Sprintf("%v pixels, the picture has %v", mask.Bounds().Size(), img.Bounds().Size())}
	}
	codes, source, err := m.lookAs(ctx, img, g)
	if err != nil {
		return nil, nil, err
	}
	w, h := m.image.InputSize(g.Cols, g.Rows)
	painted := cells(mask, vq.CropRect(img, w, h), g)
	n := 0
	for i, on := range painted {
		if on {
			codes[i] = m.spec.Mask
			n++
		}
	}
	if n == 0 {
		return nil, nil, &engine.InputError{Item: "mask", Reason: fmt.Sprintf("covers a quarter of 0 of the %d cells", len(painted))}
	}
	return codes, source, nil
}

// planPicture prepares a run over one grid of codes; source is the picture whose fixed cells are kept, or nil.
func (m *model) planPicture(job engine.Job, codes []engine.Token, source *image.NRGBA) (*plan, error) {
	with, without, err := m.caption(job, len(codes))
	if err != nil {
		return nil, err
	}
	d := m.draw(with, without, codes)
	p := &plan{seq: &d.seq, picture: &canvas{grid: m.spec.Image.Grid, at: d.image.Lo, base: source}}
	p.started = &engine.Started{Job: job, Answer: d.image, Grid: p.picture.grid}
	if source != nil {
		p.started.Source = source
		p.picture.keep = append([]bool(nil), d.seq.Fixed[d.image.Lo:d.image.Hi]...)
	}
	p.once(d.guide, d.image)
	return p, nil
}

// cells says which cells of grid g over the part area of the mask's picture are painted: those where a quarter or more of
// the pixels are at least half opaque.
func cells(mask *image.Alpha, area image.Rectangle, g engine.Grid) []bool {
	out := make([]bool, g.Cols*g.Rows)
	for i := range out {
		col, row := i%g.Cols, i/g.Cols
		r := image.Rect(area.Dx()*col/g.Cols, area.Dy()*row/g.Rows, area.Dx()*(col+1)/g.Cols, area.Dy()*(row+1)/g.Rows).Add(area.Min)
		if r.Empty() { // a picture with fewer pixels than cells
			r.Max = r.Min.Add(image.Pt(1, 1))
		}
		n := 0
		for y := r.Min.Y; y < r.Max.Y; y++ {
			for x := r.Min.X; x < r.Max.X; x++ {
				if mask.AlphaAt(x, y).A >= 128 {
					n++
				}
			}
		}
		out[i] = n > 0 && 4*n >= r.Dx()*r.Dy()
	}
	return out
}

// decode is the picture of the plan as it stands. Masked cells show the neutral code, kept cells the pixels they came
// with. The last result is given again while no code changes.
func (m *model) decode(ctx context.Context, p *plan) (*image.NRGBA, error) {
	c := p.picture
	n := c.grid.Cols * c.grid.Rows
	codes := make([]engine.Token, n)
	same := len(c.had) == n
	for i, t := range p.seq.Tokens[c.at : c.at+n] {
		codes[i] = t - m.spec.Image.Offset
		if t == m.spec.Mask || codes[i] < 0 || int(codes[i]) >= m.spec.Image.Codebook {
			codes[i] = -1
		}
		same = same && codes[i] == c.had[i]
	}
	if same {
		return c.old, nil
	}
	img, err := m.image.DecodeImage(ctx, codes, c.grid.Cols, c.grid.Rows)
	if err != nil {
		return nil, err
	}
	c.composite(img)
	c.old, c.had = img, codes
	return img, nil
}

// composite puts the kept pixels over img.
func (c *canvas) composite(img *image.NRGBA) {
	b := img.Bounds()
	for i, keep := range c.keep {
		if !keep {
			continue
		}
		col, row := i%c.grid.Cols, i/c.grid.Cols
		r := image.Rect(b.Dx()*col/c.grid.Cols, b.Dy()*row/c.grid.Rows, b.Dx()*(col+1)/c.grid.Cols, b.Dy()*(row+1)/c.grid.Rows)
		inner := r
		if c.soft {
			inner = c.blend(img, r, col, row)
		}
		draw.Draw(img, inner, c.base, inner.Min, draw.Src)
	}
}

// blend mixes the kept cell r into img along its sides to repainted cells, over an eighth of the cell, and returns what is
// left of the cell. The border of a decoded picture is not quite that of a larger one, which would show as a line.
func (c *canvas) blend(img *image.NRGBA, r image.Rectangle, col, row int) image.Rectangle {
	open := func(x, y int) bool {
		return x >= 0 && y >= 0 && x < c.grid.Cols && y < c.grid.Rows && !c.keep[y*c.grid.Cols+x]
	}
	inner := r
	dx, dy := max(r.Dx()/8, 1), max(r.Dy()/8, 1)
	if open(col-1, row) {
		inner.Min.X += dx
	}
	if open(col+1, row) {
		inner.Max.X -= dx
	}
	if open(col, row-1) {
		inner.Min.Y += dy
	}
	if open(col, row+1) {
		inner.Max.Y -= dy
	}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			if image.Pt(x, y).In(inner) {
				continue
			}
			// Pixels from inner, in parts of the seam: the share of what was decoded.
			w := max(float64(max(inner.Min.X-x, x-inner.Max.X+1))/float64(dx+1), float64(max(inner.Min.Y-y, y-inner.Max.Y+1))/float64(dy+1))
			p, q := img.Pix[img.PixOffset(x, y):], c.base.Pix[c.base.PixOffset(x, y):]
			for i := range 3 {
				p[i] = byte(float64(p[i])*w + float64(q[i])*(1-w) + 0.5)
			}
		}
	}
	return inner
}

// blank is a picture of one colour.
func blank(w, h int, c color.NRGBA) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.Draw(img, img.Rect, image.NewUniform(c), image.Point{}, draw.Src)
	return img
}
