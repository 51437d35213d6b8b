package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"unmask/engine"
)

// maxPromptBytes bounds a prompt read from a stream.
const maxPromptBytes = 1 << 20

type chatFlags struct {
	images []string
	system string
}

func cmdChat() *command {
	return &command{
		name: "chat", args: "[PROMPT]", short: "answer a prompt, or hold a conversation",
		long: `With a prompt, answers it. With "-", reads the prompt from standard input. Without one, reads a
prompt a line and keeps the conversation until the input ends.

  unmask chat "What is 7+8?"
  unmask chat --steps 8 --sampler threshold --threshold 0.9 --watch "Name three animals."
  unmask chat --image sticker.png "What is in the picture?"`,
		task: engine.Chat, takes: takesModel | takesJob | takesOutput | takesJSON | takesTrace,
		setup: func(c *call) {
			f := &chatFlags{}
			c.own = f
			c.fs.Func("image", "picture `FILE` that goes with the prompt; may be given several times where the model reads several", func(v string) error {
				f.images = append(f.images, v)
				return nil
			})
			c.fs.StringVar(&f.system, "system", "", "`TEXT` of the system message")
		},
		run: runChat,
	}
}

func runChat(ctx context.Context, c *call) error {
	f := c.own.(*chatFlags)
	if len(c.args) > 1 {
		return usagef("chat takes one prompt, got %d arguments; put quotes around it", len(c.args))
	}
	var history []engine.Message
	if f.system != "" {
		history = append(history, engine.Message{Role: "system", Text: f.system})
	}
	first := engine.Message{Role: "user"}
	for i, name := range f.images {
		img, err := readPicture(name)
		if err != nil {
			return err
		}
		if i < len(f.images)-1 { // without words it belongs to the next message
			history = append(history, engine.Message{Role: "user", Image: img})
		} else {
			first.Image = img
		}
	}
	if len(c.args) == 1 {
		text, err := c.prompt(c.args[0])
		if err != nil {
			return err
		}
		first.Text = text
		m, err := c.load(ctx)
		if err != nil {
			return err
		}
		defer m.Close()
		o, err := c.chatTurn(ctx, m, append(history, first))
		if err != nil {
			return c.partial(o, err)
		}
		return c.finishText(o)
	}
	if c.output != "" || c.trace != "" {
		return usagef("a conversation cannot be written with -o or --trace; give the prompt as an argument")
	}
	m, err := c.load(ctx)
	if err != nil {
		return err
	}
	defer m.Close()
	return c.converse(ctx, m, history, first)
}

func (c *call) chatTurn(ctx context.Context, m *model, messages []engine.Message) (*outcome, error) {
	o, err := c.options(m.spec, engine.Chat)
	if err != nil {
		return nil, err
	}
	return c.denoise(ctx, m, engine.Job{Task: engine.Chat, Messages: messages, Options: o, Words: c.job.words})
}

// converse answers one line of the input after the other.
func (c *call) converse(ctx context.Context, m *model, history []engine.Message, next engine.Message) error {
	sc := bufio.NewScanner(c.in)
	sc.Buffer(nil, maxPromptBytes)
	for {
		if !c.json {
			fmt.Fprint(c.err, "> ")
		}
		if !sc.Scan() {
			break
		}
		if next.Text = strings.TrimSpace(sc.Text()); next.Text == "" {
			continue
		}
		history = append(history, next)
		o, err := c.chatTurn(ctx, m, history)
		if err != nil {
			return c.partial(o, err)
		}
		if err := c.finishText(o); err != nil {
			return err
		}
		history = append(history, engine.Message{Role: "assistant", Text: o.finished().Text})
		next = engine.Message{Role: "user"}
	}
	if !c.json {
		fmt.Fprintln(c.err)
	}
	return sc.Err()
}

// prompt is arg, or standard input where arg is "-".
func (c *call) prompt(arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	b, err := io.ReadAll(io.LimitReader(c.in, maxPromptBytes+1))
	if err != nil {
		return "", fmt.Errorf("read the prompt: %w", err)
	}
	if len(b) > maxPromptBytes {
		return "", &engine.InputError{Item: "prompt", Reason: fmt.Sprintf("is longer than %d bytes", maxPromptBytes)}
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// partial prints what a stopped text run has so far and returns err.
func (c *call) partial(o *outcome, err error) error {
	if o == nil || o.run.Len() == 0 || !errors.Is(err, context.Canceled) {
		return err
	}
	st := o.run.At(o.run.Len())
	if st.Grid.Cols == 0 && !c.json {
		fmt.Fprintln(c.out, picture(&st))
	}
	return err
}
