package glview

import (
	"fmt"
	"image/color"
	"math"

	"unmask/engine"
	"unmask/ui/flow"
	"unmask/ui/palette"
	"unmask/ui/run"
)

// TextStyle says how text tokens are drawn.
type TextStyle uint8

// The text styles.
const (
	AutoText  TextStyle = iota // Words where they fit, else Cells
	Words                      // as words on lines
	CellsOnly                  // as small squares
	NoText                     // only the picture, where there is one
)

// Config is everything that a scene depends on beside the run. The zero value of a field means what it says.
type Config struct {
	Width, Height int     // pixels
	Scale         float32 // pixels a unit; 0: 1
	Dark          bool
	View          palette.View
	Text          TextStyle
	NoPicture     bool    // only the text, where there is some
	Margin        float32 // units around everything
	Back          *color.NRGBA
	Contrast      bool // a line around every mask
	ReduceMotion  bool // no shimmer, no scaling, no fades
	Fonts         *Fonts
	Captions      Captions
}

// Captions stand around the canvas of an exported animation: two texts above it and the progress below it. The zero value
// leaves no room for them.
type Captions struct {
	Left, Right string
	Progress    float32 // share of the steps, in [0, 1]
}

// maxPixels bounds the size of a frame.
const maxPixels = 16 << 20

func (c *Config) check() error {
	if c.Width < 1 || c.Height < 1 || c.Width > 1<<14 || c.Height > 1<<14 || c.Width*c.Height > maxPixels {
		return fmt.Errorf("frame of %d by %d pixels; at most %d in all", c.Width, c.Height, maxPixels)
	}
	return nil
}

// place is where a position stands, in whole pixels.
type place struct {
	pos        int
	x, y, w, h int
	gap        int  // pixels between neighbouring cells
	word       bool // drawn as a word
	cx, cy     float32
}

// Scene says where every position of a run stands in a frame. It is laid out again only when the run has new text, the
// size changes or Set is called with another run.
type Scene struct {
	cfg    Config
	run    *run.Run
	pal    *palette.Palette // of text
	places []place
	at     []int // index into places by position; -1: not shown

	pictureX, pictureY, pictureW, pictureH int // zero without a picture
	pictureFixed                           bool

	flow    *flow.Flow
	textX   int
	textY   int
	textW   int
	textH   int
	line    float32
	atlas   *Atlas
	small   *Atlas // of captions
	version int
	scaled  scaledPicture
}

// NewScene makes a scene without a run.
func NewScene(cfg Config) (*Scene, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Scale <= 0 {
		cfg.Scale = 1
	}
	if cfg.Fonts == nil {
		f, err := NewFonts()
		if err != nil {
			return nil, err
		}
		cfg.Fonts = f
	}
	return &Scene{cfg: cfg, pal: palette.For(cfg.Dark), version: -1}, nil
}

// Config is what the scene was made with.
func (s *Scene) Config() Config { return s.cfg }

// SetRun shows another run.
func (s *Scene) SetRun(r *run.Run) {
	s.run, s.version = r, -1
	s.flow, s.places, s.scaled = nil, nil, scaledPicture{}
}

// SetView changes what colours mean; nothing moves.
func (s *Scene) SetView(v palette.View) { s.cfg.View = v }

// SetCaptions changes the captions. Their room is decided by those that the scene was made with.
func (s *Scene) SetCaptions(c Captions) { s.cfg.Captions = c }

// Update lays out what was added to the run.
func (s *Scene) Update() error {
	if s.run == nil || s.run.Started() == nil {
		s.places = nil
		return nil
	}
	if s.version == s.run.Version() {
		return nil
	}
	if s.version < 0 {
		if err := s.begin(); err != nil {
			return err
		}
	}
	s.version = s.run.Version()
	if s.flow != nil && s.flow.Update() {
		if s.flow.Height > float32(s.textH) && s.cfg.Text != Words {
			return s.begin() // too long for this size: smaller words, or squares
		}
		s.layWords()
	}
	return nil
}

