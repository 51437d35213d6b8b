package token

import (
	"strings"

	"unmask/engine"
)

// Template says how a conversation is written out before it is tokenized.
type Template struct {
	Name   string // "llada", "mmada", "chatml"
	Begin  string // before everything
	Open   string // before a role's name
	Close  string // after a role's name
	End    string // after a message
	System string // text of the system message put first when there is none; "": none
	// Thinking is put before the last user text to ask for <think> reasoning; "" when the model has no such form.
	Thinking string
	// NoThinking is put after the opened answer unless thinking is asked for: an empty thought.
	NoThinking string
	trim       bool // white space around texts is dropped
	thoughts   bool // thoughts of earlier answers are dropped, those after the last question written in full (Qwen3)
}

// mmadaThinking is the sentence that MMaDA was trained with.
const mmadaThinking = "You should first think about the reasoning process in the mind and then provide the user with the answer. " +
	"The reasoning process is enclosed within <think> </think> tags, i.e. <think> reasoning process here </think> answer here\n"

// Templates lists the known forms.
var Templates = []Template{
	{Name: "llada", Begin: "<|startoftext|>", Open: "<|start_header_id|>", Close: "<|end_header_id|>\n\n", End: "<|eot_id|>", trim: true},
	{Name: "mmada", Begin: "<|startoftext|>", Open: "<|start_header_id|>", Close: "<|end_header_id|>\n", End: "<|eot_id|>", Thinking: mmadaThinking, trim: true},
	{Name: "chatml", Open: "<|im_start|>", Close: "\n", End: "<|im_end|>\n", System: "You are a helpful assistant."},
	{Name: "qwen3", Open: "<|im_start|>", Close: "\n", End: "<|im_end|>\n", NoThinking: "<think>\n\n</think>\n\n", thoughts: true},
}

// chooseTemplate picks by family, then by what the checkpoint's own template says. An MMaDA checkpoint gets the single line
// break of its training even where it carries LLaDA's template.
func chooseTemplate(family, chat, thinking string) Template {
	name := "llada"
	switch {
	case family == "mmada":
		name = "mmada"
	case strings.Contains(chat, "<|im_start|>") && strings.Contains(chat, "<think>"):
		name = "qwen3"
	case strings.Contains(chat, "<|im_start|>"):
		name = "chatml"
	case strings.Contains(chat, "<|end_header_id|>\n'") || strings.Contains(chat, "<|end_header_id|>\\n'"):
		name = "mmada"
	}
	var t Template
	for _, row := range Templates {
		if row.Name == name {
			t = row
		}
	}
	if name == "chatml" && !strings.Contains(chat, t.System) {
		t.System = ""
	}
	if thinking != "" {
		t.Thinking = thinking
	}
	return t
}

// Template is the form of conversations that the checkpoint wants.
func (t *Tokenizer) Template() Template { return t.template }

// Render writes messages out and opens the answer. An empty role is "user". With think the thinking sentence is put before
// the last user text.
func (t Template) Render(messages []engine.Message, think bool) string {
	var b strings.Builder
	b.WriteString(t.Begin)
	last := -1
	for i, m := range messages {
		if m.Role == "user" || m.Role == "" {
			last = i
		}
	}
	if t.System != "" && (len(messages) == 0 || messages[0].Role != "system") {
		t.write(&b, "system", t.System)
	}
	for i, m := range messages {
		role, text := m.Role, m.Text
		if role == "" {
			role = "user"
		}
		if t.trim {
			text = strings.TrimSpace(text)
		}
		if i == last && think {
			text = t.Thinking + text
		}
		if t.thoughts && role == "assistant" {
			text = thought(text, i > last, i == len(messages)-1)
		}
		t.write(&b, role, text)
	}
	b.WriteString(t.Opening(think))
	return b.String()
}

// Opening is what Render ends with: the header of the answer, and the empty thought where the form has one and none is
// wanted.
func (t Template) Opening(think bool) string {
	s := t.Open + "assistant" + t.Close
	if !think {
		s += t.NoThinking
	}
	return s
}

// thought rewrites an earlier answer as Qwen3's template does: without its thought before the last question, and with one,
// empty if need be, when it is the last message after it.
func thought(text string, after, final bool) string {
	inner := ""
	if i := strings.LastIndex(text, "</think>"); i >= 0 {
		inner = strings.TrimRight(text[:strings.Index(text, "</think>")], "\n")
		if j := strings.LastIndex(inner, "<think>"); j >= 0 {
			inner = inner[j+len("<think>"):]
		}
		inner = strings.Trim(inner, "\n")
		text = strings.TrimLeft(text[i+len("</think>"):], "\n")
	}
	if after && (final || inner != "") {
		return "<think>\n" + inner + "\n</think>\n\n" + strings.TrimLeft(text, "\n")
	}
	return text
}

func (t Template) write(b *strings.Builder, role, text string) {
	b.WriteString(t.Open)
	b.WriteString(role)
	b.WriteString(t.Close)
	b.WriteString(text)
	b.WriteString(t.End)
}
