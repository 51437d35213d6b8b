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
		f.same(name+".ids", toInts(tok.AppendTokens(nil, c.Text)), c.IDs, []int{len(c.IDs)})
		f.text(name+".decoded", token.Text(tok.AppendText(nil, toTokens(c.IDs)...)), c.Decoded)
	}
	return f.chatCases(tok)
}

// chatCases checks golden.json's "chat_cases", where it has them, with the template that the tokenizer's files choose.
func (f *folder) chatCases(tok *token.Tokenizer) error {
	if _, ok := f.golden["chat_cases"]; !ok {
		return nil
	}
	var cases []struct {
		Messages []struct{ Role, Content string } `json:"messages"`
		Open     bool                             `json:"add_generation_prompt"`
		Think    bool                             `json:"enable_thinking"`
		Text     string                           `json:"text"`
		IDs      []int                            `json:"ids"`
	}
	if err := f.decode("chat_cases", &cases); err != nil {
		return err
	}
	for i, c := range cases {
		var messages []engine.Message
		for _, m := range c.Messages {
			messages = append(messages, engine.Message{Role: m.Role, Text: m.Content})
		}
		render := tok.Template().Closed
		if c.Open {
			render = tok.Template().Render
		}
		text, err := render(messages, c.Think)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("chat_cases.%d", i)
		f.text(name+".text", text, c.Text)
		f.same(name+".ids", toInts(tok.AppendTokens(nil, text)), c.IDs, []int{len(c.IDs)})
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
