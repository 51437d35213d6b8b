package denoise

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"unmask/engine"
	"unmask/engine/cpu"
	"unmask/engine/models/toy"
	"unmask/engine/sample"
	"unmask/engine/schedule"
)

var update = flag.Bool("update", false, "write the golden traces anew")

// TestTraces compares every sampler with every schedule over the toy model, text and picture, with the recorded traces.
// A change of the loop that leaves them as they are is safe; one that does not explains each.
func TestTraces(t *testing.T) {
	be, err := cpu.New(cpu.Options{Kernels: "portable", Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	var b strings.Builder
	for _, e := range sample.All {
		for _, s := range schedule.All {
			for _, c := range []struct {
				name string
				o    engine.Options
			}{
				{"text", engine.Options{Steps: 6, Block: 9, Seed: 4, Temperature: 0.8, Guidance: 0.5}},
				{"picture", engine.Options{Steps: 5, Seed: 4, Temperature: 0.8}},
			} {
				c.o.Schedule = s.Name
				fmt.Fprintf(&b, "%s %s %s:", e.Name, s.Name, c.name)
				traceRun(t, &b, be, e, c.name, c.o)
			}
		}
	}
	path := filepath.Join("testdata", "traces.txt")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	recorded := map[string]string{}
	for line := range strings.Lines(string(want)) {
		run, steps, _ := strings.Cut(strings.TrimSpace(line), ":")
		recorded[run] = steps
	}
	for line := range strings.Lines(b.String()) {
		run, steps, _ := strings.Cut(strings.TrimSpace(line), ":")
		if recorded[run] != steps {
			t.Errorf("%s:\n got %s\nwant %s", run, steps, recorded[run])
		}
		delete(recorded, run)
	}
	for run := range recorded {
		t.Errorf("%s is recorded and was not run", run)
	}
}

// traceRun appends the changes of one run, a step after a bar, as position=token.
func traceRun(t *testing.T, b *strings.Builder, be *cpu.Backend, e sample.Entry, kind string, o engine.Options) {
	t.Helper()
	config := toy.Config{Vocab: testVocab, Mask: testMask, End: []engine.Token{testEnd}, Seed: 2}
	seq := answer(3, 14)
	if kind == "picture" {
		config.Image = &engine.ImageSpec{Offset: 12, Codebook: 8}
		seq = picture(3, 15)
	}
	m := &Masked{Model: toy.New(be, config), Sampler: sampler(t, e.Name, nil)}
	for step, err := range m.Steps(context.Background(), seq, o) {
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(" |")
		for _, c := range step.Changes {
			fmt.Fprintf(b, " %d=%d", c.Pos, c.To)
		}
	}
	b.WriteByte('\n')
}
