package weights

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"unmask/engine"
)

// ggufArch says how the tensors and the metadata of one architecture of GGUF become those of a released checkpoint.
type ggufArch struct {
	names  [][2]string // GGUF name and released name; "N" is the number of a block
	permut bool        // rows of q and k are paired for rotation of neighbours and have to be put apart again
	config func(g *gguf, key string) map[string]any
	split  string // pattern of the pre-tokenizer; GGUF names it only
}

// The split patterns of the two parents' tokenizers.
const (
	splitBailing = `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`
	splitQwen    = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// ggufArchs are the architectures by general.architecture.
var ggufArchs = map[string]ggufArch{
	"llada": {
		names: [][2]string{
			{"token_embd.weight", "model.transformer.wte.weight"}, {"output_norm.weight", "model.transformer.ln_f.weight"},
			{"output.weight", "model.transformer.ff_out.weight"}, {"blk.N.attn_norm.weight", "model.transformer.blocks.N.attn_norm.weight"},
			{"blk.N.attn_q.weight", "model.transformer.blocks.N.q_proj.weight"}, {"blk.N.attn_k.weight", "model.transformer.blocks.N.k_proj.weight"},
			{"blk.N.attn_v.weight", "model.transformer.blocks.N.v_proj.weight"}, {"blk.N.attn_output.weight", "model.transformer.blocks.N.attn_out.weight"},
			{"blk.N.ffn_norm.weight", "model.transformer.blocks.N.ff_norm.weight"}, {"blk.N.ffn_gate.weight", "model.transformer.blocks.N.ff_proj.weight"},
			{"blk.N.ffn_up.weight", "model.transformer.blocks.N.up_proj.weight"}, {"blk.N.ffn_down.weight", "model.transformer.blocks.N.ff_out.weight"},
			{"blk.N.attn_q.bias", "model.transformer.blocks.N.q_proj.bias"}, {"blk.N.attn_k.bias", "model.transformer.blocks.N.k_proj.bias"},
			{"blk.N.attn_v.bias", "model.transformer.blocks.N.v_proj.bias"},
		},
		permut: true, config: lladaConfig, split: splitBailing,
	},
	"dream": {
		names: [][2]string{
			{"token_embd.weight", "model.embed_tokens.weight"}, {"output_norm.weight", "model.norm.weight"}, {"output.weight", "lm_head.weight"},
			{"blk.N.attn_norm.weight", "model.layers.N.input_layernorm.weight"}, {"blk.N.ffn_norm.weight", "model.layers.N.post_attention_layernorm.weight"},
			{"blk.N.attn_q.weight", "model.layers.N.self_attn.q_proj.weight"}, {"blk.N.attn_k.weight", "model.layers.N.self_attn.k_proj.weight"},
			{"blk.N.attn_v.weight", "model.layers.N.self_attn.v_proj.weight"}, {"blk.N.attn_output.weight", "model.layers.N.self_attn.o_proj.weight"},
			{"blk.N.attn_q.bias", "model.layers.N.self_attn.q_proj.bias"}, {"blk.N.attn_k.bias", "model.layers.N.self_attn.k_proj.bias"},
			{"blk.N.attn_v.bias", "model.layers.N.self_attn.v_proj.bias"}, {"blk.N.ffn_gate.weight", "model.layers.N.mlp.gate_proj.weight"},
			{"blk.N.ffn_up.weight", "model.layers.N.mlp.up_proj.weight"}, {"blk.N.ffn_down.weight", "model.layers.N.mlp.down_proj.weight"},
		},
		config: dreamConfig, split: splitQwen,
	},
}

// number is a metadata number, or otherwise.
func (g *gguf) number(key string, otherwise float64) float64 {
	switch v := g.meta[key].(type) {
	case uint64:
		return float64(v)
	case int64:
		return float64(v)
	case float64:
		return v
	}
	return otherwise
}

func (g *gguf) has(tensor string) bool {
	return slices.ContainsFunc(g.tensors, func(t ggufTensor) bool { return t.Name == tensor })
}

func (g *gguf) rows(tensor string) int {
	for _, t := range g.tensors {
		if t.Name == tensor && len(t.Shape) > 0 {
			return t.Shape[0]
		}
	}
	return 0
}

// lladaConfig is config.json of LLaDA; key is the architecture with a dot.
func lladaConfig(g *gguf, key string) map[string]any {
	heads := g.number(key+"attention.head_count", 0)
	return map[string]any{
		"model_type": "llada", "d_model": g.number(key+"embedding_length", 0), "n_heads": heads,
		"n_kv_heads": g.number(key+"attention.head_count_kv", heads), "n_layers": g.number(key+"block_count", 0),
		"mlp_hidden_size": g.number(key+"feed_forward_length", 0), "vocab_size": g.rows("token_embd.weight"), "embedding_size": g.rows("token_embd.weight"),
		"max_sequence_length": g.number(key+"context_length", 0), "rope": true, "rope_theta": g.number(key+"rope.freq_base", 10000),
		"rms_norm_eps": g.number(key+"attention.layer_norm_rms_epsilon", 1e-5), "include_qkv_bias": g.has("blk.0.attn_q.bias"),
		"weight_tying": !g.has("output.weight"), "mask_token_id": g.number("tokenizer.ggml.mask_token_id", -1),
		"eos_token_id": g.number("tokenizer.ggml.eos_token_id", -1),
	}
}

// dreamConfig is config.json of Dream.
func dreamConfig(g *gguf, key string) map[string]any {
	heads := g.number(key+"attention.head_count", 0)
	return map[string]any{
		"model_type": "Dream", "hidden_size": g.number(key+"embedding_length", 0), "num_attention_heads": heads,
		"num_key_value_heads": g.number(key+"attention.head_count_kv", heads), "num_hidden_layers": g.number(key+"block_count", 0),
		"intermediate_size": g.number(key+"feed_forward_length", 0), "vocab_size": g.rows("token_embd.weight"),
		"max_position_embeddings": g.number(key+"context_length", 0), "rope_theta": g.number(key+"rope.freq_base", 1e6),
		"rms_norm_eps": g.number(key+"attention.layer_norm_rms_epsilon", 1e-6), "tie_word_embeddings": !g.has("output.weight"),
		"mask_token_id": g.number("tokenizer.ggml.mask_token_id", -1), "eos_token_id": g.number("tokenizer.ggml.eos_token_id", -1), "hidden_act": "silu",
	}
}

var ggufBlock = regexp.MustCompile(`^blk\.(\d+)\.`)

// fromGGUF fills the set with the tensors and files of g.
func (s *Set) fromGGUF(file string, g *gguf) error {
	name, _ := g.meta["general.architecture"].(string)
	arch, ok := ggufArchs[name]
	if !ok {
		return &engine.FormatError{Format: "gguf", Path: g.file, Item: "general.architecture",
			Err: &engine.UnsupportedError{What: fmt.Sprintf("architecture %q", name), Have: "llada, dream"}}
	}
	heads := map[string]int{"attn_q": int(g.number(name+".attention.head_count", 0)), "attn_k": int(g.number(name+".attention.head_count_kv", g.number(name+".attention.head_count", 0)))}
	s.lazy, s.kinds = map[string]func(Tensor) Tensor{}, map[string]string{}
	for _, t := range g.tensors {
		t := t
		pattern, block := t.Name, ""
		if m := ggufBlock.FindStringSubmatch(t.Name); m != nil {
			block = m[1]
			pattern = "blk.N." + t.Name[len(m[0]):]
		}
		i := slices.IndexFunc(arch.names, func(n [2]string) bool { return n[0] == pattern })
		if i < 0 {
			return g.bad(t.Name, "is no tensor of the architecture %q", name)
		}
		n := 0
		if part := strings.Split(pattern, "."); arch.permut && len(part) == 4 {
			n = heads[part[2]]
		}
		if n > 0 && (len(t.Shape) < 1 || t.Shape[0]%(2*n) != 0) {
			return g.bad(t.Name, "%v can not be split into %d heads of even width", t.Shape, n)
		}
		t.Name = strings.Replace(arch.names[i][1], ".N.", "."+block+".", 1)
		if t.quant != nil || n > 0 {
			q := t.quant
			if q != nil {
				s.kinds[t.Name] = q.name
			}
			s.lazy[t.Name] = func(x Tensor) Tensor {
				if q != nil {
					x = q.tensor(x)
				}
				if n > 0 {
					x = unpair(x, n)
				}
				return x
			}
		}
		if err := s.put(file, t.Tensor); err != nil {
			return err
		}
	}
	config, err := json.Marshal(arch.config(g, name+"."))
	if err != nil {
		return g.bad("metadata", "%v", err)
	}
	s.files = map[string][]byte{"config.json": config}
	return s.ggufTokenizer(g, arch.split)
}

// unpair undoes the permutation of rows that the conversion to GGUF makes: a head's rows 0, w/2, 1, w/2+1, ... become 0, 1,
// ..., w-1. It copies.
func unpair(t Tensor, heads int) Tensor {
	rows := t.Shape[0]
	size := len(t.Data) / max(rows, 1)
	w := rows / heads
	out := make([]byte, len(t.Data))
	for h := range heads {
		for i := range w {
			from := h*w + 2*(i%(w/2)) + i/(w/2)
			copy(out[(h*w+i)*size:(h*w+i+1)*size], t.Data[from*size:(from+1)*size])
		}
	}
	t.Data = out
	return t
}

// ggufTokenizer writes tokenizer.json and tokenizer_config.json from the metadata.
func (s *Set) ggufTokenizer(g *gguf, split string) error {
	if kind, _ := g.meta["tokenizer.ggml.model"].(string); kind != "gpt2" {
		return &engine.FormatError{Format: "gguf", Path: g.file, Item: "tokenizer.ggml.model",
			Err: &engine.UnsupportedError{What: fmt.Sprintf("tokenizer %q", kind), Have: "gpt2"}}
	}
	tokens, _ := g.meta["tokenizer.ggml.tokens"].([]any)
	kinds, _ := g.meta["tokenizer.ggml.token_type"].([]any)
	merges, _ := g.meta["tokenizer.ggml.merges"].([]any)
	vocab := map[string]int{}
	var added []map[string]any
	var content []string
	for i, v := range tokens {
		text, ok := v.(string)
		if !ok {
			return g.bad("tokenizer.ggml.tokens", "item %d is no string", i)
		}
		content = append(content, text)
		kind := int64(1)
		if i < len(kinds) {
			kind, _ = kinds[i].(int64)
		}
		switch kind {
		case 1: // normal
			vocab[text] = i
		case 5: // unused: rows of the table without a token
		default: // control and user-defined
			added = append(added, map[string]any{"id": i, "content": text, "special": kind != 4})
		}
	}
	byteLevel := map[string]any{"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}
	file := map[string]any{
		"model": map[string]any{"type": "BPE", "vocab": vocab, "merges": merges}, "added_tokens": added, "decoder": byteLevel,
		"pre_tokenizer": map[string]any{"type": "Sequence", "pretokenizers": []any{
			map[string]any{"type": "Split", "pattern": map[string]any{"Regex": split}, "behavior": "Isolated"}, byteLevel}},
	}
	config := map[string]any{"chat_template": g.meta["tokenizer.chat_template"]}
	for role, key := range map[string]string{"bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "mask_token": "mask"} {
		if id := g.number("tokenizer.ggml."+key+"_token_id", -1); id >= 0 && int(id) < len(content) {
			config[role] = content[int(id)]
		}
	}
	for name, v := range map[string]any{"tokenizer.json": file, "tokenizer_config.json": config} {
		data, err := json.Marshal(v)
		if err != nil {
			return g.bad(name, "%v", err)
		}
		s.files[name] = data
	}
	return nil
}
