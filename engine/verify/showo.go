package verify

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"unmask/engine"
	"unmask/engine/sample"
	"unmask/engine/schedule"
)

// verifyShowo checks the sampling functions of Show-o, MMaDA and Lumina-DiMOO, which need no network.
func verifyShowo(ctx context.Context, f *folder) error {
	for _, step := range []func(context.Context, *folder) error{
		showoSchedules, showoCounts, showoGumbel, showoDraws, showoChoices, showoTies, showoFilters,
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

func showoSchedules(_ context.Context, f *folder) error {
	t, _, err := f.floats("schedule.t")
	if err != nil {
		return err
	}
	want := make([]float32, len(t))
	for i := range want {
		want[i] = float32(i) / float32(len(t)-1)
	}
	f.near("schedule.t", want)
	for _, name := range f.names("schedule.") {
		shape, ok := shapeNamed(strings.TrimPrefix(name, "schedule."))
		if !ok {
			continue // schedule.t; any other is reported as an array that no check reads
		}
		got := make([]float32, len(t))
		for i, x := range t {
			got[i] = shape(x)
		}
		f.near(name, got)
	}
	return nil
}

// shapeNamed finds the float32 shape of "cosine", "pow2", "sigmoid_s-2_e4_tau0.7", ...
func shapeNamed(name string) (func(float32) float32, bool) {
	if exponent, ok := strings.CutPrefix(name, "pow"); ok {
		x, err := strconv.ParseFloat(exponent, 64)
		return schedule.Power[float32](x), err == nil
	}
	if rest, ok := strings.CutPrefix(name, "sigmoid_"); ok {
		var start, end, tau float64
		_, err := fmt.Sscanf(strings.ReplaceAll(rest, "_", " "), "s%g e%g tau%g", &start, &end, &tau)
		return schedule.Sigmoid[float32](start, end, tau), err == nil
	}
	s, err := schedule.Find(name)
	return s.Masked32, err == nil && s.Masked32 != nil
}

func showoCounts(_ context.Context, f *folder) error {
	var counts []struct {
		Schedule string `json:"schedule"`
		N        int    `json:"n"`
		Steps    int    `json:"steps"`
		Want     []int  `json:"float32"`
	}
	if err := f.decode("mask_count_table", &counts); err != nil {
		return err
	}
	var got, want []int
	for _, c := range counts {
		s, err := schedule.Find(c.Schedule)
		if err != nil || len(c.Want) != c.Steps {
			return fmt.Errorf("mask_count_table: %q with %d steps, %d counts: %w", c.Schedule, c.Steps, len(c.Want), err)
		}
		for i, n := range c.Want {
			got, want = append(got, s.Left(c.N, i, c.Steps)), append(want, n)
		}
	}
	f.same("mask_count_table", got, want, []int{len(want)})

	var keeps []struct {
		N     int   `json:"n"`
		Steps int   `json:"steps"`
		Keep  []int `json:"keep"`
	}
	if err := f.decode("lumina_keep_table", &keeps); err != nil {
		return err
	}
	cosine, err := schedule.Find("cosine")
	if err != nil {
		return err
	}
	got, want = got[:0], want[:0]
	for _, c := range keeps {
		for i, n := range c.Keep {
			left := 0
			if i < c.Steps-1 {
				left = max(1, cosine.Left(c.N, i, c.Steps))
			}
			got, want = append(got, left), append(want, n)
		}
	}
	f.same("lumina_keep_table", got, want, []int{len(want)})
	return nil
}

func showoGumbel(_ context.Context, f *folder) error {
	u, _, err := f.floats("in.noise.gumbel_u.00")
	if err != nil {
		return err
	}
	got := make([]float32, len(u))
	for i, x := range u {
		got[i] = sample.Gumbel32(x)
	}
	f.near("gumbel.value_clamp_form", got)
	for i, x := range u {
		got[i] = gumbelAdd(x)
	}
	f.near("gumbel.value_add_form", got)
	return nil
}

func showoDraws(_ context.Context, f *folder) error {
	logits, shape, err := f.floats("in.logits")
	if err != nil {
		return err
	}
	var declared []int
	if err := f.decode("shape", &declared); err != nil {
		return err
	}
	if len(shape) != 3 || !slices.Equal(shape, declared) {
		return fmt.Errorf("in.logits: shape %v, want [B, L, V] = %v", shape, declared)
	}
	f.nearWithin("in.noise.logits.00", "in.noise.logits.00", logits, 0) // the logits are the recorded draw itself
	v := shape[2]
	u, _, err := f.float64s("sample.noise.u.00")
	if err != nil {
		return err
	}
	for _, name := range f.names("sample.T") {
		temperature, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimPrefix(name, "sample.T"), ".ids"), 64)
		if err != nil {
			continue
		}
		got := make([]int, len(logits)/v)
		for i := range got {
			got[i] = drawGumbel(logits[i*v:(i+1)*v], u[i*v:(i+1)*v], temperature)
		}
		f.equal(name, got)
	}
	return nil
}

