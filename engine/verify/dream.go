package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/denoise"
	"unmask/engine/sample"
	"unmask/engine/schedule"
)

// verifyDream checks the dream folder: the network with its shifted logits, and diffusion_generate.
func verifyDream(ctx context.Context, f *folder) error {
	n, err := openNetwork(ctx, f, f.dir)
	if err != nil {
		return err
	}
	if err := verifyForwards(ctx, f, n); err != nil {
		return err
	}
	if err := verifyText(ctx, f, n); err != nil {
		return err
	}
	var attention string
	if err := f.decode("attention", &attention); err != nil {
		return err
	}
	f.text("attention", attention, "sdpa") // any other treats rows that see nothing in another way
	return f.verifyRuns(ctx, func(name string, raw json.RawMessage) error { return verifyDreamRun(ctx, f, n, name, raw) })
}

// dreamRun is what golden.json says of a run of diffusion_generate.
type dreamRun struct {
	Given struct {
		Threshold *float64 `json:"threshold"`
	} `json:"given"`
	Effective struct {
		Temp    float64  `json:"temperature"`
		TopP    *float64 `json:"top_p"`
		TopK    *int     `json:"top_k"`
		Eps     float64  `json:"eps"`
		Steps   int      `json:"steps"`
		Alg     string   `json:"alg"`
		AlgTemp *float64 `json:"alg_temp"`
		Length  int      `json:"max_length"`
	} `json:"effective"`
	New    int      `json:"max_new_tokens"`
	Same   bool     `json:"same_in_float64"`
	Masked [][]int  `json:"masked_after_each_step"`
	Draws  []string `json:"draws"`
}

// sampler makes the product's sampler of the run.
func (r dreamRun) sampler() (engine.Sampler, error) {
	e := r.Effective
	order := engine.Params{}
	if e.AlgTemp != nil {
		order["order_temperature"] = *e.AlgTemp
	}
	switch e.Alg {
	case "origin":
		return sample.New("ancestral", nil)
	case "maskgit_plus":
		return sample.New("low_confidence", order)
	case "topk_margin":
		return sample.New("margin", order)
	case "entropy":
		return sample.New("entropy", order)
	case "confidence_threshold":
		if r.Given.Threshold == nil {
			return nil, fmt.Errorf("a threshold run without a threshold")
		}
		return sample.New("threshold", engine.Params{"threshold": *r.Given.Threshold, "at_most": 1})
	}
	return nil, &engine.UnsupportedError{What: fmt.Sprintf("alg %q", e.Alg), Have: "origin, maskgit_plus, topk_margin, entropy, confidence_threshold"}
}

// filter divides by the temperature and keeps the nucleus, then the best k; Dream's confidences are taken after that.
func (r dreamRun) filter(row []float32) {
	e := r.Effective
	if e.Temp > 0 {
		for i := range row {
			row[i] /= float32(e.Temp)
		}
	}
	if e.TopP != nil && *e.TopP < 1 {
		keepNucleus(row, *e.TopP)
	}
	if e.TopK != nil {
		keepBest(row, *e.TopK)
	}
}

// keepNucleus sets to -Inf what lies outside the smallest set of best ids with more than p of the probability.
func keepNucleus(row []float32, p float64) {
	order := make([]int, len(row))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case row[a] > row[b]:
			return -1
		case row[a] < row[b]:
			return 1
		}
		return 0
	})
	prob, sum := softmax(row), 0.0
	for _, i := range order {
		if sum > p {
			row[i] = float32(math.Inf(-1))
		}
		sum += prob[i]
	}
}

// keepBest sets to -Inf what is below the k-th best.
func keepBest(row []float32, k int) {
	sorted := slices.Clone(row)
	slices.Sort(sorted)
	cut := sorted[max(len(row)-k, 0)]
	for i, x := range row {
		if x < cut {
			row[i] = float32(math.Inf(-1))
		}
	}
}

func verifyDreamRun(ctx context.Context, f *folder, n *network, name string, raw json.RawMessage) error {
	var r dreamRun
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(&r); err != nil {
		return err
	}
	e := r.Effective
	prefix := "run." + name + "."
	b, err := f.batch(prefix+"prompt", prefix+"attention_mask")
	if err != nil {
		return err
	}
	if e.Steps < 1 || e.Steps > maxRun || r.New < 0 || r.New > maxRun || b.width+r.New != e.Length {
		return fmt.Errorf("%d steps, prompt %d and %d new tokens, length %d", e.Steps, b.width, r.New, e.Length)
	}
	ids, _, err := f.ints(prefix + "prompt")
	if err != nil {
		return err
	}
	rows := dreamRows{f: f, n: n, r: r, prefix: prefix, b: b, before: make([]int, maxRun)}
	var states [][][]int
	for row := range b.prompts {
		p, err := rows.follow(ctx, row)
		if err != nil {
			return err
		}
		var padded [][]int
		for i, s := range p.states {
			padded = append(padded, b.pad(ids, row, s))
			rows.before[i] += count(toInts(s), n.Spec().Mask)
		}
		states = append(states, padded)
	}
	f.trajectory(prefix+"traj", states)
	var got, want []int
	for i, per := range r.Masked {
		want = append(want, per...)
		for _, row := range states {
			if i < len(row) {
				got = append(got, count(row[i], n.Spec().Mask))
			}
		}
	}
	f.same(prefix+"masked_after_each_step", got, want, []int{len(r.Masked), len(states)})
	return nil
}

