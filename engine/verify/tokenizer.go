package verify

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"unmask/engine"
	"unmask/engine/token"
)

// besides gives the small files of a checkpoint folder.
type besides struct{ dir string }

func (b besides) File(name string) ([]byte, error) { return os.ReadFile(filepath.Join(b.dir, name)) }

// verifyTokenizer checks the tokenizer_cases of golden.json against the tokenizer in dir.
func verifyTokenizer(_ context.Context, f *folder, dir, family string) error {
	tok, err := token.Open(besides{dir}, family)
	if err != nil {
		return err
	}
	var cases []struct {
		Text    string `json:"text"`
		IDs     []int  `json:"ids"`
		Decoded string `json:"decoded"`
	}
	if err := f.decode("tokenizer_cases", &cases); err != nil {
		return err
	}
	for i, c := range cases {
		name := fmt.Sprintf("tokenizer_cases.%d", i)
		f.same(name+".ids", ids(tok.AppendTokens(nil, c.Text)), c.IDs, []int{len(c.IDs)})
		f.text(name+".decoded", token.Text(tok.AppendText(nil, tokens(c.IDs)...)), c.Decoded)
	}
	return nil
}

func (f *folder) text(name, got, want string) {
	c := Check{Name: name, Pass: got == want}
	if !c.Pass {
		c.Err, c.Note = 1, fmt.Sprintf("%q, want %q", got, want)
	}
	f.add(c)
}

func ids(t []engine.Token) []int {
	out := make([]int, len(t))
	for i, x := range t {
		out[i] = int(x)
	}
	return out
}

func tokens(v []int) []engine.Token {
	out := make([]engine.Token, len(v))
	for i, x := range v {
		out[i] = engine.Token(x)
	}
	return out
}
