package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"unmask/engine"
	"unmask/engine/cpu"
	"unmask/engine/models"
)

// defaultDuel is the shape that contestants run where none is given: "tiny" of docs/performance.md.
const defaultDuel = "512,8,6,1536,8192"

// Rules of bench --against.
const (
	minRounds   = 5  // after one that does not count
	checkLength = 64 // positions of the pass that is compared with exact arithmetic
	checkLogits = 4096
)

// logitBounds is what the arithmetic may change of random weights' logits, as a share of their size (relative L2): more,
// and times of it are not printed.
var logitBounds = map[string]float64{"f32": 1e-4, "bf16": 0.02, "i8": 0.06, "i4": 0.25}

// duel is one thing that both contestants do.
type duel struct {
	Name  string  `json:"name"`
	Clock string  `json:"clock"` // "cpu", processor time, or "wall"
	Ours  spread  `json:"ours"`
	Peer  spread  `json:"peer"`
	Ratio float64 `json:"ratio"` // of medians
	Says  string  `json:"says"`  // "ahead", "behind", or "level": the ranges meet
}

// spread is a median of milliseconds and where it lies.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// duelResult is everything that bench --against prints.
type duelResult struct {
	Program  string             `json:"program"`
	Against  string             `json:"against"`
	Versions map[string]string  `json:"versions"`
	Device   string             `json:"device"`
	Kernels  string             `json:"kernels"`
	DType    string             `json:"dtype"`
	Shape    string             `json:"shape"`
	Threads  int                `json:"threads"`
	Procs    int                `json:"gomaxprocs"`
	Rounds   int                `json:"rounds"`
	Load     float64            `json:"load"` // of the machine before the run, tasks
	Peak     map[string]float64 `json:"peak"` // register peak of one core, GOP/s
	OursOff  float64            `json:"ours_off"`
	PeerOff  float64            `json:"peer_off"`
	Duels    []duel             `json:"duels"`
}

// against runs a peer and this program over the same random weights, in turns, and prints ratios.
func (c *call) against(ctx context.Context, b *bench, f *benchFlags) (err error) {
	p, err := findPeer(f.against)
	if err != nil {
		return err
	}
	f.shape = cmp.Or(f.shape, defaultDuel)
	s, err := parseShape(f.shape)
	if err != nil {
		return usagef("bench: --shape: %w", err)
	}
	c.cfg.DType = cmp.Or(c.cfg.DType, "bf16")
	c.cfg.Threads = cmp.Or(c.cfg.Threads, 1)
	python := f.python
	if python == "" {
		if python, err = p.python(ctx, b.note); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "unmask-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b.note("a random model of %s parameters: writing it", count(s.params()))
	if err := s.write(ctx, dir, c.cfg.DType); err != nil {
		return err
	}
	c.cfg.Model = dir
	r := &duelResult{Program: "unmask " + version, Against: p.name, DType: c.cfg.DType, Shape: f.shape, Threads: c.cfg.Threads,
		Procs: runtime.GOMAXPROCS(0), Rounds: max(b.repeats, minRounds), Load: loadAverage(), Peak: map[string]float64{}}
	for _, x := range cpu.Peak(c.cfg.Kernels, 400*time.Millisecond) {
		r.Peak[x.DType.String()] = x.PerSecond / 1e9
	}
	b.note("starting %s", p.name)
	them, err := p.start(ctx, python, dir, c.cfg.DType, c.cfg.Threads)
	if err != nil {
		return err
	}
	defer them.close()
	r.Versions = them.Versions
	if err := c.duels(ctx, b, them, r); err != nil {
		return err
	}
	return c.toOutput(func(w io.Writer) error {
		if c.json {
			return writeJSON(w, r)
		}
		return r.print(tabwriter.NewWriter(w, 0, 0, 2, ' ', 0))
	})
}

// duels opens the model and runs everything that both can do.
func (c *call) duels(ctx context.Context, b *bench, them *contestant, r *duelResult) error {
	be, err := c.backend()
	if err != nil {
		return err
	}
	defer be.Close()
	m, err := openModel(ctx, c.cfg, be)
	if err != nil {
		return err
	}
	defer m.Close()
	m.KeepLogits(math.MaxInt)
	r.Device, r.Kernels, r.Threads = be.Device().Name, be.Device().Kernels, be.Device().Threads
	if err := c.compareLogits(ctx, b, m, them, r); err != nil {
		return err
	}
	for _, l := range b.lengths {
		if l > m.Spec().MaxLen {
			break
		}
		whole := func(tokens []engine.Token) error {
			_, err := m.Forward(ctx, engine.Input{Tokens: tokens, Keep: true})
			return err
		}
		if err := b.duel(ctx, r, them, m, fmt.Sprintf("forward, %d positions", l), "forward", l, whole); err != nil {
			return err
		}
		if !slices.Contains(them.Passes, "block") || l <= benchWanted {
			continue
		}
		block := func(tokens []engine.Token) error {
			_, err := m.Forward(ctx, engine.Input{Tokens: tokens, Active: engine.Span{Lo: l - benchWanted, Hi: l}})
			return err
		}
		name := fmt.Sprintf("block of %d, %d positions cached", benchWanted, l-benchWanted)
		if err := b.duel(ctx, r, them, m, name, "block", l, block); err != nil {
			return err
		}
	}
	return nil
}

// duel times one pass of both, in turns, after one round that does not count.
func (b *bench) duel(ctx context.Context, r *duelResult, them *contestant, m *models.Model, name, pass string, l int, ours func(tokens []engine.Token) error) error {
	b.note("%s", name)
	tokens, _ := masked(m.Spec(), l, benchWanted)
	ask := asked{Pass: pass}
	for _, t := range tokens {
		ask.Tokens = append(ask.Tokens, int(t))
	}
	d := duel{Name: name, Clock: "cpu"}
	if r.Threads > 1 { // runtimes that wait at barriers burn processor time
		d.Clock = "wall"
	}
	var us, they []float64
	for i := range r.Rounds + 1 {
		if err := ctx.Err(); err != nil {
			return err
		}
		runtime.GC() // what earlier rounds left behind is no part of this one
		wall, spent := time.Now(), cpuTime()
		if err := ours(tokens); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		took, used := time.Since(wall), cpuTime()-spent
		a, err := them.pass(ask)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", name, r.Against, err)
		}
		switch {
		case i == 0:
		case d.Clock == "cpu" && used > 0:
			us, they = append(us, used.Seconds()*1e3), append(they, a.CPU*1e3)
		default:
			us, they = append(us, took.Seconds()*1e3), append(they, a.Wall*1e3)
		}
	}
	d.Ours, d.Peer = spreadOf(us), spreadOf(they)
	d.Ratio = d.Ours.Median / d.Peer.Median
	d.Says = verdict(d.Ours, d.Peer)
	r.Duels = append(r.Duels, d)
	return nil
}

