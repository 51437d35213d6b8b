package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"unmask/engine"
	"unmask/engine/token"
)

// mmadaPrompts checks how MMaDA's prompts are assembled.
type mmadaPrompts struct {
	f       *folder
	tok     *token.Tokenizer
	p       token.Prompts
	maxText int
	eos     engine.Token
}

// verifyMMaDAPrompts checks special ids, texts, chat, prompt.* and the prompts of all runs of the mmada folder.
func verifyMMaDAPrompts(_ context.Context, f *folder) error {
	m := &mmadaPrompts{f: f}
	var err error
	if m.tok, err = token.Open(besides{f.dir}, "mmada"); err != nil {
		return err
	}
	if m.p, err = m.tok.Prompts(); err != nil {
		return err
	}
	m.eos, _ = m.tok.Special("eos")
	var config struct {
		MaxText int `json:"max_text"`
	}
	if err := f.decode("config", &config); err != nil {
		return err
	}
	m.maxText = config.MaxText
	for _, step := range []func() error{m.vocabulary, m.chat, m.pictures, m.words, m.questions, m.runs} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (m *mmadaPrompts) vocabulary() error {
	var special map[string]int
	var texts map[string][]int
	var size, offset, mask, pad int
	for key, to := range map[string]any{"special_ids": &special, "tokenized": &texts, "len_text_tokenizer": &size,
		"image_token_offset": &offset, "mask_token_id": &mask, "pad_id": &pad} {
		if err := m.f.decode(key, to); err != nil {
			return err
		}
	}
	// "sot" and "eot" of the official table are BOS and EOS; the other names are ours between bars.
	roles := map[string]string{"<|sot|>": "bos", "<|eot|>": "eos", "[iPAD]": "ipad"}
	for _, name := range sortedKeys(special) {
		role, ok := roles[name]
		if !ok {
			role = name
			if _, known := m.tok.Special(name); !known && len(name) > 4 {
				role = name[2 : len(name)-2]
			}
		}
		m.f.same("special_ids."+name, []int{m.role(role)}, []int{special[name]}, []int{1})
	}
	m.f.same("len_text_tokenizer", []int{m.tok.Size()}, []int{size}, []int{1})
	m.f.same("image_token_offset", []int{m.tok.Size()}, []int{offset}, []int{1})
	m.f.same("mask_token_id", []int{m.role("mask")}, []int{mask}, []int{1})
	m.f.same("pad_id", []int{m.role("ipad")}, []int{pad}, []int{1})
	for i, text := range sortedKeys(texts) {
		m.f.same(fmt.Sprintf("tokenized.%d", i), toInts(m.tok.AppendTokens(nil, text)), texts[text], []int{len(texts[text])})
	}
	return nil
}

// role is the id of a role, or -1.
func (m *mmadaPrompts) role(name string) int {
	id, ok := m.tok.Special(name)
	if !ok {
		return -1
	}
	return int(id)
}

// recordedChat is golden.json's "chat", rendered with the LLaDA template that the fixture's tokenizer carries.
type recordedChat struct {
	Messages []struct{ Role, Content string } `json:"messages"`
	Text     string                           `json:"text"`
	IDs      []int                            `json:"ids"`
}

func (m *mmadaPrompts) chat() error {
	var c recordedChat
	if err := m.f.decode("chat", &c); err != nil {
		return err
	}
	var messages []engine.Message
	for _, x := range c.Messages {
		messages = append(messages, engine.Message{Role: x.Role, Text: x.Content})
	}
	i := slices.IndexFunc(token.Templates, func(t token.Template) bool { return t.Name == "llada" })
	text, err := token.Templates[i].Render(messages, false)
	if err != nil {
		return err
	}
	m.f.text("chat.text", text, c.Text)
	m.f.same("chat.ids", toInts(m.tok.AppendTokens(nil, text)), c.IDs, []int{len(c.IDs)})
	return nil
}

// recordedPrompt is an entry of golden.json's "prompts".
type recordedPrompt struct {
	Texts   []string `json:"texts"`
	Dropout float64  `json:"cond_dropout_prob"`
	MaxLen  int      `json:"max_seq_len"`
}

func (m *mmadaPrompts) recorded(name string) (recordedPrompt, error) {
	var all map[string]recordedPrompt
	if err := m.f.decode("prompts", &all); err != nil {
		return recordedPrompt{}, err
	}
	r, ok := all[name]
	if !ok {
		return r, fmt.Errorf("golden.json: prompts has no %q", name)
	}
	return r, nil
}

// rows returns the rows of a two-dimensional integer array.
func (m *mmadaPrompts) rows(name string) ([][]int, error) {
	v, shape, err := m.f.ints(name)
	if err != nil {
		return nil, err
	}
	if len(shape) != 2 {
		return nil, fmt.Errorf("%s has shape %v, want two dimensions", name, shape)
	}
	out := make([][]int, shape[0])
	for i := range out {
		out[i] = v[i*shape[1] : (i+1)*shape[1]]
	}
	return out, nil
}

// drawing is a padded picture request and its attention mask, 0 on pads.
func (m *mmadaPrompts) drawing(caption string, codes []int) (row, attention []int) {
	text := m.p.Caption(caption, m.maxText+1)
	padded := m.p.PadLeft(text, m.maxText+1)
	row = toInts(m.p.TextToImage(padded, toTokens(codes)))
	attention = make([]int, len(row))
	for i := range row {
		if i >= len(padded)-len(text) {
			attention[i] = 1
		}
	}
	return row, attention
}

// pictures checks prompt.t2i (as in training, some captions dropped) and prompt.t2i_gen.
func (m *mmadaPrompts) pictures() error {
	codes, err := m.rows("prompt.image_ids_masked")
	if err != nil {
		return err
	}
	labels, err := m.rows("prompt.image_labels")
	if err != nil {
		return err
	}
	drop, _, err := m.f.float64s("prompt.t2i.noise.dropout_u.00")
	if err != nil {
		return err
	}
	for _, name := range []string{"t2i", "t2i_gen"} {
		r, err := m.recorded(name)
		if err != nil {
			return err
		}
		if len(r.Texts) > len(codes) || len(r.Texts) > len(drop) || len(codes) != len(labels) {
			return fmt.Errorf("prompts.%s: %d texts, %d pictures, %d labels, %d draws", name, len(r.Texts), len(codes), len(labels), len(drop))
		}
		var got, attention, want []int
		for i, text := range r.Texts {
			if r.Dropout > 0 && drop[i] < r.Dropout {
				text = ""
			}
			row, seen := m.drawing(text, codes[i])
			got, attention = append(got, row...), append(attention, seen...)
			target := toInts(m.p.TextToImage(toTokens(row[:m.maxText+1]), toTokens(labels[i])))
			for j := range target {
				if seen[j] == 0 {
					target[j] = -100
				}
			}
			want = append(want, target...)
		}
		m.f.equal("prompt."+name+".ids", got)
		m.f.equal("prompt."+name+".attention_mask", attention)
		if name == "t2i" {
			m.f.equal("prompt.t2i.labels", want)
		}
	}
	return nil
}

// headerEnd is how many of the first n ids reach to the last end of a header, which is included; 0: there is none.
func (m *mmadaPrompts) headerEnd(row []engine.Token) int {
	end, _ := m.tok.Special("end_header")
	for i, t := range slices.Backward(row) {
		if t == end {
			return i + 1
		}
	}
	return 0
}

// words checks prompt.lm and prompt.lm_chat: rows of text padded with EOS.
func (m *mmadaPrompts) words() error {
	for _, name := range []string{"lm", "lm_chat"} {
		r, err := m.recorded(name)
		if err != nil {
			return err
		}
		var got, mask []int
		for _, text := range r.Texts {
			row := m.p.PadRight(m.p.Begin(m.tok.AppendTokens(nil, text)), r.MaxLen)
			got = append(got, toInts(row)...)
			mask = append(mask, ones(r.MaxLen, m.headerEnd(row))...)
		}
		m.f.equal("prompt."+name+".ids", got)
		m.f.equal("prompt."+name+".labels", got)
		if name == "lm" {
			m.f.equal("prompt.lm.attention_mask", ones(len(got), len(got)))
		} else {
			m.f.equal("prompt.lm_chat.prompt_mask", mask)
		}
	}
	return nil
}

func ones(n, k int) []int {
	out := make([]int, n)
	for i := range min(k, n) {
		out[i] = 1
	}
	return out
}

// questions checks prompt.mmu, prompt.mmu_gen and prompt.r2i.
func (m *mmadaPrompts) questions() error {
	pictures, err := m.rows("prompt.image_ids")
	if err != nil {
		return err
	}
	for _, name := range []string{"mmu", "mmu_gen", "r2i"} {
		r, err := m.recorded(name)
		if err != nil {
			return err
		}
		if len(r.Texts) > len(pictures) {
			return fmt.Errorf("prompts.%s: %d texts, %d pictures", name, len(r.Texts), len(pictures))
		}
		var got, labels, mask []int
		for i, text := range r.Texts {
			codes := toTokens(pictures[i])
			chat := m.p.Begin(m.tok.AppendTokens(nil, text))
			if name == "r2i" {
				row := m.p.PadRight(m.p.Reason(chat, m.maxText+1), m.maxText+1)
				known := m.headerEnd(row)
				if known == 0 {
					known = len(row)
				}
				whole := toInts(m.p.TextToImage(row, codes))
				seen := ones(len(whole), known)
				seen[len(row)], seen[len(seen)-1] = 1, 1
				got, labels, mask = append(got, whole...), append(labels, whole...), append(mask, seen...)
				continue
			}
			// Training closes a text that was cut with EOS.
			row := m.p.PadRight(append(slices.Clone(chat[:min(len(chat), m.maxText-1)]), m.eos), m.maxText)
			whole := toInts(m.p.Question(codes, row))
			head := len(whole) - len(row)
			target := slices.Clone(whole)
			for j := range head {
				target[j] = -100
			}
			got, labels = append(got, whole...), append(labels, target...)
			if name == "mmu_gen" {
				mask = append(mask, ones(m.maxText, head)...) // the official mask is as long as the text alone
			} else {
				mask = append(mask, ones(len(whole), head+m.headerEnd(row))...)
			}
		}
		m.f.equal("prompt."+name+".ids", got)
		if name == "r2i" { // kept as 0.0 and 1.0
			seen := make([]float32, len(mask))
			for i, x := range mask {
				seen[i] = float32(x)
			}
			m.f.nearWithin("prompt.r2i.prompt_mask", "prompt.r2i.prompt_mask", seen, 0)
		} else {
			m.f.equal("prompt."+name+".prompt_mask", mask)
		}
		if name != "mmu_gen" {
			m.f.equal("prompt."+name+".labels", labels)
		}
	}
	return nil
}

// runs checks the prompts that the recorded runs were given.
func (m *mmadaPrompts) runs() error {
	pictures, err := m.rows("prompt.image_ids")
	if err != nil {
		return err
	}
	var chat recordedChat
	if err := m.f.decode("chat", &chat); err != nil {
		return err
	}
	for _, name := range sortedKeys(m.f.golden) {
		var run struct {
			Prompts []string `json:"prompts"`
		}
		if json.Unmarshal(m.f.golden[name], &run) != nil {
			continue // not a run
		}
		switch {
		case m.f.has(name + ".input_ids"):
			if err := m.drawingRun(name, run.Prompts); err != nil {
				return err
			}
		case m.f.has(name+".prompt") && len(name) > 3:
			want, err := m.rows(name + ".prompt")
			if err != nil {
				return err
			}
			var got []int
			for i := range want {
				row := toTokens(chat.IDs)
				if name[:4] == "mmu_" && i < len(pictures) {
					row = m.p.Question(toTokens(pictures[i]), row)
				}
				got = append(got, toInts(row)...)
			}
			m.f.equal(name+".prompt", got)
		}
	}
	return nil
}

// drawingRun checks the four prompt arrays of a text-to-image run: the codes are the run's own, the text is assembled.
func (m *mmadaPrompts) drawingRun(name string, captions []string) error {
	want, err := m.rows(name + ".input_ids")
	if err != nil {
		return err
	}
	if len(captions) != len(want) {
		return fmt.Errorf("%s: %d prompts, %d rows", name, len(captions), len(want))
	}
	var got, attention, plain, plainAttention []int
	for i, row := range want {
		if len(row) < m.maxText+3 {
			return fmt.Errorf("%s.input_ids: rows of %d, want at least %d", name, len(row), m.maxText+3)
		}
		codes := row[m.maxText+2 : len(row)-1]
		r, a := m.drawing(captions[i], codes)
		got, attention = append(got, r...), append(attention, a...)
		r, a = m.drawing("", codes)
		plain, plainAttention = append(plain, r...), append(plainAttention, a...)
	}
	m.f.equal(name+".input_ids", got)
	m.f.equal(name+".attention_mask", attention)
	if m.f.has(name + ".uncond_input_ids") {
		m.f.equal(name+".uncond_input_ids", plain)
		m.f.equal(name+".uncond_attention_mask", plainAttention)
	}
	return nil
}
