package token

import (
	"strings"

	"unmask/engine"
)

// VisionSystem is the system message that LLaDA-V and LaViDa were trained with, LLaVA's.
const VisionSystem = "You are a helpful language and vision assistant. You are able to understand the visual content that the user provides, " +
	"and assist the user with a variety of tasks using natural language."

// Picture stands in a text where a picture's vectors are put.
const Picture = "<image>"

// AroundPictures are the tokens of the stretches of text between its pictures, one more than there are pictures. Where
// text begins with the token that begins a text, every later stretch loses its first token, the line break after a
// picture: LLaVA's code takes it for one that the tokenizer put there, and models were trained so.
func AroundPictures(t *Tokenizer, text string) [][]engine.Token {
	bos, ok := t.Special("bos")
	var out [][]engine.Token
	for i, part := range strings.Split(text, Picture) {
		ids := t.AppendTokens(nil, part)
		if i > 0 && ok && len(ids) > 0 && len(out[0]) > 0 && out[0][0] == bos {
			ids = ids[1:]
		}
		out = append(out, ids)
	}
	return out
}
