// Package palette is the colour of everything: the grey room, the confidence ramp from warm to cool, and lime for what a
// person does. It knows no toolkit, so windows, renderers and exported animations share it.
package palette

import (
	"image/color"
	"math"
)

// Palette is one variant. Colours are opaque.
type Palette struct {
	Dark     bool
	Contrast bool // every mask has a line of Border, lines are Border

	Window, Panel, Raised, Selected, Canvas, Line, Border color.NRGBA
	Text, Text2, Disabled                                 color.NRGBA
	LimeFill, OnLime, LimeInk, OnLimeInk                  color.NRGBA
	Error, Warning, Done                                  color.NRGBA
	Mask, MaskLight                                       color.NRGBA

	Fill   [16]color.NRGBA // confidence: chips, bars, cells
	Ink    [16]color.NRGBA // confidence: text
	OnChip color.NRGBA     // text on a chip of the Chip ramp
}

// Chip is the fill of a fresh text chip, on which OnChip text is readable: the ink ramp in light, the fill ramp in dark.
func (p *Palette) Chip(i int) color.NRGBA {
	if p.Dark {
		return p.Fill[i]
	}
	return p.Ink[i]
}

// from lists the lower ends of the ramp's steps, finer near 0 and 1, where samplers decide.
var from = [16]float32{0, .05, .10, .15, .20, .27, .35, .43, .50, .60, .70, .80, .88, .94, .97, .99}

// Index is the ramp's step for probability p in [0, 1]; NaN counts as 0.
func Index(p float32) int {
	i := 0
	for k, f := range from {
		if p >= f {
			i = k
		}
	}
	return i
}

// EntropyIndex is the ramp's step for an entropy in nats: that of exp(-h).
func EntropyIndex(h float32) int { return Index(float32(math.Exp(-float64(h)))) }

// Order is the grey of the r-th of n positions in the order of unmasking, from the mask's tone to the text's.
func (p *Palette) Order(r, n int) color.NRGBA {
	t := float32(0)
	if n > 1 {
		t = float32(r) / float32(n-1)
	}
	return Mix(p.MaskLight, p.Text, min(max(t, 0), 1))
}

// Mix goes from a to b by t in [0, 1], in sRGB, alpha too.
func Mix(a, b color.NRGBA, t float32) color.NRGBA {
	m := func(x, y uint8) uint8 { return uint8(float32(x) + (float32(y)-float32(x))*t + .5) }
	return color.NRGBA{m(a.R, b.R), m(a.G, b.G), m(a.B, b.B), m(a.A, b.A)}
}

// Alpha is c at opacity a in [0, 1].
func Alpha(c color.NRGBA, a float32) color.NRGBA {
	c.A = uint8(float32(c.A)*min(max(a, 0), 1) + .5)
	return c
}

// For is Dark or Light.
func For(dark bool) *Palette { return With(dark, false) }

// With is Dark or Light, with more contrast where asked for.
func With(dark, contrast bool) *Palette {
	switch {
	case dark && contrast:
		return &darkContrast
	case dark:
		return &Dark
	case contrast:
		return &lightContrast
	}
	return &Light
}

var darkContrast, lightContrast = contrasted(Dark), contrasted(Light)

func contrasted(p Palette) Palette {
	p.Contrast, p.Line = true, p.Border
	return p
}

func hex(v uint32) color.NRGBA {
	return color.NRGBA{uint8(v >> 16), uint8(v >> 8), uint8(v), 255}
}

func ramp(v ...uint32) (r [16]color.NRGBA) {
	for i := range r {
		r[i] = hex(v[i])
	}
	return r
}

var darkRamp = ramp(0xDE6907, 0xED5F54, 0xEB6580, 0xE470A1, 0xDB7BBB, 0xD187CF, 0xC990E2, 0xBF9AF3,
	0xB3A5FF, 0xA8B1FE, 0xA0BBFE, 0x98C4FF, 0x92CDFE, 0x8BD6FF, 0x81DEFF, 0x70E8FF)

// Dark is the variant for dark rooms. Pictures are drawn with it in both.
var Dark = Palette{
	Dark:   true,
	Window: hex(0x0F1217), Panel: hex(0x161A20), Raised: hex(0x1E242C), Selected: hex(0x2A323C), Canvas: hex(0x0A0C10),
	Line: hex(0x2C343F), Border: hex(0x66727F),
	Text: hex(0xE9EDF3), Text2: hex(0xA8B2BF), Disabled: hex(0x6F7A88),
	LimeFill: hex(0xCBEA57), OnLime: hex(0x161B05), LimeInk: hex(0xCBEA57), OnLimeInk: hex(0x161B05),
	Error: hex(0xFF7A72), Warning: hex(0xF5C04E), Done: hex(0x74D69A),
	Mask: hex(0x323B47), MaskLight: hex(0x465160),
	Fill: darkRamp, Ink: darkRamp, OnChip: hex(0x12151B),
}

// Light is the variant for light rooms.
var Light = Palette{
	Window: hex(0xEEF0F3), Panel: hex(0xF8F9FB), Raised: hex(0xFFFFFF), Selected: hex(0xDDE2E8), Canvas: hex(0xFFFFFF),
	Line: hex(0xD3D9E0), Border: hex(0x808B98),
	Text: hex(0x151A21), Text2: hex(0x505B69), Disabled: hex(0x8D97A4),
	LimeFill: hex(0xBEDD3E), OnLime: hex(0x161B05), LimeInk: hex(0x4C6200), OnLimeInk: hex(0xFFFFFF),
	Error: hex(0xB3261E), Warning: hex(0x7A5200), Done: hex(0x1D6B3E),
	Mask: hex(0xD5DBE2), MaskLight: hex(0xBFC8D2),
	Fill: ramp(0xEB7007, 0xEB604E, 0xDE5D6D, 0xCE5D82, 0xBD5E90, 0xAB6098, 0x9D5E9F, 0x8F5CA5,
		0x7F5BA8, 0x6F5AAA, 0x5D59A9, 0x4A58A7, 0x3557A2, 0x17579B, 0x045688, 0x035476),
	Ink: ramp(0xCA4604, 0xC33B42, 0xB33D5B, 0xA1406A, 0x904371, 0x7F4674, 0x744278, 0x683F7B,
		0x5B3C7D, 0x4E397E, 0x40367D, 0x31347B, 0x1F3277, 0x023073, 0x01315A, 0x012E4A),
	OnChip: hex(0xFFFFFF),
}
