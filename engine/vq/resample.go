package vq

import (
	"image"
	"math"
)

// Pillow resamples 8-bit pictures with integer weights of precisionBits fraction bits, columns first, rounding to bytes
// after each pass.
const precisionBits = 32 - 8 - 2

// filter is a resampling filter: its radius at scale 1 and its weight at a distance.
type filter struct {
	support float64
	weight  func(x float64) float64
}

var (
	cubicFilter = filter{2, cubic}
	// boxFilter takes the mean of the pixels under an output pixel.
	boxFilter = filter{0.5, func(x float64) float64 {
		if x > -0.5 && x <= 0.5 {
			return 1
		}
		return 0
	}}
)

// cubic is the bicubic filter with a = -0.5. The conversions keep compilers from fusing multiply and add, which would
// change the last bit of a weight on some machines.
func cubic(x float64) float64 {
	const a = -0.5
	x = math.Abs(x)
	if x < 1 {
		return float64(float64(float64(float64((a+2)*x)-(a+3))*x)*x) + 1
	}
	if x < 2 {
		return float64(float64(float64(float64(float64(x-5)*x)+8)*x)-4) * a
	}
	return 0
}

// taps are the source pixels and weights of one output pixel.
type taps struct {
	lo int
	k  []int32
}

// filterTaps computes the taps of output pixels [lo, hi) of a resize from in to out pixels. The filter widens when the
// picture shrinks, which is what makes it antialias.
func filterTaps(f filter, in, out, lo, hi int) []taps {
	scale := float64(in) / float64(out)
	wide := max(scale, 1)
	support := f.support * wide
	list := make([]taps, 0, hi-lo)
	var w []float64
	for x := lo; x < hi; x++ {
		center := float64((float64(x) + 0.5) * scale)
		first := max(int(center-support+0.5), 0)
		last := min(int(center+support+0.5), in)
		w = w[:0]
		sum := 0.0
		inv := 1 / wide
		for i := first; i < last; i++ {
			v := f.weight(float64((float64(i) - center + 0.5) * inv))
			w = append(w, v)
			sum += v
		}
		t := taps{lo: first, k: make([]int32, len(w))}
		for i, v := range w {
			if sum != 0 {
				v /= sum
			}
			v = float64(v * (1 << precisionBits))
			if v < 0 {
				t.k[i] = int32(v - 0.5)
			} else {
				t.k[i] = int32(v + 0.5)
			}
		}
		list = append(list, t)
	}
	return list
}

// resize is the part r of src resized to w x h by the bicubic filter. src starts at (0, 0) and is opaque.
func resize(src *image.NRGBA, w, h int, r image.Rectangle) *image.NRGBA {
	return resizeBy(cubicFilter, src, w, h, r)
}

func resizeBy(f filter, src *image.NRGBA, w, h int, r image.Rectangle) *image.NRGBA {
	iw, ih := src.Rect.Dx(), src.Rect.Dy()
	mid, y0 := src, 0
	var down []taps
	top, bottom := r.Min.Y, r.Max.Y
	if h != ih {
		down = filterTaps(f, ih, h, r.Min.Y, r.Max.Y)
		top, bottom = ih, 0
		for _, t := range down {
			top, bottom = min(top, t.lo), max(bottom, t.lo+len(t.k))
		}
	}
	x0 := r.Min.X
	if w != iw {
		across := filterTaps(f, iw, w, r.Min.X, r.Max.X)
		mid = image.NewNRGBA(image.Rect(0, 0, r.Dx(), bottom-top))
		for y := top; y < bottom; y++ {
			in, out := src.Pix[y*src.Stride:], mid.Pix[(y-top)*mid.Stride:]
			for x, t := range across {
				filterPixel(out[4*x:], in[4*t.lo:], 4, t.k)
			}
		}
		x0, y0 = 0, top
	}
	dst := image.NewNRGBA(image.Rect(0, 0, r.Dx(), r.Dy()))
	for y := range r.Dy() {
		out := dst.Pix[y*dst.Stride:]
		if down == nil {
			copy(out[:4*r.Dx()], mid.Pix[(r.Min.Y+y-y0)*mid.Stride+4*x0:])
			continue
		}
		t := down[y]
		for x := range r.Dx() {
			filterPixel(out[4*x:], mid.Pix[(t.lo-y0)*mid.Stride+4*(x0+x):], mid.Stride, t.k)
		}
	}
	return dst
}

// filterPixel sums k over pixels that lie step bytes apart.
func filterPixel(dst, src []byte, step int, k []int32) {
	const half = 1 << (precisionBits - 1)
	r, g, b := int32(half), int32(half), int32(half)
	for i, w := range k {
		p := src[i*step : i*step+3 : i*step+3]
		r += int32(p[0]) * w
		g += int32(p[1]) * w
		b += int32(p[2]) * w
	}
	dst[0], dst[1], dst[2], dst[3] = clip8(r), clip8(g), clip8(b), 255
}

func clip8(v int32) byte { return byte(max(0, min(255, v>>precisionBits))) }
