package token

import (
	"slices"

	"unmask/engine"
)

// Lumina are the marks of Lumina-DiMOO's rows. The published code gives their numbers; in a tokenizer of another size they
// lie as far from <|startoftext|>.
type Lumina struct {
	Newline    engine.Token // after each row of a picture
	Begin, End engine.Token // around a picture
	None       engine.Token // in place of the words of a row without them
	Answer     engine.Token // before an answer
	EndAnswer  engine.Token // after it
	Code       engine.Token // code 0 of a picture
	tok        *Tokenizer
}

// Lumina are the marks of t; an error where it has no <|startoftext|>.
func (t *Tokenizer) Lumina() (Lumina, error) {
	start, ok := t.ids["<|startoftext|>"]
	if !ok {
		return Lumina{}, bad("<|startoftext|>", "is no added token; picture codes are counted from it")
	}
	d := start - release
	return Lumina{
		Newline: 126084 + d, Begin: 126349 + d, End: 126350 + d, None: 126351 + d, Answer: 126354 + d, EndAnswer: 126355 + d,
		Code: 126356 + d, tok: t,
	}, nil
}

// The sentences that tell Lumina-DiMOO its task, as it was trained with.
const (
	LuminaDraw       = "Generate an image according to the text prompt."
	LuminaEdit       = "Generate an image applying the following editing instruction based on the original image."
	LuminaUnderstand = "You are a multimodal model that can process both text and images. Answer the following question based on the provided images. " +
		"Analyze each image and combine relevant details to answer."
)

// LuminaNone is the text in place of the words of a row without them.
const LuminaNone = "<uncondition>"

// Prompt is a request of a person; system may be empty where an earlier request has had it.
func (p Lumina) Prompt(system, words string) []engine.Token {
	text := "<user>" + words + "</user>"
	if system != "" {
		text = "<system>" + system + "</system>" + text
	}
	return p.tok.AppendTokens(nil, text)
}

// With puts part, a picture, before the last token of prompt, the one that ends the person's turn.
func (p Lumina) With(prompt, part []engine.Token) []engine.Token {
	n := max(len(prompt)-1, 0)
	return slices.Concat(prompt[:n], part, prompt[n:])
}

// Lines are codes in rows of cols with a line break after each. Codes are tokens, the offset added, or masks.
func (p Lumina) Lines(codes []engine.Token, cols int) []engine.Token {
	out := make([]engine.Token, 0, len(codes)+len(codes)/max(cols, 1)+1)
	for i, c := range codes {
		if out = append(out, c); (i+1)%cols == 0 {
			out = append(out, p.Newline)
		}
	}
	return out
}

// Picture is a picture as it stands in a row.
func (p Lumina) Picture(codes []engine.Token, cols int) []engine.Token {
	return slices.Concat([]engine.Token{p.Begin}, p.Lines(codes, cols), []engine.Token{p.End})
}
