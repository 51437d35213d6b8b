package token

import (
	"encoding/json"

	"unmask/engine"
)

// release is the id of <|startoftext|> in the released LLaDA tokenizer; the reserved ids follow it in order.
const release = 126080

// mmadaRoles is MMaDA's table of reserved LLaDA ids. The names are not in the tokenizer file: they stand for ids, relative
// to <|startoftext|>, and are never tokenized.
var mmadaRoles = map[string]engine.Token{
	"soi": 126084, "eoi": 126085, "sov": 126086, "eov": 126087, "t2i": 126088, "mmu": 126089, "t2v": 126090, "v2v": 126091,
	"lvg": 126092, "ipad": 126093, "r2i": 126094, "interleave": 126095,
}

// roleNames lists, for each role, the contents that may play it; the first one present does.
var roleNames = []struct {
	role  string
	names []string
}{
	{"mask", []string{"<|mdm_mask|>", "<|mask|>", "[MASK]", "<mask>"}},
	{"bos", []string{"<|startoftext|>", "<bos>", "[CLS]"}},
	{"eos", []string{"<|endoftext|>", "<eos>", "[SEP]"}},
	{"pad", []string{"<|endoftext|>", "<pad>", "[PAD]"}},
	{"eot", []string{"<|eot_id|>", "<|im_end|>", "<|role_end|>", "<turn|>"}},
	{"start_header", []string{"<|start_header_id|>"}},
	{"end_header", []string{"<|end_header_id|>"}},
}

// nameRoles fills the roles from the table of contents and, for MMaDA, from the reserved ids.
func (t *Tokenizer) nameRoles(family string) {
	for _, r := range roleNames {
		for _, n := range r.names {
			if id, ok := t.ids[n]; ok {
				t.roles[r.role] = id
				break
			}
		}
	}
	base, ok := t.ids["<|startoftext|>"]
	if !ok || family != "mmada" {
		return
	}
	for role, id := range mmadaRoles {
		if id = id - release + base; int(id) < len(t.used) && t.used[id] {
			t.roles[role] = id
		}
	}
}

// config is tokenizer_config.json as far as it is read.
type config struct {
	Bos            any    `json:"bos_token"`
	Eos            any    `json:"eos_token"`
	Pad            any    `json:"pad_token"`
	Mask           any    `json:"mask_token"`
	ChatTemplate   any    `json:"chat_template"`
	ThinkingPrefix string `json:"thinking_prefix"`
}

// configure reads tokenizer_config.json and chat_template.jinja, both of which may be nil, and picks the chat template.
func (t *Tokenizer) configure(data, separate []byte, family string) error {
	t.nameRoles(family)
	var c config
	if data != nil {
		if err := json.Unmarshal(data, &c); err != nil {
			return &engine.FormatError{Format: "tokenizer", Path: "tokenizer_config.json", Err: err}
		}
	}
	names := map[string]any{}
	for role, v := range map[string]any{"bos": c.Bos, "eos": c.Eos, "pad": c.Pad, "mask": c.Mask} {
		content, _ := v.(string)
		if m, ok := v.(map[string]any); ok { // {"content": "<|endoftext|>", "special": true, ...}
			content, _ = m["content"].(string)
		}
		names[role+"_token"] = content
		if id, ok := t.ids[content]; ok && content != "" {
			t.roles[role] = id
		}
	}
	chat, _ := c.ChatTemplate.(string)
	if list, ok := c.ChatTemplate.([]any); ok { // [{"name": "default", "template": "..."}, ...]
		for _, x := range list {
			if m, ok := x.(map[string]any); ok && (chat == "" || m["name"] == "default") {
				chat, _ = m["template"].(string)
			}
		}
	}
	if separate != nil {
		chat = string(separate)
	}
	var err error
	if t.template, err = t.chooseTemplate(family, chat, names); err != nil {
		return err
	}
	if c.ThinkingPrefix != "" {
		t.template.Thinking = c.ThinkingPrefix
	}
	return nil
}
