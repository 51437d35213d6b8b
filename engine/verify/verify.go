// Package verify replays what the authors' own code recorded for a checkpoint: activations, logits, and whole runs with
// their noise. It is the library behind "unmask verify" and runs the product's loop, samplers and arithmetic, never a
// second copy of them.
package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/tensor"
)

// Check is one comparison.
type Check struct {
	Name string  `json:"name"` // array or run, as the fixture names it
	Err  float64 `json:"err"`  // worst absolute error, or how many integers differ
	Tol  float64 `json:"tol"`  // largest allowed Err; 0: must be equal
	Pass bool    `json:"pass"`
	Note string  `json:"note,omitempty"` // where the worst element is, or why there is no number
}

// Report is the result of one fixture folder.
type Report struct {
	Dir    string  `json:"dir"`
	System string  `json:"system"`
	Checks []Check `json:"checks"`
}

// Failed is how many checks did not pass.
func (r Report) Failed() int {
	n := 0
	for _, c := range r.Checks {
		if !c.Pass {
			n++
		}
	}
	return n
}

// WriteText writes one line a check and a last line with the sums.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, c := range r.Checks {
		word := "PASS"
		if !c.Pass {
			word = "FAIL"
		}
		fmt.Fprintf(&b, "%s  %s/%-44s err %-10.3g tol %-10.3g", word, r.System, c.Name, c.Err, c.Tol)
		if c.Note != "" {
			b.WriteString(" " + c.Note)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%s: %d checks, %d failed\n", r.Dir, len(r.Checks), r.Failed())
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteJSON writes r as one JSON object and a line feed. Errors that are not finite become -1, which JSON can hold.
func (r Report) WriteJSON(w io.Writer) error {
	r.Checks = slices.Clone(r.Checks)
	for i := range r.Checks {
		r.Checks[i].Err = finite(r.Checks[i].Err)
	}
	return json.NewEncoder(w).Encode(r)
}

// Options say how to verify.
type Options struct {
	// Backend makes the device that the models run on. The caller of Dir gives it; Dir closes it.
	Backend func() (tensor.Backend, error)
	// DType is the arithmetic of products, as in models.OpenOptions; "" is f32. In another one only what passes gave is
	// compared, as a whole and within [RoughBounds]: choices, and what follows from them, are those of f32.
	DType string
	// Only, when not empty, keeps the checks whose name contains it.
	Only string
}

// RoughBounds are how far, as a share of its size (relative L2), an activation or the logits of a pass may be off the
// recorded ones by the arithmetic. The networks of the fixtures are small, which averages little: larger ones come closer.
var RoughBounds = map[string]float64{"bf16": 0.03, "i8": 0.08, "i4": 0.6}

// SparseBounds are RoughBounds of networks with a router: a rounding that turns the choice of an expert changes more than
// itself.
var SparseBounds = map[string]float64{"bf16": 0.3, "i8": 0.3, "i4": 0.9}

// system is a row of systems.
type system struct {
	name   string
	verify func(ctx context.Context, f *folder) error
}

// Dir verifies the fixture folder dir: golden.json, golden.safetensors and the checkpoint that they belong to. It blocks.
// Every array and every run of the fixture must be covered by a check; one that is not is a check that fails. The error
// is for what kept the work from being done at all: an unreadable folder, an unknown system, a cancelled ctx.
func Dir(ctx context.Context, dir string, opt Options) (Report, error) {
	f, err := openFolder(dir, opt)
	if err != nil {
		return Report{Dir: dir}, fmt.Errorf("verify %s: %w", dir, err)
	}
	defer f.close()
	report := Report{Dir: dir, System: f.system}
	i := slices.IndexFunc(systems, func(s system) bool { return s.name == f.system })
	if i < 0 {
		return report, fmt.Errorf("verify %s: %w", dir, &engine.UnsupportedError{What: fmt.Sprintf("system %q", f.system), Have: systemNames()})
	}
	if err := guarded(ctx, f, systems[i].verify); err != nil {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return report, err
		}
		f.add(Check{Name: "(run)", Note: err.Error()})
	}
	if !f.rough() {
		f.checkCovered()
	}
	report.Checks = f.checks
	return report, nil
}

// guarded runs verify and turns a panic into an error: a fixture whose arrays contradict each other is a broken file, not
// the end of the program.
func guarded(ctx context.Context, f *folder, verify func(context.Context, *folder) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &engine.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return verify(ctx, f)
}

func systemNames() string {
	names := make([]string, len(systems))
	for i, s := range systems {
		names[i] = s.name
	}
	return strings.Join(names, ", ")
}

// Folders lists the fixture folders directly inside dir, or dir itself when it is one.
func Folders(dir string) ([]string, error) {
	if isFixture(dir) {
		return []string{dir}, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	var out []string
	for _, e := range entries {
		if sub := filepath.Join(dir, e.Name()); isFixture(sub) {
			out = append(out, sub)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("verify %s: neither it nor a folder in it holds golden.json and golden.safetensors", dir)
	}
	return out, nil
}

func isFixture(dir string) bool {
	for _, name := range []string{goldenJSON, goldenArrays} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.IsDir() {
			return false
		}
	}
	return true
}
