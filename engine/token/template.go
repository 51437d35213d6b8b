package token

import (
	"fmt"
	"slices"
	"strings"

	"unmask/engine"
)

// Template says how a conversation is written out before it is tokenized: by the checkpoint's own Jinja template, or by
// one of the rows of [Templates].
type Template struct {
	Name   string // "jinja", or of a row: "llada", "mmada", "chatml", "ling"
	Begin  string // before everything
	Open   string // before a role's name
	Close  string // after a role's name
	End    string // after a message
	System string // text of the system message put first when there is none; "": none
	// Thinking is put before the last user text to ask for <think> reasoning; "" when the model has no such form.
	Thinking string
	// ThinkFlag is true where the template itself asks for reasoning, by the variables enable_thinking and
	// thinking_option.
	ThinkFlag bool

	// SystemThinking is put at the head of the system message, which is made where there is none, to ask for reasoning.
	SystemThinking string

	roles map[string]string // names that the template gives to roles; nil: their own
	trim  bool              // white space around texts is dropped
	jinja []statement
	names map[string]any // "bos_token" and the like
}

// mmadaThinking is the sentence that MMaDA was trained with.
const mmadaThinking = "You should first think about the reasoning process in the mind and then provide the user with the answer. " +
	"The reasoning process is enclosed within <think> </think> tags, i.e. <think> reasoning process here </think> answer here\n"

// Templates lists the forms for checkpoints that carry no template.
var Templates = []Template{
	{Name: "llada", Begin: "<|startoftext|>", Open: "<|start_header_id|>", Close: "<|end_header_id|>\n\n", End: "<|eot_id|>", trim: true},
	{Name: "mmada", Begin: "<|startoftext|>", Open: "<|start_header_id|>", Close: "<|end_header_id|>\n", End: "<|eot_id|>", Thinking: mmadaThinking, trim: true},
	{Name: "chatml", Open: "<|im_start|>", Close: "\n", End: "<|im_end|>\n"},
	{Name: "gemma", Begin: "<bos>", Open: "<|turn>", Close: "\n", End: "<turn|>\n", roles: map[string]string{"assistant": "model"}, trim: true, SystemThinking: "<|think|>\n", ThinkFlag: true},
	{Name: "ling", Open: "<role>", Close: "</role>", End: "<|role_end|>", roles: map[string]string{"system": "SYSTEM", "user": "HUMAN", "assistant": "ASSISTANT"}},
}

// row returns the named row of Templates.
func row(name string) Template {
	return Templates[slices.IndexFunc(Templates, func(t Template) bool { return t.Name == name })]
}

// chooseTemplate takes the checkpoint's own template where it has one that this package understands. An MMaDA checkpoint
// always gets the single line break of its training, also where it carries LLaDA's template.
func (t *Tokenizer) chooseTemplate(family, chat string, names map[string]any) (Template, error) {
	if family == "mmada" {
		return row("mmada"), nil
	}
	if chat != "" {
		nodes, err := parseJinja(chat)
		if err != nil {
			return Template{}, &engine.FormatError{Format: "tokenizer", Path: "tokenizer_config.json", Item: "chat_template", Err: err}
		}
		return Template{Name: "jinja", jinja: nodes, names: names,
			ThinkFlag: strings.Contains(chat, "enable_thinking") || strings.Contains(chat, "thinking_option")}, nil
	}
	switch {
	case t.has("<|im_start|>"):
		return row("chatml"), nil
	case t.has("<role>") && t.has("<|role_end|>"):
		return row("ling"), nil
	case t.has("<|turn>") && t.has("<turn|>"):
		return row("gemma"), nil
	}
	return row("llada"), nil
}

func (t *Tokenizer) has(content string) bool { _, ok := t.ids[content]; return ok }

// Template is the form of conversations that the checkpoint wants.
func (t *Tokenizer) Template() Template { return t.template }

// CanThink reports whether reasoning can be asked for.
func (t Template) CanThink() bool { return t.Thinking != "" || t.ThinkFlag }

// Render writes messages out and opens the answer. An empty role is "user". With think reasoning is asked for. The error
// is that of a Jinja template that refuses the messages or is not understood.
func (t Template) Render(messages []engine.Message, think bool) (string, error) {
	return t.render(messages, think, "", true)
}

// RenderPictures is Render for messages with pictures: place, the token that stands for one, is put before the text of a
// message that has one, by the checkpoint's template where it knows how.
func (t Template) RenderPictures(messages []engine.Message, think bool, place string) (string, error) {
	return t.render(messages, think, place, true)
}

// Closed is Render without the opened answer.
func (t Template) Closed(messages []engine.Message, think bool) (string, error) {
	return t.render(messages, think, "", false)
}

func (t Template) render(messages []engine.Message, think bool, place string, open bool) (string, error) {
	messages = slices.Clone(messages)
	last := -1
	for i := range messages {
		if messages[i].Role == "" {
			messages[i].Role = "user"
		}
		if messages[i].Role == "user" {
			last = i
		}
		if t.trim {
			messages[i].Text = strings.TrimSpace(messages[i].Text)
		}
	}
	if think && last >= 0 {
		messages[last].Text = t.Thinking + messages[last].Text
	}
	if t.Name == "jinja" {
		return t.run(messages, think, place, open)
	}
	if think && t.SystemThinking != "" {
		if len(messages) == 0 || messages[0].Role != "system" {
			messages = append([]engine.Message{{Role: "system"}}, messages...)
		}
		messages[0].Text = t.SystemThinking + messages[0].Text
	}
	var b strings.Builder
	b.WriteString(t.Begin)
	if t.System != "" && (len(messages) == 0 || messages[0].Role != "system") {
		t.write(&b, "system", t.System)
	}
	for _, m := range messages {
		if m.Image != nil {
			m.Text = place + m.Text
		}
		t.write(&b, m.Role, m.Text)
	}
	if open {
		b.WriteString(t.Open + t.role("assistant") + t.Close)
	}
	return b.String(), nil
}

func (t Template) role(name string) string {
	if n, ok := t.roles[name]; ok {
		return n
	}
	return name
}

func (t Template) write(b *strings.Builder, role, text string) {
	b.WriteString(t.Open)
	b.WriteString(t.role(role))
	b.WriteString(t.Close)
	b.WriteString(text)
	b.WriteString(t.End)
}

// run renders the checkpoint's template. A message with a picture is given to it in parts where place is asked for.
func (t Template) run(messages []engine.Message, think bool, place string, open bool) (string, error) {
	list := make([]any, len(messages))
	for i, m := range messages {
		list[i] = newDict("role", m.Role, "content", m.Text)
		if m.Image != nil && place != "" {
			list[i] = newDict("role", m.Role, "content", []any{newDict("type", "image"), newDict("type", "text", "text", m.Text)})
		}
	}
	vars := map[string]any{"messages": list, "add_generation_prompt": open, "enable_thinking": think, "thinking_option": "off"}
	if think {
		vars["thinking_option"] = "on"
	}
	for k, v := range t.names {
		vars[k] = v
	}
	s, err := renderJinja(t.jinja, vars)
	if err != nil {
		return "", fmt.Errorf("chat template: %w", err)
	}
	return s, nil
}