// dreamRows replays the rows of a batch one after the other.
type dreamRows struct {
	f      *folder
	n      *network
	r      dreamRun
	prefix string
	b      textBatch
	before []int // masked positions of the rows already replayed, by step
}

func (d dreamRows) follow(ctx context.Context, row int) (path, error) {
	e := d.r.Effective
	sampler, err := d.r.sampler()
	if err != nil {
		return path{}, err
	}
	steps := schedule.Timestep(e.Eps)
	net := &replay{Denoiser: d.n, spec: d.n.Spec()}
	net.spec.End = nil
	if e.Temp > 0 || e.TopK != nil || e.TopP != nil && *e.TopP < 1 {
		net.filter = d.r.filter
	}
	m := &denoise.Masked{Model: net, Sampler: sampler, Schedule: &steps, Quirks: denoise.Quirks{
		EveryStep: e.Alg != "confidence_threshold", MaskIsToken: true, AllIDs: true,
	}}
	if e.Temp > 0 {
		net.draw = func(call, pos int, logits []float32) (int, error) { return d.draw(net, &steps, call, row, pos, logits) }
	}
	m.Noise = func(step int) engine.Noise { return d.order(net, step, row) }
	prompt := d.b.prompts[row]
	return follow(ctx, m, textSequence(prompt, d.r.New, net.spec.Mask), engine.Options{Steps: e.Steps})
}

// number is the place in the order of draws of the draw of kind ("rand", "exp") in pass call. Each pass makes at most one
// draw of each kind.
func (d dreamRows) number(kind string, call int) int {
	e := d.r.Effective
	perPass := []string{}
	switch {
	case e.Alg == "origin" && e.Temp > 0:
		perPass = []string{"rand", "exp"}
	case e.Alg == "origin":
		perPass = []string{"rand"}
	case e.Temp > 0:
		perPass = append(perPass, "exp")
	}
	if e.Alg != "origin" && e.AlgTemp != nil && *e.AlgTemp > 0 {
		perPass = append(perPass, "order")
	}
	return call*len(perPass) + slices.Index(perPass, kind)
}

// array reads draw number i, whose kind the list of draws must confirm.
func (d dreamRows) array(i int, kind string) (*noiseArray, error) {
	suffix, said := "exp", "multinomial_exp["
	if kind == "rand" {
		suffix, said = "uniform", "rand["
	}
	if i < 0 || i >= len(d.r.Draws) || !strings.HasPrefix(d.r.Draws[i], said) {
		return nil, fmt.Errorf("draw %d of %v is not %q", i, d.r.Draws, said)
	}
	dims := 2
	if kind == "rand" {
		dims = 1
	}
	a, err := d.f.noise(fmt.Sprintf("%sdraw.%03d.%s", d.prefix, i, suffix), dims)
	if err == nil && a == nil {
		err = fmt.Errorf("draw %d is not recorded", i)
	}
	return a, err
}

// draw chooses a token as torch.multinomial does over what the filter left. With "origin" only revealed positions draw.
func (d dreamRows) draw(net *replay, steps *schedule.Schedule, call, row, pos int, logits []float32) (int, error) {
	at := d.before[call] + slices.Index(net.out.want, pos)
	if d.r.Effective.Alg == "origin" {
		if row > 0 {
			return 0, fmt.Errorf("a batch that draws tokens and places is not supported")
		}
		u, err := d.array(d.number("rand", call), "rand")
		if err != nil {
			return 0, err
		}
		chance := float64(steps.Chance(call, d.r.Effective.Steps))
		if u.u[at] >= chance {
			at, _ := best(logits)
			return at, nil // stays masked
		}
		shown := 0
		for _, x := range u.u[:at] {
			if x < chance {
				shown++
			}
		}
		at = shown
	}
	a, err := d.array(d.number("exp", call), "exp")
	if err != nil {
		return 0, err
	}
	e, err := a.at(at)
	if err != nil || len(e) != len(logits) {
		return 0, fmt.Errorf("noise of %d ids, %d logits: %w", len(e), len(logits), err)
	}
	return drawMultinomial(logits, e), nil
}

// order is the recorded noise of which positions go first.
func (d dreamRows) order(net *replay, step, row int) engine.Noise {
	out := make(map[int]float64)
	e := d.r.Effective
	switch {
	case e.Alg == "origin":
		a, err := d.array(d.number("rand", step), "rand")
		if err != nil {
			return byPosition(out)
		}
		for i, pos := range net.out.want {
			if j := d.before[step] + i; j < len(a.u) {
				out[pos] = a.u[j]
			}
		}
	case e.AlgTemp != nil && *e.AlgTemp > 0:
		a, err := d.array(d.number("order", step), "order")
		if err != nil {
			return byPosition(out)
		}
		x, err := a.at(row)
		if err != nil {
			return byPosition(out)
		}
		for _, pos := range net.out.want {
			if j := pos + d.b.pads[row]; j < len(x) {
				out[pos] = math.Exp(-x[j]) // the uniform number with this exponential one, -ln u
			}
		}
	}
	return byPosition(out)
}

// byPosition is recorded noise by position. A position that was not recorded gives NaN, which no sampler chooses.
type byPosition map[int]float64

// Uniform implements [engine.Noise].
func (b byPosition) Uniform(pos int) float64 {
	if u, ok := b[pos]; ok {
		return u
	}
	return math.NaN()
}
