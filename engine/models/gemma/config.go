package gemma

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"unmask/engine"
	"unmask/engine/weights"
)

// Config is config.json with what it leaves out filled in.
type Config struct {
	Canvas int  `json:"canvas_length"`
	Tied   bool `json:"tie_word_embeddings"`
	Text   Text `json:"text_config"`
	// Vision is nil where the checkpoint does not see.
	Vision *Vision `json:"vision_config"`
	EOS    ids     `json:"eos_token_id"`
}

// Text are the sizes of the network of encoder and decoder.
type Text struct {
	Width       int          `json:"hidden_size"`
	Layers      int          `json:"num_hidden_layers"`
	Heads       int          `json:"num_attention_heads"`
	KV          int          `json:"num_key_value_heads"`
	HeadDim     int          `json:"head_dim"`
	GlobalKV    *int         `json:"num_global_key_value_heads"`
	GlobalDim   *int         `json:"global_head_dim"`
	FF          int          `json:"intermediate_size"`
	Experts     int          `json:"num_experts"`
	TopK        int          `json:"top_k_experts"`
	ExpertWidth int          `json:"moe_intermediate_size"`
	Window      int          `json:"sliding_window"` // a sliding layer sees this many tokens, the own one among them
	Vocab       int          `json:"vocab_size"`
	MaxLen      int          `json:"max_position_embeddings"`
	Eps         float64      `json:"rms_norm_eps"`
	Cap         *float64     `json:"final_logit_softcapping"` // nil: none
	Types       []string     `json:"layer_types"`
	PerLayer    map[int]size `json:"per_layer_config"`
	Rope        *ropes       `json:"rope_parameters"`
	Act         string       `json:"hidden_activation"`
	Bidirection *string      `json:"use_bidirectional_attention"`
	Bias        bool         `json:"attention_bias"`
}

// size is an entry of per_layer_config, as configurations have it that were saved again.
type size struct {
	HeadDim int `json:"head_dim"`
	KV      int `json:"num_key_value_heads"`
}

type ropes struct {
	Full    *rope `json:"full_attention"`
	Sliding *rope `json:"sliding_attention"`
}

type rope struct {
	Type    string   `json:"rope_type"`
	Theta   float64  `json:"rope_theta"`
	Partial *float64 `json:"partial_rotary_factor"`
}

// ids is a token or a list of tokens.
type ids []engine.Token

// UnmarshalJSON implements [json.Unmarshaler].
func (x *ids) UnmarshalJSON(data []byte) error {
	var one engine.Token
	if string(data) == "null" {
		return nil
	}
	if json.Unmarshal(data, &one) == nil {
		*x = ids{one}
		return nil
	}
	var list []engine.Token
	err := json.Unmarshal(data, &list)
	*x = list
	return err
}

// The largest sizes that are believed.
const (
	maxSide   = 1 << 16 // widths, heads, experts
	maxLayers = 1 << 10
	maxVocab  = 1 << 24
)

const (
	full    = "full_attention"
	sliding = "sliding_attention"
)

