package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"unmask/engine/verify"
)

type verifyFlags struct{ only string }

func cmdVerify() *command {
	return &command{
		name: "verify", args: "DIR...", short: "replay what the official code recorded and compare",
		long: `Each folder is a fixture: a checkpoint, and arrays and runs that the authors' own code made with it.
A folder of fixtures stands for all of them. Prints one line a check: name, worst error, tolerance, PASS or FAIL.
An array or a run that no check covers fails. The arithmetic is float32 unless --dtype (UNMASK_DTYPE) asks for another: then
the activations and logits of forward passes are compared as wholes, within the bound of that arithmetic.

  unmask verify engine/testdata/golden`,
		takes: takesOutput | takesJSON,
		setup: func(c *call) {
			f := &verifyFlags{}
			c.own = f
			c.fs.StringVar(&f.only, "only", "", "keep the checks whose name contains `TEXT`")
		},
		run: runVerify,
	}
}

func runVerify(ctx context.Context, c *call) error {
	if len(c.args) == 0 {
		return usagef("verify needs a folder")
	}
	var dirs []string
	for _, a := range c.args {
		d, err := verify.Folders(a)
		if err != nil {
			return err
		}
		if len(d) == 0 {
			return fmt.Errorf("verify: %s: holds no fixture (a folder with golden.json)", a)
		}
		dirs = append(dirs, d...)
	}
	opt := verify.Options{Backend: c.backend, DType: c.cfg.DType, Only: c.own.(*verifyFlags).only}
	var failed []error
	err := c.toOutput(func(w io.Writer) error {
		for _, d := range dirs {
			r, err := verify.Dir(ctx, d, opt)
			if errors.Is(err, context.Canceled) {
				return err
			}
			if err != nil {
				failed = append(failed, err)
				fmt.Fprintf(c.err, "unmask: %v\n", err)
				continue
			}
			write := r.WriteText
			if c.json {
				write = r.WriteJSON
			}
			if err := write(w); err != nil {
				return err
			}
			if n := r.Failed(); n > 0 {
				failed = append(failed, fmt.Errorf("%s: %d of %d checks failed", d, n, len(r.Checks)))
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case len(failed) > 0:
		fmt.Fprintf(c.err, "unmask: %d of %d folders do not pass\n", len(failed), len(dirs))
		return errReported
	}
	return nil
}
