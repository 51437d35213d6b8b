package verify

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"unmask/engine/models/llada"
	"unmask/engine/models/llama"
	"unmask/engine/weights"
)

// gradRow is one row of a loss that is a function of log-probabilities: the row that the network sees, and the positions
// and ids whose log-probabilities count.
type gradRow struct{ tokens, at, ids []int }

// lowRank is an adapter's change of one module, with the derivatives by its factors.
type lowRank struct {
	a, b  *node // [r, K] and [N, r]
	scale float64
}

// trained is LLaDA's network in float64 with an adapter that is not merged.
type trained struct {
	c      *llada.Config
	fixed  map[string]*node
	change map[string]lowRank // by module
	rename *strings.Replacer  // from LLaDA's names to the checkpoint's; nil: they are the same
}

// named is the weight that LLaDA calls name; nil where there is none.
func (m *trained) named(name string) *node {
	if m.rename != nil {
		name = m.rename.Replace(name)
	}
	return m.fixed[name]
}

// openWeights reads a checkpoint of one or two-dimensional tensors; others are left out. The config is LLaDA's.
func openWeights(base string) (*trained, error) {
	set, err := weights.OpenDir(base)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	data, err := set.File("config.json")
	if err != nil {
		return nil, err
	}
	m := &trained{fixed: map[string]*node{}, change: map[string]lowRank{}}
	if set.Has(root + "wte.weight") {
		m.c, err = llada.ParseConfig(data, base)
	} else {
		err = m.llama(data, base)
	}
	if err != nil {
		return nil, err
	}
	for _, name := range set.Names() {
		t, err := set.Tensor(name)
		if err != nil {
			return nil, err
		}
		if len(t.Shape) > 2 {
			continue
		}
		if m.fixed[name], err = matrixOf(set, name); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// llama takes the sizes and names of a checkpoint in LLaMA's layout.
func (m *trained) llama(data []byte, path string) error {
	c, err := llama.ParseConfig(data, path)
	if err != nil {
		return err
	}
	m.c = &llada.Config{DModel: c.HiddenSize, NHeads: c.Heads, NLayers: c.Layers, RMSNormEps: c.RMSNormEps, RopeTheta: c.RopeTheta}
	m.rename = strings.NewReplacer(root+"wte", "model.embed_tokens", root+"ln_f", "model.norm", root+"ff_out", "lm_head",
		root+"blocks.", "model.layers.", ".attn_norm", ".input_layernorm", ".ff_norm", ".post_attention_layernorm",
		".q_proj", ".self_attn.q_proj", ".k_proj", ".self_attn.k_proj", ".v_proj", ".self_attn.v_proj", ".attn_out", ".self_attn.o_proj",
		".ff_proj", ".mlp.gate_proj", ".up_proj", ".mlp.up_proj", ".ff_out", ".mlp.down_proj")
	return nil
}

// openTrained reads the base checkpoint and the adapter in dir.
func openTrained(base, dir string) (*trained, error) {
	m, err := openWeights(base)
	if err != nil {
		return nil, err
	}
	var c struct {
		R     int     `json:"r"`
		Alpha float64 `json:"lora_alpha"`
	}
	if err := readJSON(filepath.Join(dir, "adapter_config.json"), &c); err != nil {
		return nil, err
	}
	adapter, err := weights.OpenDir(filepath.Join(dir, "adapter_model.safetensors"))
	if err != nil {
		return nil, err
	}
	defer adapter.Close()
	for _, name := range adapter.Names() {
		module, ok := strings.CutSuffix(name, ".lora_A.weight")
		if !ok {
			continue
		}
		l := lowRank{scale: c.Alpha / float64(c.R)}
		if l.a, err = matrixOf(adapter, name); err != nil {
			return nil, err
		}
		if l.b, err = matrixOf(adapter, module+".lora_B.weight"); err != nil {
			return nil, err
		}
		m.change[strings.TrimPrefix(module, "base_model.model.")] = l
	}
	return m, nil
}

// matrixOf reads a tensor of one or two dimensions.
func matrixOf(set *weights.Set, name string) (*node, error) {
	t, err := set.Tensor(name)
	if err != nil {
		return nil, err
	}
	x, err := t.Float64s()
	if err != nil {
		return nil, err
	}
	rows, cols := 1, len(x)
	if len(t.Shape) == 2 {
		rows, cols = t.Shape[0], t.Shape[1]
	}
	return &node{rows: rows, cols: cols, v: x, g: make([]float64, len(x))}, nil
}

// linear applies a module with its bias and its change of low rank, where it has them.
func (m *trained) linear(t *tape, x *node, module string) *node {
	y := t.product(x, m.named(module+".weight"))
	if b := m.named(module + ".bias"); b != nil {
		y = t.sum(y, b, 1)
	}
	if l, ok := m.change[module]; ok {
		y = t.sum(y, t.product(t.product(x, l.a), l.b), l.scale)
	}
	return y
}

// forward gives the logits of all positions of a row.
func (m *trained) forward(t *tape, tokens []int) (*node, error) {
	embed := m.named(root + "wte.weight")
	x := newNode(len(tokens), embed.cols)
	for i, id := range tokens {
		if id < 0 || id >= embed.rows {
			return nil, fmt.Errorf("token %d of %d", id, embed.rows)
		}
		copy(x.v[i*x.cols:], embed.v[id*embed.cols:(id+1)*embed.cols])
	}
	t.back = append(t.back, func() {
		for i, id := range tokens {
			axpy(embed.g[id*embed.cols:(id+1)*embed.cols], 1, x.g[i*x.cols:(i+1)*x.cols])
		}
	})
	return m.above(t, x), nil
}

// root begins LLaDA's names.
const root = "model.transformer."

// above gives the logits of rows x that enter the first block.
func (m *trained) above(t *tape, x *node) *node {
	k, eps, theta := m.c.DModel/m.c.NHeads, m.c.RMSNormEps, m.c.RopeTheta
	for i := range m.c.NLayers {
		at := fmt.Sprintf("%sblocks.%d.", root, i)
		h := t.rmsNorm(x, m.named(at+"attn_norm.weight"), eps)
		q := t.rope(m.linear(t, h, at+"q_proj"), k, theta)
		key := t.rope(m.linear(t, h, at+"k_proj"), k, theta)
		x = t.sum(x, m.linear(t, t.attention(q, key, m.linear(t, h, at+"v_proj"), k), at+"attn_out"), 1)
		h = t.rmsNorm(x, m.named(at+"ff_norm.weight"), eps)
		x = t.sum(x, m.linear(t, t.gated(m.linear(t, h, at+"ff_proj"), m.linear(t, h, at+"up_proj")), at+"ff_out"), 1)
	}
	head := root + "ff_out"
	if m.c.WeightTying {
		head = root + "wte"
	}
	return m.linear(t, t.rmsNorm(x, m.named(root+"ln_f.weight"), eps), head)
}

// gradients passes the loss of rows back to the factors of the adapter. slope gives the derivative of the loss by every
// log-probability, row after row, from these.
func (m *trained) gradients(rows []gradRow, slope func(logps []float64) []float64) error {
	tapes, logits := make([]tape, len(rows)), make([]*node, len(rows))
	var logps []float64
	for i, r := range rows {
		y, err := m.forward(&tapes[i], r.tokens)
		if err != nil {
			return err
		}
		logits[i] = y
		for j, pos := range r.at {
			row := slices.Clone(y.v[pos*y.cols : (pos+1)*y.cols])
			logps = append(logps, y.v[pos*y.cols+r.ids[j]]-softmaxInPlace(row))
		}
	}
	d := slope(logps)
	for i, r := range rows {
		y := logits[i]
		for j, pos := range r.at {
			p := slices.Clone(y.v[pos*y.cols : (pos+1)*y.cols])
			softmaxInPlace(p)
			p[r.ids[j]]--
			axpy(y.g[pos*y.cols:(pos+1)*y.cols], -d[j], p)
		}
		d = d[len(r.at):]
		tapes[i].backward()
	}
	return nil
}

// adapterGradients compares the arrays run+".grad.*" with the derivatives by the adapter's factors.
func (f *folder) adapterGradients(run, adapter string, rows []gradRow, slope func(logps []float64) []float64) error {
	prefix := run + ".grad.base_model.model."
	names := f.names(prefix)
	if len(names) == 0 {
		return nil
	}
	var base string
	if err := f.decode("base_checkpoint", &base); err != nil {
		return err
	}
	m, err := openTrained(filepath.Join(f.dir, filepath.FromSlash(base)), filepath.Join(f.dir, adapter))
	if err != nil {
		return err
	}
	if err := m.gradients(rows, slope); err != nil {
		return err
	}
	for _, name := range names {
		module, isA := strings.CutSuffix(strings.TrimPrefix(name, prefix), ".lora_A.default.weight")
		module = strings.TrimSuffix(module, ".lora_B.default.weight")
		l, ok := m.change[module]
		if !ok {
			return fmt.Errorf("%s: the adapter does not change %q", name, module)
		}
		at := l.b
		if isA {
			at = l.a
		}
		got := make([]float32, len(at.g))
		for i, g := range at.g {
			got[i] = float32(g)
		}
		f.near(name, got)
	}
	return nil
}
