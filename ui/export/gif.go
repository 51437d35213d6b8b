package export

import (
	"bufio"
	"image"
	"image/color"
	"image/color/palette"
	"image/gif"
	"io"
	"time"

	"unmask/ui/run"
)

// GIF writes the animation of r to w, endless. Colours are the 255 that serve its frames best.
func GIF(w io.Writer, r *run.Run, o Options) error {
	pal, err := choosePalette(r, o)
	if err != nil {
		return err
	}
	q := newQuantizer(pal)
	var g gif.GIF
	var last *image.RGBA
	for f, err := range Frames(r, o) {
		if err != nil {
			return err
		}
		rect := f.Image.Rect
		if last != nil {
			if rect = changed(last, f.Image); rect.Empty() {
				g.Delay[len(g.Delay)-1] += hundredths(f.Delay)
				continue
			}
		}
		g.Image = append(g.Image, q.frame(f.Image, last, rect))
		g.Delay = append(g.Delay, hundredths(f.Delay))
		g.Disposal = append(g.Disposal, gif.DisposalNone)
		if last == nil {
			last = image.NewRGBA(f.Image.Rect)
		}
		copy(last.Pix, f.Image.Pix)
	}
	g.Config = image.Config{ColorModel: q.pal, Width: last.Rect.Dx(), Height: last.Rect.Dy()}
	b := bufio.NewWriter(w)
	if err := gif.EncodeAll(b, &g); err != nil {
		return err
	}
	return b.Flush()
}

func hundredths(d time.Duration) int { return max(int(d/(10*time.Millisecond)), 1) }

// changed is the smallest rectangle outside which a and b are equal.
func changed(a, b *image.RGBA) image.Rectangle {
	r := image.Rectangle{Min: b.Rect.Max, Max: b.Rect.Min}
	for y := b.Rect.Min.Y; y < b.Rect.Max.Y; y++ {
		i := b.PixOffset(b.Rect.Min.X, y)
		for x := b.Rect.Min.X; x < b.Rect.Max.X; x, i = x+1, i+4 {
			if a.Pix[i] != b.Pix[i] || a.Pix[i+1] != b.Pix[i+1] || a.Pix[i+2] != b.Pix[i+2] {
				r.Min.X, r.Max.X = min(r.Min.X, x), max(r.Max.X, x+1)
				r.Min.Y, r.Max.Y = min(r.Min.Y, y), max(r.Max.Y, y+1)
			}
		}
	}
	if r.Min.X >= r.Max.X {
		return image.Rectangle{}
	}
	return r
}

// choosePalette counts the colours of every third frame of r and of all at its end, and cuts them into 255.
func choosePalette(r *run.Run, o Options) (color.Palette, error) {
	count := map[uint32]int{}
	n := 0
	for f, err := range Frames(r, o) {
		if err != nil {
			return nil, err
		}
		if n++; n%3 != 1 && f.Step < r.Len() {
			continue
		}
		for k := 0; k < len(f.Image.Pix); k += 4 {
			p := f.Image.Pix[k : k+3 : k+3]
			count[uint32(p[0])<<16|uint32(p[1])<<8|uint32(p[2])]++
		}
	}
	pal := medianCut(count, 255)
	if len(pal) == 0 {
		pal = palette.WebSafe
	}
	return pal, nil
}

// quantizer maps colours to the nearest of a palette whose last entry is transparent.
type quantizer struct {
	pal   color.Palette
	cache []int16 // by six bits a channel; -1: not looked up
}

func newQuantizer(pal color.Palette) *quantizer {
	q := &quantizer{pal: append(pal[:len(pal):len(pal)], color.RGBA{}), cache: make([]int16, 1<<18)}
	for i := range q.cache {
		q.cache[i] = -1
	}
	return q
}

// frame is the part rect of img; pixels that are equal in last are transparent.
func (q *quantizer) frame(img, last *image.RGBA, rect image.Rectangle) *image.Paletted {
	out := image.NewPaletted(rect, q.pal)
	clear := uint8(len(q.pal) - 1)
	for y := rect.Min.Y; y < rect.Max.Y; y++ {
		i, o := img.PixOffset(rect.Min.X, y), out.PixOffset(rect.Min.X, y)
		for range rect.Dx() {
			if p := img.Pix[i : i+3 : i+3]; last != nil && [3]uint8(p) == [3]uint8(last.Pix[i:i+3]) {
				out.Pix[o] = clear
			} else {
				out.Pix[o] = q.nearest(p[0], p[1], p[2])
			}
			i, o = i+4, o+1
		}
	}
	return out
}

func (q *quantizer) nearest(r, g, b uint8) uint8 {
	k := int(r>>2)<<12 | int(g>>2)<<6 | int(b>>2)
	if c := q.cache[k]; c >= 0 {
		return uint8(c)
	}
	best, dist := 0, 1<<30
	for i, c := range q.pal[:len(q.pal)-1] {
		p := c.(color.RGBA)
		dr, dg, db := int(p.R)-int(r), int(p.G)-int(g), int(p.B)-int(b)
		if d := 3*dr*dr + 4*dg*dg + 2*db*db; d < dist {
			best, dist = i, d
		}
	}
	q.cache[k] = int16(best)
	return uint8(best)
}
