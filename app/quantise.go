package main

import (
	"cmp"
	"image"
	"image/color"
	"slices"
)

// gifColours is how many colours a GIF holds.
const gifColours = 256

// bucket is a colour of 5 bits a channel and how often it occurs.
type bucket struct {
	c [3]uint8 // mean, 8 bits
	n int
}

// quantise is the palette of pictures by median cut (Heckbert, 1982) over colours of 5 bits a channel.
func quantise(frames []*image.RGBA) color.Palette {
	type sum struct{ n, r, g, b int }
	sums := make([]sum, 1<<15)
	for _, f := range frames {
		for i := 0; i+3 < len(f.Pix); i += 4 {
			s := &sums[key(f.Pix[i], f.Pix[i+1], f.Pix[i+2])]
			s.n++
			s.r += int(f.Pix[i])
			s.g += int(f.Pix[i+1])
			s.b += int(f.Pix[i+2])
		}
	}
	var all []bucket
	for _, s := range sums {
		if s.n > 0 {
			all = append(all, bucket{[3]uint8{uint8(s.r / s.n), uint8(s.g / s.n), uint8(s.b / s.n)}, s.n})
		}
	}
	boxes := [][]bucket{all}
	for len(boxes) < gifColours {
		i, channel := widest(boxes)
		if i < 0 {
			break
		}
		b := boxes[i]
		slices.SortFunc(b, func(x, y bucket) int { return cmp.Compare(x.c[channel], y.c[channel]) })
		mid := len(b) / 2
		boxes[i] = b[:mid]
		boxes = append(boxes, b[mid:])
	}
	var p color.Palette
	for _, b := range boxes {
		p = append(p, mean(b))
	}
	return p
}

// key is the index of a colour of 5 bits a channel.
func key(r, g, b uint8) int { return int(r>>3)<<10 | int(g>>3)<<5 | int(b>>3) }

// widest is the box with the largest spread, weighted by its size, and the channel of that spread; -1 when none can be
// divided.
func widest(boxes [][]bucket) (box, channel int) {
	box = -1
	best := 0
	for i, b := range boxes {
		if len(b) < 2 {
			continue
		}
		for ch := range 3 {
			lo, hi := uint8(255), uint8(0)
			for _, x := range b {
				lo, hi = min(lo, x.c[ch]), max(hi, x.c[ch])
			}
			if spread := int(hi-lo)*16 + len(b); spread > best {
				best, box, channel = spread, i, ch
			}
		}
	}
	return box, channel
}

// mean is the colour of a box: of its pixels, each colour counted at most as the most frequent of a small box would be.
func mean(b []bucket) color.RGBA {
	var n, r, g, bl int
	for _, x := range b {
		n += x.n
		r += x.n * int(x.c[0])
		g += x.n * int(x.c[1])
		bl += x.n * int(x.c[2])
	}
	n = max(n, 1)
	return color.RGBA{uint8(r / n), uint8(g / n), uint8(bl / n), 255}
}

// nearestColour finds the nearest colour of a palette, remembering the answers.
type nearestColour struct {
	palette color.Palette
	known   [1 << 15]int16 // -1: not asked yet
}

func newNearest(p color.Palette) *nearestColour {
	n := &nearestColour{palette: p}
	for i := range n.known {
		n.known[i] = -1
	}
	return n
}

// paletted is the part of img in the colours of the palette.
func (n *nearestColour) paletted(img *image.RGBA, part image.Rectangle) *image.Paletted {
	out := image.NewPaletted(part, n.palette)
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			i := img.PixOffset(x, y)
			k := key(img.Pix[i], img.Pix[i+1], img.Pix[i+2])
			if n.known[k] < 0 {
				n.known[k] = int16(n.palette.Index(color.RGBA{img.Pix[i], img.Pix[i+1], img.Pix[i+2], 255}))
			}
			out.SetColorIndex(x, y, uint8(n.known[k]))
		}
	}
	return out
}

// changed is the smallest rectangle that holds every pixel that differs.
func changed(a, b *image.RGBA) image.Rectangle {
	r := image.Rectangle{}
	for y := b.Rect.Min.Y; y < b.Rect.Max.Y; y++ {
		i, j := a.PixOffset(b.Rect.Min.X, y), b.PixOffset(b.Rect.Min.X, y)
		rowA, rowB := a.Pix[i:i+4*b.Rect.Dx()], b.Pix[j:j+4*b.Rect.Dx()]
		lo, hi := len(rowB), -1
		for k := range rowB {
			if rowA[k] != rowB[k] {
				lo, hi = min(lo, k), k
			}
		}
		if hi >= 0 {
			r = r.Union(image.Rect(b.Rect.Min.X+lo/4, y, b.Rect.Min.X+hi/4+1, y+1))
		}
	}
	return r
}
