package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/vq"
)

// grey is what the published code shows where a picture is to be painted.
const grey = 127

// pictures checks vq.*: a picture on its way through the tokenizer and back.
func (l *lumina) pictures(ctx context.Context) error {
	f, t := l.f, l.n.Image
	img, err := f.picture("image.u8")
	if err != nil {
		return err
	}
	px := img.(*image.NRGBA)
	w, h := px.Rect.Dx(), px.Rect.Dy()
	pixels := vq.Unit(px)
	if f.has("vq.pixels") {
		f.near("vq.pixels", pixels)
	}
	z, err := t.Latents(ctx, pixels, w, h)
	if err != nil {
		return err
	}
	z = slices.Clone(z)
	f.near("vq.latents", z)
	codes := t.Quantize(z)
	f.equal("vq.indices", toInts(codes))
	f.near("vq.quantized", t.Vectors(codes))
	if cells := l.cols * l.rows; len(codes) != cells {
		return fmt.Errorf("vq.indices: %d codes, the grid has %d", len(codes), cells)
	}
	var r struct {
		Gap     float64 `json:"min_distance_gap"` // how near the closest decision was to a tie
		Indices []int   `json:"indices"`
	}
	if err := f.decodeStrictly("vq", &r); err != nil {
		return err
	}
	f.same("vq.indices (golden.json)", toInts(codes), r.Indices, []int{len(r.Indices)})
	if f.has("vq.decoded") {
		y, err := t.DecodePlanes(ctx, codes, l.cols, l.rows)
		if err != nil {
			return err
		}
		f.near("vq.decoded", y)
	}
	if err := l.bytes(ctx, codes); err != nil {
		return err
	}
	for i := range codes {
		codes[i] += l.spec.Image.Offset
	}
	l.codes = codes
	return nil
}

// bytes checks the decoded bytes; those that the float64 replay of the official code gave otherwise may be off by one.
func (l *lumina) bytes(ctx context.Context, codes []engine.Token) error {
	const name = "vq.decoded_u8"
	if !l.f.has(name) {
		return nil
	}
	img, err := l.n.Image.DecodeImage(ctx, codes, l.cols, l.rows)
	if err != nil {
		return err
	}
	got := make([]float32, 0, 3*len(img.Pix)/4)
	for i := 0; i < len(img.Pix); i += 4 {
		got = append(got, float32(img.Pix[i]), float32(img.Pix[i+1]), float32(img.Pix[i+2]))
	}
	var disagree []string
	if err := l.f.decode("float64_integer_disagreements", &disagree); err != nil {
		return err
	}
	tol := 0.0
	if slices.Contains(disagree, name) {
		tol = 1
	}
	l.f.nearWithin(name, name, got, tol)
	return nil
}

// sizes checks the tables of picture sizes and the choice among them.
func (l *lumina) sizes(context.Context) error {
	f := l.f
	for _, key := range sortedKeys(f.golden) {
		var side int
		if _, err := fmt.Sscanf(key, "crop_sizes_%d", &side); err == nil {
			var want [][2]int
			if err := f.decode(key, &want); err != nil {
				return err
			}
			var got, flat []int
			for _, s := range vq.Sizes(side/32*(side/32), 32) {
				got = append(got, s.X, s.Y)
			}
			for _, s := range want {
				flat = append(flat, s[0], s[1])
			}
			f.same(key, got, flat, []int{len(want), 2})
		}
		if _, err := fmt.Sscanf(key, "crop_choice_%d", &side); err == nil {
			var want []struct {
				Size   [2]int `json:"wh"`
				Chosen [2]int `json:"chosen"`
			}
			if err := f.decode(key, &want); err != nil {
				return err
			}
			var got, flat []int
			for _, c := range want {
				s := vq.Nearest(vq.Sizes(side/32*(side/32), 32), c.Size[0], c.Size[1])
				got, flat = append(got, s.X, s.Y), append(flat, c.Chosen[0], c.Chosen[1])
			}
			f.same(key, got, flat, []int{len(want), 2})
		}
	}
	return nil
}

