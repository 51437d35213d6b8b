package export

import (
	"image/color"
	"slices"
)

// counted is a colour 0xRRGGBB and how many pixels have it.
type counted struct {
	c uint32
	n int
}

func (c counted) channel(i int) int { return int(c.c>>(16-8*i)) & 255 }

// medianCut is Heckbert's palette of at most n colours: the box of colours with the largest spread, weighed by its pixels,
// is cut at its middle pixel until there are enough boxes; each gives its mean. Equal counts give equal palettes.
func medianCut(count map[uint32]int, n int) color.Palette {
	all := make([]counted, 0, len(count))
	for c, k := range count {
		all = append(all, counted{c, k})
	}
	slices.SortFunc(all, func(a, b counted) int { return int(a.c) - int(b.c) })
	if len(all) == 0 {
		return nil
	}
	boxes := [][]counted{all}
	for len(boxes) < n {
		at, axis, most := -1, 0, 0
		for i, b := range boxes {
			if ch, spread := widest(b); spread*root(pixels(b)) > most {
				at, axis, most = i, ch, spread*root(pixels(b))
			}
		}
		if at < 0 {
			break // every box is one colour
		}
		b := boxes[at]
		slices.SortStableFunc(b, func(x, y counted) int { return x.channel(axis) - y.channel(axis) })
		half, k := pixels(b)/2, 0
		cut := 1
		for i := range b[:len(b)-1] {
			if k += b[i].n; k > half && i > 0 {
				break
			}
			cut = i + 1
		}
		boxes[at] = b[:cut]
		boxes = append(boxes, b[cut:])
	}
	pal := make(color.Palette, len(boxes))
	for i, b := range boxes {
		pal[i] = average(b)
	}
	return pal
}

// widest is the channel of b with the largest spread, and the spread.
func widest(b []counted) (channel, spread int) {
	for i := range 3 {
		lo, hi := 255, 0
		for _, c := range b {
			lo, hi = min(lo, c.channel(i)), max(hi, c.channel(i))
		}
		if hi-lo > spread {
			channel, spread = i, hi-lo
		}
	}
	return channel, spread
}

func pixels(b []counted) (n int) {
	for _, c := range b {
		n += c.n
	}
	return n
}

// root is the whole square root of n: large flat areas are not to take the whole palette.
func root(n int) int {
	r := 0
	for r*r <= n {
		r++
	}
	return max(r-1, 1)
}

func average(b []counted) color.RGBA {
	var sum [3]int
	n := pixels(b)
	for _, c := range b {
		for i := range sum {
			sum[i] += c.channel(i) * c.n
		}
	}
	at := func(i int) uint8 { return uint8((sum[i] + n/2) / n) }
	return color.RGBA{at(0), at(1), at(2), 255}
}
