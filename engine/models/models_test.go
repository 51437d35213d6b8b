package models

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"unmask/engine"
	"unmask/engine/cpu"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

const golden = "../testdata/golden"

func backend(t testing.TB) tensor.Backend {
	t.Helper()
	be, err := cpu.New(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := be.Close(); err != nil {
			t.Error(err)
		}
	})
	return be
}

func open(t testing.TB, name string, o OpenOptions) *Model {
	t.Helper()
	set, err := weights.OpenDir(filepath.Join(golden, name))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Open(t.Context(), set, backend(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func TestSpec(t *testing.T) {
	s := open(t, "llada_gqa", OpenOptions{DType: "f32"}).Spec()
	want := engine.Spec{
		Name: "llada_gqa", Family: "llada", Hash: s.Hash, DType: "f32", Device: s.Device, Layers: 3, Width: 48, Heads: 6,
		Vocab: 640, MaxLen: 96, Mask: 572,
		// 2 tables, 4 matrices of attention, 3 of the feed-forward, biases, norms.
		Params: 2*640*48 + 3*(2*48*48+2*16*48+3*112*48+48+16+16+2*48) + 48,
	}
	want.Bytes = s.Bytes
	if got := s; got.Name != want.Name || got.Params != want.Params || got.Layers != want.Layers || got.Width != want.Width ||
		got.Heads != want.Heads || got.Vocab != want.Vocab || got.MaxLen != want.MaxLen || got.Mask != want.Mask ||
		got.Family != want.Family || got.DType != want.DType {
		t.Errorf("spec %+v\nwant %+v", got, want)
	}
	if len(s.Hash) != 64 || s.Bytes < 4*s.Params || s.Device == "" || s.Image != nil || !slices.Equal(s.End, []engine.Token{561, 576}) {
		t.Errorf("hash %q, %d bytes, device %q, image %v, end %v", s.Hash, s.Bytes, s.Device, s.Image, s.End)
	}
	if s.Can(engine.TextToImage) || !s.Can(engine.Chat) {
		t.Errorf("tasks %v", s.Tasks)
	}
}

func TestMMaDAWithImageTokenizer(t *testing.T) {
	text := open(t, "mmada", OpenOptions{}).Spec()
	if text.Image != nil || text.Can(engine.TextToImage) || !text.Can(engine.Chat) {
		t.Errorf("without tokenizer: %+v", text)
	}
	image, err := weights.OpenDir(filepath.Join(golden, "magvitv2"))
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, "mmada", OpenOptions{Image: image, DType: "f32"})
	s := m.Spec()
	want := engine.ImageSpec{Grid: engine.Grid{Cols: 4, Rows: 4}, Width: 64, Height: 64, Offset: 609, Codebook: 64}
	if s.Image == nil || *s.Image != want || !s.Can(engine.Outpaint) {
		t.Errorf("image %+v, want %+v; tasks %v", s.Image, want, s.Tasks)
	}
	codes := make([]engine.Token, 16)
	codes[3] = -1
	img, err := m.Image.DecodeImage(t.Context(), codes, 4, 4)
	if err != nil || img.Bounds().Dx() != 64 {
		t.Fatalf("decode: %v, %v", img, err)
	}
	back, err := m.Image.EncodeImage(t.Context(), img)
	if err != nil || len(back) != 16 {
		t.Errorf("encode: %v, %v", back, err)
	}
}

// TestBF16Products: products in bf16 stay as near to f32 as the official bf16 pass does, and take half the memory.
func TestBF16Products(t *testing.T) {
	exact, rough := open(t, "llada_bf16", OpenOptions{DType: "f32"}), open(t, "llada_bf16", OpenOptions{DType: "bf16"})
	in := engine.Input{Tokens: []engine.Token{1, 5, 572, 9, 572, 572, 20}}
	var logits [2][]float32
	for i, m := range []*Model{exact, rough} {
		l, err := m.Forward(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		logits[i] = make([]float32, len(in.Tokens)*m.Spec().Vocab)
		if err := l.Floats(logits[i], 0); err != nil {
			t.Fatal(err)
		}
	}
	worst := 0.0
	for i := range logits[0] {
		worst = max(worst, math.Abs(float64(logits[0][i]-logits[1][i])))
	}
	if worst == 0 || worst > 0.4 {
		t.Errorf("bf16 products move logits by %g, want above 0 and up to 0.4", worst)
	}
	if a, b := exact.Spec(), rough.Spec(); b.DType != "bf16" || b.Bytes > a.Bytes*6/10 {
		t.Errorf("%s takes %d bytes, f32 %d", b.DType, b.Bytes, a.Bytes)
	}
}

// checkpoint is a folder in memory whose config and tensors tests bend.
type checkpoint struct {
	config  map[string]any
	tensors map[string][]int // F32 zeros of these shapes
	files   map[string]string
}

func plain(t *testing.T) *checkpoint {
	t.Helper()
	c := &checkpoint{tensors: map[string][]int{}, files: map[string]string{}}
	data, err := os.ReadFile(filepath.Join(golden, "llada", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &c.config); err != nil {
		t.Fatal(err)
	}
	set, err := weights.OpenDir(filepath.Join(golden, "llada"))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	for _, n := range set.Names() {
		x, err := set.Tensor(n)
		if err != nil {
			t.Fatal(err)
		}
		c.tensors[n] = slices.Clone(x.Shape)
	}
	return c
}

func (c *checkpoint) open(t *testing.T) error {
	t.Helper()
	config, err := json.Marshal(c.config)
	if err != nil {
		t.Fatal(err)
	}
	header, size := map[string]any{}, 0
	for _, n := range slices.Sorted(maps.Keys(c.tensors)) {
		bytes := 4
		for _, d := range c.tensors[n] {
			bytes *= d
		}
		header[n] = map[string]any{"dtype": "F32", "shape": c.tensors[n], "data_offsets": []int{size, size + bytes}}
		size += bytes
	}
	h, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(h)))
	file = append(append(file, h...), make([]byte, size)...)
	fsys := fstest.MapFS{"model.safetensors": {Data: file}, "config.json": {Data: config}}
	for n, s := range c.files {
		fsys[n] = &fstest.MapFile{Data: []byte(s)}
	}
	set, err := weights.OpenFS(fsys)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Open(t.Context(), set, backend(t), OpenOptions{})
	if err == nil {
		err = m.Close()
	}
	return err
}

func TestOpenNamesEverythingThatIsWrong(t *testing.T) {
	if err := plain(t).open(t); err != nil {
		t.Fatalf("untouched: %v", err)
	}
	const root = "model.transformer."
	for _, k := range []struct {
		name string
		bend func(c *checkpoint)
		want []string
	}{
		{"missing, unused and misshapen together", func(c *checkpoint) {
			delete(c.tensors, root+"blocks.1.q_proj.weight")
			c.tensors["extra.weight"] = []int{3}
			c.tensors[root+"wte.weight"] = []int{640, 32}
		}, []string{root + "blocks.1.q_proj.weight", "extra.weight", "[640 32]", "[640 64]"}},
		{"another width", func(c *checkpoint) { c.config["d_model"] = 128 }, []string{"[64 64]", "[128 128]", "more"}},
		{"a million layers", func(c *checkpoint) { c.config["n_layers"] = 1000000 }, []string{"blocks.2.", "more"}},
		{"huge vocabulary", func(c *checkpoint) { c.config["embedding_size"] = 2000000000 }, []string{"2000000000"}},
		{"unknown family", func(c *checkpoint) { c.config["model_type"] = "gpt2" }, []string{"gpt2", "llada"}},
		{"broken tokenizer", func(c *checkpoint) { c.files["tokenizer.json"] = "{" }, []string{"tokenizer.json"}},
		{"mmada without tokenizer", func(c *checkpoint) {
			c.config["model_type"], c.config["codebook_size"], c.config["num_vq_tokens"] = "mmada", 64, 16
		}, []string{"no tokenizer.json"}},
		{"codes beyond the vocabulary", func(c *checkpoint) {
			c.config["model_type"], c.config["codebook_size"], c.config["num_vq_tokens"] = "mmada", 64, 16
			c.files["tokenizer.json"] = `{"model":{"vocab":{"a":0,"b":600}}}`
		}, []string{"64 codes", "601", "640"}},
		{"no mask anywhere", func(c *checkpoint) { delete(c.config, "mask_token_id") }, []string{"mask_token_id", "tokenizer.json"}},
	} {
		c := plain(t)
		k.bend(c)
		err := c.open(t)
		if err == nil {
			t.Errorf("%s: no error", k.name)
			continue
		}
		for _, w := range k.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is not in: %v", k.name, w, err)
			}
		}
		if len(err.Error()) > 4000 {
			t.Errorf("%s: an error of %d bytes", k.name, len(err.Error()))
		}
	}
}

