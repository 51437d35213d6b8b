package palette

import (
	"image/color"
	"math"
	"testing"
)

func luminance(c color.NRGBA) float64 {
	l := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= .03928 {
			return x / 12.92
		}
		return math.Pow((x+.055)/1.055, 2.4)
	}
	return .2126*l(c.R) + .7152*l(c.G) + .0722*l(c.B)
}

func contrast(a, b color.NRGBA) float64 {
	x, y := luminance(a), luminance(b)
	if x < y {
		x, y = y, x
	}
	return (x + .05) / (y + .05)
}

// TestContrast holds WCAG's limits: text 4.5, borders and marks 3, on the worst surface they may stand on.
func TestContrast(t *testing.T) {
	for _, p := range []*Palette{&Dark, &Light} {
		check := func(name string, a, b color.NRGBA, least float64) {
			t.Helper()
			if c := contrast(a, b); c < least {
				t.Errorf("dark=%v %s: %.2f, want %.1f", p.Dark, name, c, least)
			}
		}
		for _, s := range []color.NRGBA{p.Window, p.Panel, p.Raised, p.Selected, p.Canvas} {
			check("text", p.Text, s, 7)
			check("text 2", p.Text2, s, 4.5)
			check("lime ink", p.LimeInk, s, 4.5)
			check("error", p.Error, s, 4.5)
			check("warning", p.Warning, s, 4.5)
			check("done", p.Done, s, 4.5)
		}
		for _, s := range []color.NRGBA{p.Window, p.Panel, p.Raised} {
			check("border", p.Border, s, 2.95)
		}
		check("on lime", p.OnLime, p.LimeFill, 7)
		check("on lime ink", p.OnLimeInk, p.LimeInk, 4.5)
		for i := range 16 {
			check("ink", p.Ink[i], p.Canvas, 4.5)
			check("ink", p.Ink[i], p.Panel, 4.45)
			check("fill", p.Fill[i], p.Canvas, 3)
			check("on chip", p.OnChip, p.Chip(i), 4.5)
		}
	}
}

// TestSurerIsFurther: each step of a ramp is further from the background than the one before, so that lightness alone
// carries the order.
func TestSurerIsFurther(t *testing.T) {
	for i := 1; i < 16; i++ {
		for _, p := range []*Palette{&Dark, &Light} {
			if contrast(p.Fill[i], p.Canvas) <= contrast(p.Fill[i-1], p.Canvas) ||
				contrast(p.Ink[i], p.Canvas) <= contrast(p.Ink[i-1], p.Canvas) {
				t.Errorf("dark=%v step %d is not further from the background than %d", p.Dark, i, i-1)
			}
		}
	}
}

func TestIndex(t *testing.T) {
	for _, c := range []struct {
		p float32
		i int
	}{{0, 0}, {.049, 0}, {.05, 1}, {.5, 8}, {.599, 8}, {.9899, 14}, {.99, 15}, {1, 15}, {-1, 0}, {2, 15}, {float32(math.NaN()), 0}} {
		if got := Index(c.p); got != c.i {
			t.Errorf("Index(%g) = %d, want %d", c.p, got, c.i)
		}
	}
	if EntropyIndex(0) != 15 || EntropyIndex(3) != 0 {
		t.Error("entropy 0 is sure, 3 nats are not")
	}
	if Dark.Order(0, 1) != Dark.MaskLight || Dark.Order(9, 10) != Dark.Text {
		t.Error("order goes from the mask's tone to the text's")
	}
}
