package denoise

import "unmask/engine"

// Guide appends the unconditional row of a guided pass over seq to dst. The row may be longer or shorter than seq, but
// from some position before the first masked one on it holds the same tokens to the end.
type Guide func(dst []engine.Token, seq *engine.Sequence) []engine.Token

// MaskFixed is the guide of text, LLaDA's: the same sequence with every fixed position masked.
func MaskFixed(mask engine.Token) Guide {
	return func(dst []engine.Token, seq *engine.Sequence) []engine.Token {
		for i, t := range seq.Tokens {
			if seq.Fixed[i] {
				t = mask
			}
			dst = append(dst, t)
		}
		return dst
	}
}

// ReplacePrefix is the guide of pictures, MMaDA's: prefix, the prompt without a caption, in place of the first cut
// positions of the sequence.
func ReplacePrefix(prefix []engine.Token, cut int) Guide {
	return func(dst []engine.Token, seq *engine.Sequence) []engine.Token {
		return append(append(dst, prefix...), seq.Tokens[cut:]...)
	}
}

// rows fills the tokens of the next pass: the sequence, and with guidance the unconditional row after it.
func (r *run) rows() {
	r.input.Want = r.want
	if r.o.Guidance == 0 && r.o.GuidanceImage == 0 {
		r.input.Tokens = r.seq.Tokens
		return
	}
	n := len(r.seq.Tokens)
	r.input.Tokens = append(r.input.Tokens[:0], r.seq.Tokens...)
	r.input.Tokens = r.Guide(r.input.Tokens, r.seq)
	r.lens = [3]int{n, len(r.input.Tokens) - n}
	r.input.Lens = r.lens[:2]
	r.input.WantOther = r.lens[1] - n
	if r.o.GuidanceImage != 0 {
		r.input.Tokens = r.GuideImage(r.input.Tokens, r.seq)
		r.lens[2] = len(r.input.Tokens) - r.lens[1] - n
		r.input.Lens = r.lens[:]
		r.input.WantThird = r.lens[2] - n
	}
}
