package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"unmask/engine"
	"unmask/engine/trace"
)

type guiFlags struct{ lines bool }

func cmdGUI() *command {
	return &command{
		name: "gui", short: "open the window (the default)",
		long: `Where no window with OpenGL can be opened, says why, makes a sample chat and picture in the
data folder instead, and ends with exit code 3.`,
		takes: takesModel,
		setup: func(c *call) {
			f := &guiFlags{}
			c.own = f
			c.fs.BoolVar(&f.lines, "lines", false, "print a line for everything that happens in the window, for tests")
		},
		run: runGUI,
	}
}

func runGUI(ctx context.Context, c *call) error {
	if err := c.noArgs(); err != nil {
		return err
	}
	mode, err := preflight(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		c.log.Debug("window", "gl", mode.info.String(), "software", mode.software)
		err = c.window(ctx, mode)
		if !errors.Is(err, errNoDisplay) {
			return err
		}
	}
	return c.headless(ctx, err)
}

// headless says in one sentence why there is no window and makes the sample session instead.
func (c *call) headless(ctx context.Context, why error) error {
	fmt.Fprintf(c.err, "unmask: no window can be opened: %v. `unmask doctor` says more.\n", why)
	if c.cfg.Demo {
		if err := c.demo(ctx); err != nil {
			return fmt.Errorf("the sample session: %w", err)
		}
	}
	return errNoDisplay
}

// demo is the sample session without a window: an answer and a picture, each with its animation, in the data folder.
func (c *call) demo(ctx context.Context) error {
	m, err := c.load(ctx)
	if err != nil {
		return err
	}
	defer m.Close()
	dir := filepath.Join(c.cfg.DataDir, "samples")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "This is the same session without a window, by the model %s.\n", m.spec.Name)
	for _, task := range []engine.Task{engine.Chat, engine.TextToImage} {
		if !m.spec.Can(task) || len(m.spec.Examples[task]) == 0 {
			continue
		}
		if err := c.demoRun(ctx, m, dir, task, m.spec.Examples[task][0]); err != nil {
			return fmt.Errorf("%s: %w", task, err)
		}
	}
	fmt.Fprintln(c.out, "More: unmask chat, unmask paint, unmask help.")
	return nil
}

func (c *call) demoRun(ctx context.Context, m *model, dir string, task engine.Task, prompt string) error {
	o := m.spec.Defaults[task]
	o.Previews = task == engine.TextToImage
	out, err := c.denoise(ctx, m, engine.Job{Task: task, Messages: []engine.Message{{Role: "user", Text: prompt}}, Options: o})
	if err != nil {
		return err
	}
	write := func(name string, f func(w io.Writer) error) error {
		path := freeName(filepath.Join(dir, name))
		if err := writeFile(path, f); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "  %s\n", path)
		return nil
	}
	fmt.Fprintf(c.out, "\n%s: %s\n", task, prompt)
	name := "chat"
	if task == engine.Chat {
		fmt.Fprintf(c.out, "  %s\n", oneLine(out.finished().Text))
	} else {
		name = "picture"
		if err := write(name+".png", func(w io.Writer) error {
			return trace.EncodePNG(w, out.finished().Image, &out.rec)
		}); err != nil {
			return err
		}
	}
	return write(name+".gif", func(w io.Writer) error { return writeAnimation(w, out.run, c.cfg, film{}) })
}