// ParseConfig reads a config.json; path is for messages. Both spellings are read: that of the release, and that of
// configurations saved again, with sizes by layer.
func ParseConfig(data []byte, path string) (*Config, error) {
	softcap := 30.0
	c := &Config{Canvas: 256, Tied: true, Text: Text{
		HeadDim: 256, Window: 512, Eps: 1e-6, Cap: &softcap, Act: "gelu_pytorch_tanh", MaxLen: 131072, Vocab: 262144,
	}}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, &engine.FormatError{Format: "config.json", Path: path, Err: err}
	}
	if c.EOS == nil {
		c.EOS = ids{1}
	}
	if err := c.Text.complete(path); err != nil {
		return nil, err
	}
	if !c.Tied {
		return nil, &engine.UnsupportedError{What: path + ": tie_word_embeddings false", Have: "encoder, decoder and head of one embedding"}
	}
	if c.Canvas < 1 || c.Canvas > c.Text.MaxLen {
		return nil, &engine.FormatError{Format: "config.json", Path: path, Item: "canvas_length",
			Reason: fmt.Sprintf("%d, want 1 to the %d positions of the model", c.Canvas, c.Text.MaxLen)}
	}
	if c.Vision != nil {
		if err := c.Vision.check(path); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// complete fills in the pattern of layers and the rotary settings and checks everything.
func (t *Text) complete(path string) error {
	bad := func(item, format string, args ...any) error {
		return &engine.FormatError{Format: "config.json", Path: path, Item: "text_config." + item, Reason: fmt.Sprintf(format, args...)}
	}
	for _, x := range []struct {
		item  string
		value int
		most  int
	}{
		{"hidden_size", t.Width, maxSide}, {"num_hidden_layers", t.Layers, maxLayers}, {"num_attention_heads", t.Heads, maxSide},
		{"num_key_value_heads", t.KV, maxSide}, {"head_dim", t.HeadDim, maxSide}, {"intermediate_size", t.FF, maxSide},
		{"num_experts", t.Experts, maxSide}, {"top_k_experts", t.TopK, t.Experts}, {"moe_intermediate_size", t.ExpertWidth, maxSide},
		{"sliding_window", t.Window, maxVocab}, {"vocab_size", t.Vocab, maxVocab}, {"max_position_embeddings", t.MaxLen, maxVocab},
	} {
		if x.value < 1 || x.value > x.most {
			return bad(x.item, "%d, want 1 to %d", x.value, x.most)
		}
	}
	if !(t.Eps > 0) || t.Eps > 1 {
		return bad("rms_norm_eps", "%g, want above 0 and at most 1", t.Eps)
	}
	if t.Cap != nil && !(*t.Cap > 0) {
		return bad("final_logit_softcapping", "%g, want above 0", *t.Cap)
	}
	if t.Types == nil {
		for i := range t.Layers {
			kind := sliding
			if i%6 == 5 {
				kind = full
			}
			t.Types = append(t.Types, kind)
		}
	}
	if len(t.Types) != t.Layers {
		return bad("layer_types", "%d types of %d layers", len(t.Types), t.Layers)
	}
	t.Types[t.Layers-1] = full // as the official code forces it
	for i, kind := range t.Types {
		if kind != full && kind != sliding {
			return bad("layer_types", "layer %d is %q, want %s or %s", i, kind, full, sliding)
		}
		if kv, d := t.Layer(i); kv < 1 || t.Heads%kv != 0 || d < 2 || d > maxSide || d%2 != 0 {
			return bad("per_layer_config", "layer %d: %d heads on %d of keys, %d wide", i, t.Heads, kv, d)
		}
	}
	return t.unsupported(path)
}

// unsupported refuses what no released checkpoint has, and reads the rotary settings.
func (t *Text) unsupported(path string) error {
	refuse := func(what, have string) error { return &engine.UnsupportedError{What: path + ": " + what, Have: have} }
	switch {
	case t.Act != "gelu_pytorch_tanh":
		return refuse("hidden_activation "+t.Act, "gelu_pytorch_tanh")
	case t.Bias:
		return refuse("attention_bias", "attention without biases")
	case t.Bidirection != nil && *t.Bidirection != "vision":
		return refuse("use_bidirectional_attention "+*t.Bidirection, "vision")
	}
	quarter := 0.25
	r := &ropes{}
	if t.Rope != nil {
		r = t.Rope
	}
	if r.Sliding == nil {
		r.Sliding = &rope{Type: "default", Theta: 10000}
	}
	if r.Full == nil {
		r.Full = &rope{Type: "proportional", Theta: 1e6, Partial: &quarter}
	}
	t.Rope = r
	if r.Sliding.Type != "default" || r.Full.Type != "proportional" {
		return refuse(fmt.Sprintf("rope_type %q and %q", r.Sliding.Type, r.Full.Type), "default in sliding layers, proportional in full ones")
	}
	if !(r.Sliding.Theta > 1) || !(r.Full.Theta > 1) {
		return refuse(fmt.Sprintf("rope_theta %g and %g", r.Sliding.Theta, r.Full.Theta), "bases above 1")
	}
	for i, kind := range t.Types {
		if _, d := t.Layer(i); kind == full && (t.rot(d) < 2 || t.rot(d) > d) {
			return refuse(fmt.Sprintf("partial_rotary_factor %g of a head of %d", *r.Full.Partial, d), "2 entries to all of the head")
		}
	}
	return nil
}

// Layer are the key/value heads of layer i and the width of its heads.
func (t *Text) Layer(i int) (kv, headDim int) {
	kv, headDim = t.KV, t.HeadDim
	if t.Types[i] == full {
		headDim = 512
		if t.GlobalDim != nil {
			headDim = *t.GlobalDim
		}
		if t.GlobalKV != nil {
			kv = *t.GlobalKV
		}
	}
	if x, ok := t.PerLayer[i]; ok {
		if x.HeadDim != 0 {
			headDim = x.HeadDim
		}
		if x.KV != 0 {
			kv = x.KV
		}
	}
	return kv, headDim
}

// rot is how many entries of a head of d are rotated in a full layer.
func (t *Text) rot(d int) int {
	share := 1.0
	if t.Rope.Full.Partial != nil {
		share = *t.Rope.Full.Partial
	}
	return 2 * int(share*float64(d)/2)
}

// Vision are the sizes of the vision tower.
type Vision struct {
	Width       int     `json:"hidden_size"`
	Layers      int     `json:"num_hidden_layers"`
	Heads       int     `json:"num_attention_heads"`
	KV          int     `json:"num_key_value_heads"`
	HeadDim     int     `json:"head_dim"`
	FF          int     `json:"intermediate_size"`
	Patch       int     `json:"patch_size"`
	Pool        int     `json:"pooling_kernel_size"`
	Positions   int     `json:"position_embedding_size"`
	Standardize bool    `json:"standardize"`
	Clipped     bool    `json:"use_clipped_linears"`
	Eps         float64 `json:"rms_norm_eps"`
	Act         string  `json:"hidden_activation"`
	Bias        bool    `json:"attention_bias"`
	Rope        *rope   `json:"rope_parameters"`
}

// UnmarshalJSON implements [json.Unmarshaler]: what is left out is that of the Gemma 4 tower.
func (v *Vision) UnmarshalJSON(data []byte) error {
	type plain Vision
	p := plain{Width: 768, Layers: 16, Heads: 12, HeadDim: 64, FF: 3072, Patch: 16, Pool: 3, Positions: 10240, Eps: 1e-6,
		Act: "gelu_pytorch_tanh"}
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	*v = Vision(p)
	if v.KV == 0 {
		v.KV = v.Heads
	}
	if v.Rope == nil {
		v.Rope = &rope{Type: "axial", Theta: 100}
	}
	return nil
}

func (v *Vision) check(path string) error {
	bad := func(item, format string, args ...any) error {
		return &engine.FormatError{Format: "config.json", Path: path, Item: "vision_config." + item, Reason: fmt.Sprintf(format, args...)}
	}
	refuse := func(what, have string) error { return &engine.UnsupportedError{What: path + ": " + what, Have: have} }
	for _, x := range []struct {
		item  string
		value int
		most  int
	}{
		{"hidden_size", v.Width, maxSide}, {"num_hidden_layers", v.Layers, maxLayers}, {"num_attention_heads", v.Heads, maxSide},
		{"num_key_value_heads", v.KV, v.Heads}, {"head_dim", v.HeadDim, maxSide}, {"intermediate_size", v.FF, maxSide},
		{"patch_size", v.Patch, 256}, {"pooling_kernel_size", v.Pool, 64}, {"position_embedding_size", v.Positions, maxVocab},
	} {
		if x.value < 1 || x.value > x.most {
			return bad(x.item, "%d, want 1 to %d", x.value, x.most)
		}
	}
	switch {
	case v.Heads%v.KV != 0:
		return bad("num_key_value_heads", "%d heads on %d", v.Heads, v.KV)
	case v.HeadDim%4 != 0:
		return bad("head_dim", "%d, want a multiple of 4: half of a head turns with each axis", v.HeadDim)
	case !(v.Eps > 0) || v.Eps > 1:
		return bad("rms_norm_eps", "%g, want above 0 and at most 1", v.Eps)
	case v.Act != "gelu_pytorch_tanh":
		return refuse("hidden_activation "+v.Act+" of the vision tower", "gelu_pytorch_tanh")
	case v.Clipped || v.Bias:
		return refuse("use_clipped_linears or attention_bias of the vision tower", "plain linear layers")
	case v.Rope.Type != "default" && v.Rope.Type != "axial" && v.Rope.Type != "" || !(v.Rope.Theta > 1):
		return refuse(fmt.Sprintf("rope_type %q with base %g of the vision tower", v.Rope.Type, v.Rope.Theta), "axial, above 1")
	}
	return nil
}

// Generation are the settings of generation_config.json; what is left out or null has the values of the official code.
type Generation struct {
	EOS        ids     `json:"eos_token_id"`
	Pad        *int    `json:"pad_token_id"`
	New        int     `json:"max_new_tokens"`
	Steps      int     `json:"max_denoising_steps"`
	Confidence float64 `json:"confidence_threshold"`
	Stability  int     `json:"stability_threshold"`
	TMax       float64 `json:"t_max"`
	TMin       float64 `json:"t_min"`
	Sampler    struct {
		Class string  `json:"_cls_name"`
		Bound float64 `json:"entropy_bound"`
	} `json:"sampler_config"`
}

// ReadGeneration reads generation_config.json of src, which may be absent. Without end tokens there, eos are taken.
func ReadGeneration(src *weights.Set, eos []engine.Token) (*Generation, error) {
	g := &Generation{New: 256, Steps: 48, Confidence: 0.005, Stability: 1, TMax: 0.8, TMin: 0.4}
	g.Sampler.Class, g.Sampler.Bound = "EntropyBoundSamplerConfig", 0.1
	data, err := src.File("generation_config.json")
	if errors.Is(err, fs.ErrNotExist) {
		g.EOS = eos
		return g, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, g); err != nil {
		return nil, &engine.FormatError{Format: "generation_config.json", Path: src.Path(), Err: err}
	}
	if len(g.EOS) == 0 {
		g.EOS = eos
	}
	switch {
	case g.Sampler.Class != "EntropyBoundSamplerConfig":
		return nil, &engine.UnsupportedError{What: src.Path() + ": sampler " + g.Sampler.Class, Have: "EntropyBoundSamplerConfig"}
	case g.Steps < 1 || g.New < 1 || g.Stability < 0 || !(g.TMin >= 0) || !(g.TMax > g.TMin) || !(g.Sampler.Bound > 0) || !(g.Confidence > 0):
		return nil, &engine.FormatError{Format: "generation_config.json", Path: src.Path(),
			Reason: fmt.Sprintf("%d steps from temperature %g to %g, bound %g, confidence %g", g.Steps, g.TMax, g.TMin, g.Sampler.Bound, g.Confidence)}
	}
	return g, nil
}