// verdict is "level" where the ranges meet.
func verdict(ours, theirs spread) string {
	switch {
	case ours.Max < theirs.Min:
		return "ahead"
	case ours.Min > theirs.Max:
		return "behind"
	}
	return "level"
}

// compareLogits compares both contestants with exact arithmetic on a sample of logits, and refuses to go on where ours are
// further off than the arithmetic allows.
func (c *call) compareLogits(ctx context.Context, b *bench, m *models.Model, them *contestant, r *duelResult) error {
	b.note("logits")
	tokens, _ := masked(m.Spec(), checkLength, benchWanted)
	rng := rand.New(rand.NewPCG(5, 6))
	ask := asked{Pass: "forward"}
	for _, t := range tokens {
		ask.Tokens = append(ask.Tokens, int(t))
	}
	for range checkLogits {
		ask.Want = append(ask.Want, [2]int{rng.IntN(checkLength), rng.IntN(m.Spec().Vocab)})
	}
	exact := c.cfg
	exact.DType = "f32"
	be, err := c.backend()
	if err != nil {
		return err
	}
	defer be.Close()
	golden, err := openModel(ctx, exact, be)
	if err != nil {
		return err
	}
	defer golden.Close()
	var of [2][]float64
	for i, x := range []*models.Model{golden, m} {
		logits, err := x.Forward(ctx, engine.Input{Tokens: tokens})
		if err != nil {
			return err
		}
		all := make([]float32, checkLength*m.Spec().Vocab)
		if err := logits.Floats(all, 0); err != nil {
			return err
		}
		for _, at := range ask.Want {
			of[i] = append(of[i], float64(all[at[0]*m.Spec().Vocab+at[1]]))
		}
	}
	a, err := them.pass(ask)
	if err != nil {
		return fmt.Errorf("logits: %s: %w", r.Against, err)
	}
	r.OursOff, r.PeerOff = apart(of[1], of[0]), apart(a.Logits, of[0])
	if bound := logitBounds[r.DType]; !(r.OursOff <= bound) {
		return fmt.Errorf("bench: logits in %s are %.3g off those in f32, at most %.3g: no times of wrong results", r.DType, r.OursOff, bound)
	}
	return nil
}

// apart is the L2 norm of a-b by that of b; 1 where their number differs.
func apart(a, b []float64) float64 {
	if len(a) != len(b) {
		return 1
	}
	var d, n float64
	for i := range a {
		d += (a[i] - b[i]) * (a[i] - b[i])
		n += b[i] * b[i]
	}
	return math.Sqrt(d / n)
}

func spreadOf(v []float64) spread {
	v = slices.Sorted(slices.Values(v))
	return spread{Median: (v[len(v)/2] + v[(len(v)-1)/2]) / 2, Min: v[0], Max: v[len(v)-1]}
}

func (r *duelResult) print(t *tabwriter.Writer) error {
	versions, err := json.Marshal(r.Versions)
	if err != nil {
		return err
	}
	fmt.Fprintf(t, "%s against %s %s\n%s, kernels %s, %d threads, GOMAXPROCS %d, load %.1f before\n", r.Program, r.Against, versions,
		r.Device, r.Kernels, r.Threads, r.Procs, r.Load)
	var peaks []string
	for k, v := range r.Peak {
		peaks = append(peaks, fmt.Sprintf("%s %.0f GOP/s", k, v))
	}
	slices.Sort(peaks)
	fmt.Fprintf(t, "random LLaDA of shape %s, %s, %d rounds; register peak of a core: %s\n", r.Shape, r.DType, r.Rounds, strings.Join(peaks, ", "))
	fmt.Fprintf(t, "logits off f32 by %.2g, %s by %.2g\n\n", r.OursOff, r.Against, r.PeerOff)
	fmt.Fprintf(t, "what\tunmask ms\t[min..max]\t%s ms\t[min..max]\tratio\t\tclock\n", r.Against)
	for _, d := range r.Duels {
		fmt.Fprintf(t, "%s\t%s\t[%s..%s]\t%s\t[%s..%s]\t%.2f\t%s\t%s\n", d.Name, figure(d.Ours.Median), figure(d.Ours.Min), figure(d.Ours.Max),
			figure(d.Peer.Median), figure(d.Peer.Min), figure(d.Peer.Max), d.Ratio, d.Says, d.Clock)
	}
	return t.Flush()
}