// begin shares the frame out between text and picture, and lays out all cells.
func (s *Scene) begin() error {
	st := s.run.At(0)
	s.places = s.places[:0]
	s.at = make([]int, len(st.Cells))
	for i := range s.at {
		s.at[i] = -1
	}
	s.pictureX, s.pictureY, s.pictureW, s.pictureH = 0, 0, 0, 0
	s.flow, s.textW = nil, 0
	m := int(s.cfg.Margin * s.cfg.Scale)
	x, y, w, h := m, m, s.cfg.Width-2*m, s.cfg.Height-2*m
	if s.cfg.Captions != (Captions{}) {
		y += int(28 * s.cfg.Scale)
		h -= int(44 * s.cfg.Scale)
	}
	if w <= 0 || h <= 0 {
		return nil
	}
	text := s.textPositions(&st)
	picture := st.Image.Len() > 0 && !(s.cfg.NoPicture && len(text) > 0)
	written := picture && st.Image.Lo < st.Answer.Hi && st.Answer.Lo < st.Image.Hi
	if s.cfg.View == palette.Picture && picture || s.cfg.Text == NoText {
		text = nil
	}
	switch {
	case picture && len(text) == 0:
		s.layPicture(&st, x, y, w, h)
	case picture:
		share := .48
		if !written {
			share = .3 // a picture of the prompt, looked at, not drawn
		}
		gap := int(16 * s.cfg.Scale)
		if w > h*5/4 {
			pw := min(int(share*float64(w)), h*st.Grid.Cols/max(st.Grid.Rows, 1))
			if written {
				s.layPicture(&st, x+w-pw, y, pw, h)
				return s.layText(&st, text, x, y, w-pw-gap, h)
			}
			s.layPicture(&st, x, y, pw, h)
			return s.layText(&st, text, x+pw+gap, y, w-pw-gap, h)
		}
		ph := min(int(share*1.1*float64(h)), w*st.Grid.Rows/max(st.Grid.Cols, 1))
		s.layPicture(&st, x, y, w, ph)
		return s.layText(&st, text, x, y+ph+gap, w, h-ph-gap)
	default:
		return s.layText(&st, text, x, y, w, h)
	}
	return nil
}

// textPositions are the text positions of the answer.
func (s *Scene) textPositions(st *run.State) []int {
	var out []int
	for p := st.Answer.Lo; p < st.Answer.Hi; p++ {
		if st.Cells[p].Modality == engine.Text {
			out = append(out, p)
		}
	}
	if st.Image.Len() > 0 && len(out) <= 2 {
		return nil // the marks around a picture
	}
	return out
}

// layPicture lays the grid into the middle of a rectangle.
func (s *Scene) layPicture(st *run.State, x, y, w, h int) {
	g := st.Grid
	if w < g.Cols || h < g.Rows {
		return
	}
	side := min(float64(w)/float64(g.Cols), float64(h)/float64(g.Rows))
	if side > 4 {
		side = math.Floor(side) // cells of the same size look calmer than a few pixels more
	}
	pw, ph := int(side*float64(g.Cols)), int(side*float64(g.Rows))
	s.pictureX, s.pictureY, s.pictureW, s.pictureH = x+(w-pw)/2, y+(h-ph)/2, pw, ph
	s.pictureFixed = st.Image.Hi <= st.Answer.Lo || st.Image.Lo >= st.Answer.Hi
	for i := range g.Cols * g.Rows {
		cx, cy := i%g.Cols, i/g.Cols
		x0, x1 := cx*pw/g.Cols, (cx+1)*pw/g.Cols
		y0, y1 := cy*ph/g.Rows, (cy+1)*ph/g.Rows
		s.add(place{pos: st.Image.Lo + i, x: s.pictureX + x0, y: s.pictureY + y0, w: x1 - x0, h: y1 - y0, gap: s.gap(x1 - x0)})
	}
}

// gap is the room between cells: 1 pixel below 20 units, else 2.
func (s *Scene) gap(side int) int {
	if float32(side) < 20*s.cfg.Scale {
		return max(int(s.cfg.Scale), 1)
	}
	return max(int(2*s.cfg.Scale), 2)
}

func (s *Scene) add(p place) {
	p.cx = (float32(p.x) + float32(p.w)/2) / s.cfg.Scale
	p.cy = (float32(p.y) + float32(p.h)/2) / s.cfg.Scale
	s.at[p.pos] = len(s.places)
	s.places = append(s.places, p)
}

// textSizes are the sizes of words on the canvas, in units; the largest that fits is taken.
var textSizes = []float32{28, 26, 24, 22, 20, 18}

