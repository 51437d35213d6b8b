package glview

import (
	"errors"
	"fmt"
	"image"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// Fonts are font files in TrueType or OpenType, tried in order for each character; a character that none has is looked for
// in a font of the system. They are for one goroutine at a time and may be shared by scenes.
type Fonts struct {
	fonts  []*opentype.Font
	faces  map[float64][]font.Face
	buf    sfnt.Buffer
	looked bool // for the system's font
}

// NewFonts parses font files. Without any, Go Regular is used.
func NewFonts(files ...[]byte) (*Fonts, error) {
	if len(files) == 0 {
		files = [][]byte{goregular.TTF}
	}
	f := &Fonts{faces: map[float64][]font.Face{}}
	for i, b := range files {
		p, err := opentype.Parse(b)
		if err != nil {
			return nil, fmt.Errorf("font %d: %w", i, err)
		}
		f.fonts = append(f.fonts, p)
	}
	return f, nil
}

// at are the faces of size pixels an em.
func (f *Fonts) at(size float64) ([]font.Face, error) {
	if c, ok := f.faces[size]; ok {
		return c, nil
	}
	var out []font.Face
	for _, p := range f.fonts {
		face, err := opentype.NewFace(p, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingNone})
		if err != nil {
			return nil, fmt.Errorf("font at %g pixels: %w", size, err)
		}
		out = append(out, face)
	}
	f.faces[size] = out
	return out, nil
}

// pick is the index of the first font that has r; 0 when none has.
func (f *Fonts) pick(r rune) int {
	if i := f.find(r); i >= 0 {
		return i
	}
	f.system()
	return max(f.find(r), 0)
}

func (f *Fonts) find(r rune) int {
	for i, p := range f.fonts {
		if g, err := p.GlyphIndex(&f.buf, r); err == nil && g != 0 {
			return i
		}
	}
	return -1
}

// errAtlasFull says that an atlas has no room; it is emptied and filled again.
var errAtlasFull = errors.New("the atlas of words is full")

// atlasSide bounds an atlas to 2048 by 2048 pixels, which every GL 3.3 device has.
const atlasSide = 2048

// Atlas holds words drawn once, as coverage. Its words all have one size.
type Atlas struct {
	Mask    *image.Alpha // nil until a word is drawn
	Version int          // grows with every change of Mask

	fonts *Fonts
	faces []font.Face
	size  float64
	words map[string]sprite
	x, y  int // next free place
	line  int // height of a sprite
	base  int // baseline within a sprite
}

// sprite is a word in the atlas. dx is where its pixels begin relative to the pen.
type sprite struct {
	place image.Rectangle
	dx    int
}

// NewAtlas makes an empty atlas for words of size pixels an em.
func NewAtlas(f *Fonts, size float64) (*Atlas, error) {
	faces, err := f.at(size)
	if err != nil {
		return nil, err
	}
	a := &Atlas{fonts: f, faces: faces, size: size, words: map[string]sprite{}}
	m := faces[0].Metrics()
	a.base = m.Ascent.Ceil() + 1
	a.line = a.base + m.Descent.Ceil() + 1
	return a, nil
}

// Measure is the advance of text in pixels.
func (a *Atlas) Measure(text string) float32 {
	var w fixed.Int26_6
	for _, r := range text {
		adv, ok := a.face(r).GlyphAdvance(r)
		if ok {
			w += adv
		}
	}
	return float32(w) / 64
}

// face is that of the first font that has r.
func (a *Atlas) face(r rune) font.Face {
	i := a.fonts.pick(r)
	if i >= len(a.faces) { // the system's font was found since the atlas was made
		faces, err := a.fonts.at(a.size)
		if err != nil || i >= len(faces) {
			return a.faces[0]
		}
		a.faces = faces
	}
	return a.faces[i]
}

// word returns text drawn in the atlas, drawing it when it is new.
func (a *Atlas) word(text string) (sprite, error) {
	if s, ok := a.words[text]; ok {
		return s, nil
	}
	if len(text) > 512 {
		text = text[:512]
	}
	w := min(int(a.Measure(text))+4, atlasSide)
	if a.Mask == nil {
		a.Mask = image.NewAlpha(image.Rect(0, 0, atlasSide, min(8*a.line, atlasSide)))
	}
	if a.x+w > atlasSide {
		a.x, a.y = 0, a.y+a.line
	}
	if a.y+a.line > atlasSide {
		return sprite{}, errAtlasFull
	}
	for a.y+a.line > a.Mask.Rect.Dy() {
		grown := image.NewAlpha(image.Rect(0, 0, atlasSide, min(2*a.Mask.Rect.Dy(), atlasSide)))
		copy(grown.Pix, a.Mask.Pix)
		a.Mask = grown
	}
	s := sprite{place: image.Rect(a.x, a.y, a.x+w, a.y+a.line), dx: -1}
	a.draw(s.place, text)
	a.x += w
	a.Version++
	a.words[text] = s
	return s, nil
}

// draw puts text into place, one pixel from its left.
func (a *Atlas) draw(place image.Rectangle, text string) {
	dst := a.Mask.SubImage(place).(*image.Alpha)
	d := font.Drawer{Dst: dst, Src: image.Opaque, Dot: fixed.P(place.Min.X+1, place.Min.Y+a.base)}
	for _, r := range text {
		d.Face = a.face(r)
		d.DrawString(string(r))
	}
}

// clear empties the atlas.
func (a *Atlas) clear() {
	clear(a.words)
	if a.Mask != nil {
		clear(a.Mask.Pix)
	}
	a.x, a.y = 0, 0
	a.Version++
}
