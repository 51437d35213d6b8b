package verify

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/models"
	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// network is an open checkpoint with the activations of its last pass.
type network struct {
	*models.Model
	be   tensor.Backend
	seen map[string][]float32
}

// openNetwork opens the checkpoint in dir on a backend of its own. f closes both.
func openNetwork(ctx context.Context, f *folder, dir string) (*network, error) {
	be, err := f.opt.Backend()
	if err != nil {
		return nil, err
	}
	f.onClose = append(f.onClose, be.Close)
	set, err := weights.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	m, err := models.Open(ctx, set, be, models.OpenOptions{DType: cmp.Or(f.opt.DType, "f32")})
	if err != nil {
		return nil, err
	}
	f.onClose = append(f.onClose, m.Close)
	return &network{Model: m, be: be}, nil
}

// forward runs one pass over rows of equal length and returns the logits of both rows, one after the other, at every
// position. The activations are in n.seen.
func (n *network) forward(ctx context.Context, in engine.Input) ([]float32, error) {
	n.seen = map[string][]float32{}
	n.Watch(func(name string, x tensor.Tensor) { n.seen[name] = download(n.be, x) })
	defer n.Watch(nil)
	l, err := n.Forward(ctx, in)
	if err != nil {
		return nil, err
	}
	count := len(in.Want)
	if in.Want == nil {
		count = len(in.Tokens) / in.Rows()
		if in.Active != (engine.Span{}) {
			count = in.Active.Len()
		}
	}
	size := count * n.Spec().Vocab
	out := make([]float32, size*in.Rows())
	for r := range in.Rows() {
		if err := l.Floats(out[r*size:(r+1)*size], r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func download(be tensor.Backend, x tensor.Tensor) []float32 {
	n := 1
	for _, d := range x.Shape() {
		n *= d
	}
	out := make([]float32, n)
	be.Download(out, x)
	return out
}

// tokens reads an array of ids [rows, L] as an input.
func (f *folder) tokens(name string) (engine.Input, error) {
	ids, shape, err := f.ints(name)
	if err != nil {
		return engine.Input{}, err
	}
	if len(shape) != 2 {
		return engine.Input{}, fmt.Errorf("%s: shape %v, want [rows, L]", name, shape)
	}
	in := engine.Input{Tokens: make([]engine.Token, len(ids))}
	for i, id := range ids {
		in.Tokens[i] = engine.Token(id)
	}
	for range shape[0] {
		in.Lens = append(in.Lens, shape[1])
	}
	return in, nil
}

// hide reads an attention mask, where 0 is a pad.
func (f *folder) hide(name string) ([]bool, error) {
	mask, _, err := f.ints(name)
	hide := make([]bool, len(mask))
	for i, m := range mask {
		hide[i] = m == 0
	}
	return hide, err
}

// activations compares what the last pass left under every array prefix+name that the fixture has. names translates the
// fixture's names into the stack's, beyond "layerN" for a block's output and "norm" for the final norm's.
func (f *folder) activations(prefix string, n *network, names map[string]string) {
	for _, array := range f.names(prefix) {
		name := array[len(prefix):]
		if to, ok := names[name]; ok {
			name = to
		} else if i, ok := strings.CutPrefix(name, "layer"); ok {
			name = "block" + i
		} else if name == "norm" {
			name = "ln_f"
		}
		if got, ok := n.seen[name]; ok {
			f.near(array, got)
		}
	}
}

// verifyLLaDANetwork checks forwardN.* and padded.* of the llada folders.
func verifyLLaDANetwork(ctx context.Context, f *folder, n *network) error {
	for i := 0; f.has(fmt.Sprintf("forward%d.input_ids", i)); i++ {
		prefix := fmt.Sprintf("forward%d.", i)
		in, err := f.tokens(prefix + "input_ids")
		if err != nil {
			return err
		}
		logits, err := n.forward(ctx, in)
		if err != nil {
			return err
		}
		f.activations(prefix, n, nil)
		f.near(prefix+"logits", logits)
		if array := prefix + "bf16_compute.logits"; f.has(array) {
			f.nearBF16(array, prefix+"logits", logits)
		}
	}
	if !f.has("padded.input_ids") {
		return nil
	}
	return verifyPadded(ctx, f, n)
}

// nearBF16 compares f32 logits with those of a pass in bf16, whose distance from the recorded f32 pass is known.
func (f *folder) nearBF16(array, exact string, got []float32) {
	t := f.tol[array]
	slack, err := f.bound(exact)
	if err == nil && t.BF16 == nil {
		err = fmt.Errorf("golden.json gives no tolerance for it")
	}
	if err != nil {
		f.fail(array, err)
		return
	}
	f.nearWithin(array, array, got, *t.BF16+slack)
}

// verifyPadded checks the three ways in which official copies have treated left-padded batches.
func verifyPadded(ctx context.Context, f *folder, n *network) error {
	in, err := f.tokens("padded.input_ids")
	if err != nil {
		return err
	}
	pads, err := f.hide("padded.attention_mask")
	if err != nil {
		return err
	}
	for _, way := range []struct {
		name   string
		hide   []bool
		causal int
	}{
		{"bidirectional", pads, 0},
		{"causal_quirk", pads, 1},
		{"mask_ignored", nil, 0},
	} {
		prefix := "padded." + way.name + "."
		if len(f.names(prefix)) == 0 {
			continue
		}
		in.Hide, in.Block = way.hide, way.causal
		logits, err := n.forward(ctx, in)
		if err != nil {
			return err
		}
		f.activations(prefix, n, nil)
		f.near(prefix+"logits", logits)
	}
	return nil
}

// verifyMMaDANetwork checks forward.* and forward_bias.* of the mmada folder.
func verifyMMaDANetwork(ctx context.Context, f *folder, n *network) error {
	in, err := f.tokens("forward.input_ids")
	if err != nil {
		return err
	}
	at, _, err := f.ints("forward.logits_positions")
	if err != nil {
		return err
	}
	in.Want = at
	logits, err := n.forward(ctx, in)
	if err != nil {
		return err
	}
	// The official hidden states are the embeddings, then the blocks; the last one is after the final norm.
	last := len(n.Blocks)
	names := map[string]string{"hidden0": "embed", fmt.Sprintf("hidden%d", last): "ln_f"}
	for i := 1; i < last; i++ {
		names[fmt.Sprintf("hidden%d", i)] = fmt.Sprintf("block%d", i-1)
	}
	f.activations("forward.", n, names)
	f.near("forward.logits", logits)

	pads, err := f.hide("forward_bias.mask")
	if err != nil {
		return err
	}
	in.Hide, in.Want = pads, []int{}
	defer func(rule nn.PadRule) { n.Stack.Config.Pads = rule }(n.Stack.Config.Pads)
	n.Stack.Config.Pads = nn.PadsSeeAll
	if _, err := n.forward(ctx, in); err != nil {
		return err
	}
	f.activations("forward_bias.", n, map[string]string{"last_hidden": "ln_f"})
	return nil
}

// cachedRun is what golden.json says of a Fast-dLLM run.
type cachedRun struct {
	Variant    string   `json:"variant"`
	Checkpoint string   `json:"checkpoint"`
	Ranges     [][2]int `json:"call_ranges"`
	Block      int      `json:"block_length"`
}

// verifyCachedCalls checks run.*.callN.logits of fast-dllm: the pass over all positions that fills the cache, and the
// passes over the suffix or the block that read it. Every row of a batch is a pass of its own; see also the two rows of
// a guided pass, which give the same numbers together.
func verifyCachedCalls(ctx context.Context, f *folder) error {
	var runs map[string]cachedRun
	if err := f.decode("runs", &runs); err != nil {
		return err
	}
	open := map[string]*network{}
	for _, name := range sortedKeys(runs) {
		r := runs[name]
		prefix := "run." + name + "."
		if len(f.names(prefix+"call")) == 0 {
			continue
		}
		n := open[r.Checkpoint]
		if n == nil {
			var err error
			if n, err = openNetwork(ctx, f, filepath.Join(f.dir, filepath.FromSlash(r.Checkpoint))); err != nil {
				return err
			}
			open[r.Checkpoint] = n
		}
		if err := verifyCalls(ctx, f, n, prefix, r); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func verifyCalls(ctx context.Context, f *folder, n *network, prefix string, r cachedRun) error {
	traj, shape, err := f.ints(prefix + "traj")
	if err != nil {
		return err
	}
	if len(shape) != 3 || shape[1] != 1 {
		return fmt.Errorf("trajectory %v, want [calls+1, 1, L]", shape)
	}
	l := shape[2]
	for i, span := range r.Ranges {
		array := fmt.Sprintf("%scall%d.logits", prefix, i)
		if span[0] < 0 || span[0] >= span[1] || span[1] > l || i >= shape[0] {
			return fmt.Errorf("call %d: range %v of %d positions", i, span, l)
		}
		in := engine.Input{Tokens: make([]engine.Token, l)}
		for j := range in.Tokens {
			in.Tokens[j] = engine.Token(traj[i*l+j])
		}
		if span == [2]int{0, l} {
			in.Keep = true
		} else {
			in.Active = engine.Span{Lo: span[0], Hi: span[1]}
		}
		logits, err := n.forward(ctx, in)
		if err != nil {
			return fmt.Errorf("call %d: %w", i, err)
		}
		if f.has(array) {
			f.near(array, logits)
		}
		if len(f.names(prefix+fmt.Sprintf("call%d.", i+1))) == 0 {
			return nil // only the first calls were recorded
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