func (s *Scene) layText(st *run.State, text []int, x, y, w, h int) error {
	if len(text) == 0 || w < 8 || h < 8 {
		return nil
	}
	s.textX, s.textY, s.textW, s.textH = x, y, w, h
	if s.cfg.Text != CellsOnly {
		for i, size := range textSizes {
			fits, err := s.tryWords(size, w, h)
			if err != nil {
				return err
			}
			if fits || s.cfg.Text == Words && i == len(textSizes)-1 {
				s.layWords()
				return nil
			}
		}
		s.flow = nil
	}
	s.layCells(text, x, y, w, h)
	return nil
}

// tryWords lays the text out at a size and reports whether it fits, with room for words longer than masks.
func (s *Scene) tryWords(size float32, w, h int) (bool, error) {
	px := size * s.cfg.Scale
	atlas, err := NewAtlas(s.cfg.Fonts, float64(px))
	if err != nil {
		return false, err
	}
	s.atlas = atlas
	s.line = float32(math.Round(float64(px * 1.6)))
	s.flow = flow.New(flow.Options{Width: float32(w), Line: s.line, Mask: float32(math.Round(float64(px * 1.7))),
		Gap: float32(math.Round(float64(px * .3))), Tick: px * .6, Header: s.line, Later: true, Measure: atlas.Measure})
	s.flow.SetFolded(false)
	s.flow.SetRun(s.run, engine.Span{})
	s.flow.Update()
	room := float32(h)
	if !s.run.Done() && s.run.Len() == 0 {
		room *= .86 // words are longer than masks by this much at most times
	}
	return s.flow.Height <= room, nil
}

// layWords takes the places of words from the flow.
func (s *Scene) layWords() {
	kept := s.places[:0]
	for _, p := range s.places {
		if !p.word {
			kept = append(kept, p)
		} else {
			s.at[p.pos] = -1
		}
	}
	s.places = kept
	for i := range s.flow.Items {
		it := &s.flow.Items[i]
		if it.Kind == flow.Blank {
			continue
		}
		p := place{pos: it.Pos, word: true, x: s.textX + round(it.X), y: s.textY + round(it.Y),
			w: max(round(it.W), 2), h: int(s.line)}
		if p.y+p.h > s.textY+s.textH+int(s.line) {
			break // below the frame
		}
		s.add(p)
	}
}

// layCells lays text positions out as squares, reading order, sides as large as fit and at most 24 units.
func (s *Scene) layCells(text []int, x, y, w, h int) {
	n := len(text)
	side := min(int(24*s.cfg.Scale), w, h)
	for side > 3 && ceil(n, max(w/side, 1))*side > h {
		side--
	}
	cols := max(w/side, 1)
	if k := cols / 8 * 8; k > 0 && ceil(n, k)*side <= h {
		cols = k // rows of whole bytes of positions are easier to count
	}
	for i, p := range text {
		if (i/cols+1)*side > h {
			break // no room: a frame smaller than its cells
		}
		s.add(place{pos: p, x: x + i%cols*side, y: y + i/cols*side, w: side, h: side, gap: s.gap(side)})
	}
}

func ceil(a, b int) int { return (a + b - 1) / b }

func round(v float32) int { return int(math.Round(float64(v))) }

// Bottom is the pixel row below everything that is laid out, 0 when nothing is.
func (s *Scene) Bottom() int {
	bottom := s.pictureY + s.pictureH
	for i := range s.places {
		bottom = max(bottom, s.places[i].y+s.places[i].h)
	}
	return bottom
}

// Hit is the position at pixel (x, y), or -1.
func (s *Scene) Hit(x, y int) int {
	for i := range s.places {
		p := &s.places[i]
		if x >= p.x && x < p.x+p.w && y >= p.y && y < p.y+p.h {
			return p.pos
		}
	}
	return -1
}

// Place is the pixel rectangle of position pos; ok is false when it is not shown.
func (s *Scene) Place(pos int) (x, y, w, h int, ok bool) {
	if pos < 0 || pos >= len(s.at) || s.at[pos] < 0 || s.at[pos] >= len(s.places) {
		return 0, 0, 0, 0, false
	}
	p := &s.places[s.at[pos]]
	return p.x, p.y, p.w, p.h, true
}
