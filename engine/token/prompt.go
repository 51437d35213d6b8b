package token

import (
	"slices"
	"strings"

	"unmask/engine"
)

// Prompts assembles the rows of an MMaDA model around picture tokens. Pads are not put in: pads on the left are hidden
// from attention and positions are relative, so a row without them gives the same logits up to rounding.
type Prompts struct {
	tok                                     *Tokenizer
	bos, eos, soi, eoi, t2i, mmu, r2i, ipad engine.Token
}

// Prompts returns the assembler of t; the error names the tokens that the vocabulary lacks.
func (t *Tokenizer) Prompts() (Prompts, error) {
	p := Prompts{tok: t}
	var missing []string
	for _, r := range []struct {
		role string
		id   *engine.Token
	}{
		{"bos", &p.bos}, {"eos", &p.eos}, {"soi", &p.soi}, {"eoi", &p.eoi}, {"t2i", &p.t2i}, {"mmu", &p.mmu}, {"r2i", &p.r2i},
		{"ipad", &p.ipad},
	} {
		id, ok := t.Special(r.role)
		if !ok {
			missing = append(missing, r.role)
		}
		*r.id = id
	}
	if missing != nil {
		return Prompts{}, bad("added_tokens", "no token for %s; a model with pictures needs them", strings.Join(missing, ", "))
	}
	return p, nil
}

// Caption is the text part of a picture request: [t2i] BOS text EOS. It is at most limit tokens long; longer text is cut
// and EOS put back at the end. An empty text makes the unconditional prompt.
func (p Prompts) Caption(text string, limit int) []engine.Token {
	return p.close(append([]engine.Token{p.t2i}, p.Begin(p.tok.AppendTokens(nil, text))...), limit)
}

// Reason is the text part of a reason-then-draw request: [r2i] chat EOS, at most limit tokens long.
func (p Prompts) Reason(chat []engine.Token, limit int) []engine.Token {
	return p.close(append([]engine.Token{p.r2i}, p.Begin(chat)...), limit)
}

// close ends a row of text with EOS within limit.
func (p Prompts) close(row []engine.Token, limit int) []engine.Token {
	return append(row[:min(len(row), max(limit-1, 0))], p.eos)
}

// Begin puts BOS before ids unless it is there.
func (p Prompts) Begin(ids []engine.Token) []engine.Token {
	if len(ids) > 0 && ids[0] == p.bos {
		return ids
	}
	return append([]engine.Token{p.bos}, ids...)
}

// Picture is [soi] codes [eoi]. codes are tokens, the offset added, or masks.
func (p Prompts) Picture(codes []engine.Token) []engine.Token {
	out := make([]engine.Token, 0, len(codes)+2)
	return append(append(append(out, p.soi), codes...), p.eoi)
}

// TextToImage is a whole picture request: the caption and then the picture.
func (p Prompts) TextToImage(caption, codes []engine.Token) []engine.Token {
	return slices.Concat(caption, p.Picture(codes))
}

// Question is a picture followed by a conversation about it: [mmu] [soi] codes [eoi] chat.
func (p Prompts) Question(codes, chat []engine.Token) []engine.Token {
	return slices.Concat([]engine.Token{p.mmu}, p.Picture(codes), chat)
}

// PadLeft puts pads before row until it is n long, as the released code does; the number of pads is len - len(row).
func (p Prompts) PadLeft(row []engine.Token, n int) []engine.Token {
	return append(slices.Repeat([]engine.Token{p.ipad}, max(n-len(row), 0)), row...)
}

// PadRight puts EOS after row until it is n long and cuts it there.
func (p Prompts) PadRight(row []engine.Token, n int) []engine.Token {
	row = slices.Clone(row[:min(len(row), n)])
	return append(row, slices.Repeat([]engine.Token{p.eos}, n-len(row))...)
}