// showoChoices replays which positions are masked again, for MMaDA (known tokens are never) and for Lumina (all compete).
func showoChoices(_ context.Context, f *folder) error {
	logits, shape, err := f.floats("in.logits")
	if err != nil {
		return err
	}
	rows, n, v := shape[0], shape[1], shape[2]
	probs, argmax := make([]float32, rows*n), make([]int, rows*n)
	for i := range probs {
		argmax[i], probs[i] = best(logits[i*v : (i+1)*v])
	}
	f.equal("topk.sampled_argmax", argmax)
	f.near("topk.selected_probs", probs)
	known, _, err := f.ints("topk.known")
	if err != nil {
		return err
	}
	f.equal("topk.noise.known.00", known)
	u, _, err := f.float64s("topk.noise.u.00")
	if err != nil {
		return err
	}
	for _, name := range f.names("topk.T") {
		rest, ok := strings.CutSuffix(name, ".mask_len")
		if !ok {
			continue
		}
		var temperature float64
		var k int
		dot := strings.LastIndex(rest, ".k")
		if _, err := fmt.Sscanf(rest[max(dot, 0):], ".k%d", &k); err != nil {
			continue
		}
		if temperature, err = strconv.ParseFloat(strings.TrimPrefix(rest[:dot], "topk.T"), 64); err != nil {
			continue
		}
		var lens, mmada, lumina []int
		for b := range rows {
			row := choiceRow{probs: probs[b*n : (b+1)*n], known: known[b*n : (b+1)*n], noise: u[b*n : (b+1)*n]}
			masked, m := row.masked(temperature, k, true)
			mmada, lens = append(mmada, masked...), append(lens, m)
			masked, _ = row.masked(temperature, k, false)
			lumina = append(lumina, masked...)
		}
		f.equal(name, lens)
		f.equal(rest+".masked", mmada)
		f.equal(rest+".lumina_masked", lumina)
	}
	return nil
}

// choiceRow is one row of a choice of positions.
type choiceRow struct {
	probs []float32
	known []int
	noise recorded
}

// recorded is recorded noise by position.
type recorded []float64

// Uniform implements [engine.Noise].
func (r recorded) Uniform(pos int) float64 { return r[pos] }

// masked runs the MaskGIT sampler for one step with the given temperature and count, and returns 1 where a position is
// masked after it, and how many the count asks for.
func (c choiceRow) masked(temperature float64, k int, useKnown bool) ([]int, int) {
	n := len(c.probs)
	var p engine.Prediction
	p.Resize(n)
	view := engine.View{Steps: 2, Left: k, Noise: c.noise, Committed: make([]bool, n)}
	out := make([]int, n)
	for i := range n {
		p.Pos[i], p.Prob[i] = i, c.probs[i]
		view.Committed[i] = useKnown && c.known[i] != 0
		if !view.Committed[i] {
			view.Masked++
			out[i] = 1
		}
	}
	// Step 0 of 2 has half of the choice temperature.
	s := sample.MaskGIT{ChoiceTemperature: 2 * temperature, WholePicture: true}
	var d engine.Decision
	s.Select(view, &p, &d)
	for _, i := range d.Unmask {
		out[i] = 0
	}
	return out, s.Masks(view)
}

// showoTies checks the rule for ties. The fixture keeps results only: probabilities of the same order, equal where the
// results cannot tell two positions apart, must give them again.
func showoTies(_ context.Context, f *folder) error {
	names := f.names("ties.k")
	if len(names) == 0 {
		return fmt.Errorf("there are no ties.k* arrays")
	}
	var rank []int
	masks := make([][]int, len(names))
	for i, name := range names {
		m, _, err := f.ints(name)
		if err != nil {
			return err
		}
		if rank == nil {
			rank = make([]int, len(m))
		}
		if len(m) != len(rank) {
			return fmt.Errorf("%s: %d values, want %d", name, len(m), len(rank))
		}
		masks[i] = m
		for j, x := range m {
			rank[j] += x
		}
	}
	probs := make([]float32, len(rank))
	for i, r := range rank {
		probs[i] = 1 / float32(r+1)
	}
	for i, name := range names {
		k, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(name, "ties.k"), ".masked"))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		got := make([]int, len(probs))
		if k > 0 { // the count of a step is at least 1; with 0 nothing is strictly below the smallest
			got, _ = choiceRow{probs: probs, known: make([]int, len(probs)), noise: make(recorded, len(probs))}.masked(0, k, false)
		}
		f.same(name, got, masks[i], []int{len(probs)})
	}
	return nil
}
