package palette

import "image/color"

// View is what the colours of tokens mean.
type View uint8

// The views, in the order of their keys 1 to 5.
const (
	Tokens     View = iota // words in the colour of text, the picture as it is
	Picture                // as Tokens; the picture alone where there is one
	Confidence             // probability of the token when it was written
	Order                  // when it was written, in grey
	Entropy                // how much the model wavered then
)

// Views names the views for people.
var Views = []string{"Tokens", "Picture", "Confidence", "Order", "Entropy"}

// Written is what the colour of a written token depends on.
type Written struct {
	Prob, Entropy float32
	Rank, Ranked  int // its place among the Ranked positions written so far
}

// InkOf is the colour of a written token's word in view v.
func (p *Palette) InkOf(v View, w Written) color.NRGBA {
	switch v {
	case Confidence:
		return p.Ink[Index(w.Prob)]
	case Order:
		return p.Order(w.Rank, w.Ranked)
	case Entropy:
		return p.Ink[EntropyIndex(w.Entropy)]
	default:
		return p.Text
	}
}

// FillOf is the colour of a written token's cell or bar in view v.
func (p *Palette) FillOf(v View, w Written) color.NRGBA {
	switch v {
	case Order:
		return p.Order(w.Rank, w.Ranked)
	case Entropy:
		return p.Fill[EntropyIndex(w.Entropy)]
	default:
		return p.Fill[Index(w.Prob)]
	}
}