func TestOpenNeedsConfig(t *testing.T) {
	set, err := weights.OpenFS(fstest.MapFS{"model.safetensors": {Data: append(binary.LittleEndian.AppendUint64(nil, 2), "{}"...)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), set, backend(t), OpenOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want a missing file", err)
	}
}

// TestFamilies opens the fixture of every other family and checks what only the family knows.
func TestFamilies(t *testing.T) {
	for _, c := range []struct {
		name, family string
		mask         engine.Token
		end          []engine.Token
		shift        bool
		block        int
	}{
		{"dream", "dream", 543, []engine.Token{520, 522}, true, 0},
		{"dllm-a2d-qwen3-mdlm", "a2d", 456, []engine.Token{432, 430}, false, 0},
		{"dllm-a2d-qwen3-bd3lm", "a2d", 456, []engine.Token{432, 430}, false, 32},
		{"llada2-mini", "llada2", 424, []engine.Token{421, 428}, false, 32},
		{"llada-moe", "llada-moe", 424, []engine.Token{421, 425}, false, 0},
	} {
		m := open(t, c.name, OpenOptions{DType: "f32"})
		s := m.Spec()
		if s.Family != c.family || s.Mask != c.mask || !slices.Equal(s.End, c.end) || m.Stack.Config.Shift != c.shift || s.Block != c.block {
			t.Errorf("%s: family %s, mask %d, end %v, shift %t, block %d", c.name, s.Family, s.Mask, s.End, m.Stack.Config.Shift, s.Block)
		}
		if len(s.Hash) != 64 || s.Params < 40000 || s.MaxLen < 256 {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
}

// TestFamilyConfigErrors bends the configs of families with LLaMA's names.
func TestFamilyConfigErrors(t *testing.T) {
	for _, k := range []struct {
		name, key string
		value     any
		want      string // in the error; "": accepted
	}{
		{"dream", "eos_token_id", []int{520, 522}, ""},
		{"dream", "hidden_size", 0, "hidden_size"},
		{"dream", "num_attention_heads", 0, "num_attention_heads"},
		{"dream", "num_attention_heads", 7, "7 heads"},
		{"dream", "num_key_value_heads", 3, "3 key heads"},
		{"dream", "head_dim", 15, "odd"},
		{"dream", "rope_theta", -1, "rope_theta"},
		{"dream", "rope_scaling", map[string]any{"type": "yarn"}, "not supported"},
		{"dream", "use_sliding_window", true, "not supported"},
		{"dream", "hidden_act", "gelu", "not supported"},
		{"dream", "mask_token_id", 576, "576"},
		{"dream", "eos_token_id", "end", "eos_token_id"},
		{"llada-moe", "num_experts", 1 << 30, "num_experts"},
		{"llada-moe", "num_experts_per_tok", 7, "7 of 6"},
		{"llada-moe", "moe_router_score_function", "sigmoid", "not supported"},
		{"llada-moe", "shared_expert_intermediate_size", 64, "mlp.shared_expert.gate_proj"},
		{"llada-moe", "moe_router_enable_expert_bias", true, "mlp.expert_bias"},
		{"llada-moe", "moe_layer_freq", 2, "mlp.experts.0"},
		{"llada-moe", "dense_intermediate_size", 64, "[96 48]"},
		{"llada2-mini", "n_group", 3, "8 experts in 3 groups"},
		{"llada2-mini", "topk_group", 5, "5 of 4 groups"},
		{"llada2-mini", "num_experts_per_tok", 6, "for 6 experts"},
		{"llada2-mini", "score_function", "softmax", "not supported"},
		{"llada2-mini", "use_qkv_bias", true, "not supported"},
		{"llada2-mini", "num_key_value_heads", 4, "[192 48]"},
		{"llada2-mini", "first_k_dense_replace", 2, "mlp.gate_proj"},
		{"llada-moe", "partial_rotary_factor", 0, "partial_rotary_factor"},
	} {
		dir := filepath.Join(golden, k.name)
		fsys := fstest.MapFS{}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "golden") {
				continue
			}
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			fsys[e.Name()] = &fstest.MapFile{Data: data}
		}
		config := map[string]any{}
		if err := json.Unmarshal(fsys["config.json"].Data, &config); err != nil {
			t.Fatal(err)
		}
		config[k.key] = k.value
		if fsys["config.json"].Data, err = json.Marshal(config); err != nil {
			t.Fatal(err)
		}
		set, err := weights.OpenFS(fsys)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Open(t.Context(), set, backend(t), OpenOptions{DType: "f32"})
		if err == nil {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
		switch {
		case k.want == "" && err != nil:
			t.Errorf("%s: %s = %v: %v", k.name, k.key, k.value, err)
		case k.want != "" && (err == nil || !strings.Contains(err.Error(), k.want)):
			t.Errorf("%s: %s = %v: error %v, want %q in it", k.name, k.key, k.value, err, k.want)
		}
	}
}