// written checks tokens.*: pictures as they stand in a row, and those painted over in part.
func (l *lumina) written(context.Context) error {
	f := l.f
	for _, name := range f.names("tokens.") {
		what := strings.TrimPrefix(name, "tokens.")
		var mode string
		var height, width float64
		switch {
		case what == "with_breaks":
			f.equal(name, toInts(l.marks.Picture(l.codes, l.cols)))
		case what == "mmu_script_double_breaks":
			f.equal(name, toInts(l.twice()))
		default:
			text, shown := strings.CutSuffix(what, ".vis_u8")
			if n, err := fmt.Sscanf(strings.NewReplacer("painting_", "painting ", "_", " ").Replace(text), "%s %g %g", &mode, &height, &width); n != 3 {
				f.fail(name, fmt.Errorf("no check knows this array: %w", err))
				continue
			}
			p := painting{l: l, inside: mode == "inpainting", height: height, width: width}
			if shown {
				if err := p.shown(name); err != nil {
					f.fail(name, err)
				}
				continue
			}
			f.equal(name, toInts(l.marks.Lines(p.codes(), l.cols)))
		}
	}
	return nil
}

// twice is what the published script for questions makes of a picture: it breaks the lines of a row that has its breaks,
// and so cuts the row's end off.
func (l *lumina) twice() []engine.Token {
	whole := l.marks.Picture(l.codes, l.cols)
	return l.marks.Lines(whole[:l.cols*l.rows], l.cols)
}

// painting is the published choice of what to paint: a rectangle in the middle, or everything outside it.
type painting struct {
	l             *lumina
	inside        bool
	height, width float64 // of the rectangle, as shares of the picture
}

// rectangle is the painting's in a picture of w x h pixels.
func (p painting) rectangle(w, h int) image.Rectangle {
	mh, mw := int(math.RoundToEven(float64(h)*p.height)), int(math.RoundToEven(float64(w)*p.width))
	at := image.Pt((w-mw)/2, (h-mh)/2)
	return image.Rectangle{Min: at, Max: at.Add(image.Pt(mw, mh))}
}

// codes are those of the picture, masks where more than half of a cell is painted.
func (p painting) codes() []engine.Token {
	l := p.l
	cw, ch := l.n.Image.InputSize(1, 1)
	r := p.rectangle(l.cols*cw, l.rows*ch)
	out := slices.Clone(l.codes)
	for i := range out {
		cell := image.Rect(0, 0, cw, ch).Add(image.Pt(i%l.cols*cw, i/l.cols*ch))
		part := cell.Intersect(r)
		n := part.Dx() * part.Dy()
		if !p.inside {
			n = cw*ch - n
		}
		if 2*n > cw*ch {
			out[i] = l.spec.Mask
		}
	}
	return out
}

// shown compares the picture that shows what is painted in grey. The drawn rectangle has one row and column more.
func (p painting) shown(name string) error {
	f := p.l.f
	img, err := f.picture("image.u8")
	if err != nil {
		return err
	}
	want, shape, err := f.ints(name)
	if err != nil {
		return err
	}
	b := img.Bounds()
	r := p.rectangle(b.Dx(), b.Dy())
	if p.inside {
		r.Max = r.Max.Add(image.Pt(1, 1))
	}
	var got []int
	for y := range b.Dy() {
		for x := range b.Dx() {
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			if image.Pt(x, y).In(r) == p.inside {
				c = color.NRGBA{R: grey, G: grey, B: grey}
			}
			got = append(got, int(c.R), int(c.G), int(c.B))
		}
	}
	f.same(name, got, want, shape)
	return nil
}

// uncachedGuidance notes that the official code cannot use its cache without guidance, which is not so here.
func (l *lumina) uncachedGuidance(ctx context.Context) error {
	const key = "use_cache_with_cfg0"
	if _, ok := l.f.golden[key]; !ok {
		return nil
	}
	var official string
	if err := json.Unmarshal(l.f.golden[key], &official); err != nil {
		return err
	}
	l.f.decoded[key] = true
	cached := l.n.Confidently(1)
	_, err := cached.Forward(ctx, engine.Input{Tokens: l.marks.Picture(l.codes, l.cols)})
	l.f.add(Check{Name: key, Pass: err == nil, Note: "official " + official + "; here it runs"})
	return nil
}
