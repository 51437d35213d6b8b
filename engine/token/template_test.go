package token

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"unmask/engine"
)

// renderings are chat templates and what jinja2 made of conversations, see testdata/templates.py.
type renderings struct {
	Name     string `json:"name"`
	Template string `json:"template"`
	Cases    []struct {
		Messages []struct{ Role, Content string } `json:"messages"`
		Think    bool                             `json:"think"`
		Text     *string                          `json:"text"`
	} `json:"cases"`
}

func readRenderings(t testing.TB) []renderings {
	t.Helper()
	f, err := os.Open("testdata/templates.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var v []renderings
	if err := json.NewDecoder(z).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTemplatesEqualToJinja(t *testing.T) {
	total := 0
	for _, v := range readRenderings(t) {
		nodes, err := parseJinja(v.Template)
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		tmpl := Template{Name: "jinja", jinja: nodes, names: map[string]any{"bos_token": "<s>", "eos_token": "</s>"}}
		for i, c := range v.Cases {
			total++
			var messages []engine.Message
			for _, m := range c.Messages {
				messages = append(messages, engine.Message{Role: m.Role, Text: m.Content})
			}
			got, err := tmpl.Render(messages, c.Think)
			if c.Text == nil && err == nil {
				t.Errorf("%s %d: %q, want an error", v.Name, i, got)
			} else if c.Text != nil && (err != nil || got != *c.Text) {
				t.Errorf("%s %d:\n got %q, %v\nwant %q", v.Name, i, got, err, *c.Text)
			}
		}
	}
	if total < 100 {
		t.Errorf("%d cases", total)
	}
}

// TestRecordedChats renders the conversations that fixtures recorded with the templates of their checkpoints.
func TestRecordedChats(t *testing.T) {
	root := goldenRoot(t)
	seen := 0
	for _, name := range []string{"llada2-mini", "dllm-a2d-qwen3-mdlm", "dllm-a2d-qwen3-bd3lm"} {
		dir := os.DirFS(filepath.Join(root, name))
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			continue
		}
		tok, err := Open(fileSystem{dir}, name)
		if err != nil {
			t.Fatal(err)
		}
		var golden struct {
			Cases []struct {
				Messages []struct{ Role, Content string } `json:"messages"`
				Open     *bool                            `json:"add_generation_prompt"`
				Think    bool                             `json:"enable_thinking"`
				Text     string                           `json:"text"`
				IDs      []engine.Token                   `json:"ids"`
			} `json:"chat_cases"`
		}
		readJSON(t, dir, "golden.json", &golden)
		for i, c := range golden.Cases {
			seen++
			var messages []engine.Message
			for _, m := range c.Messages {
				messages = append(messages, engine.Message{Role: m.Role, Text: m.Content})
			}
			render := tok.Template().Render
			if c.Open != nil && !*c.Open {
				render = tok.Template().Closed
			}
			got, err := render(messages, c.Think)
			if err != nil || got != c.Text {
				t.Errorf("%s %d: %q, %v; want %q", name, i, got, err, c.Text)
			}
			if ids := tok.AppendTokens(nil, got); !slices.Equal(ids, c.IDs) {
				t.Errorf("%s %d: %v, want %v", name, i, ids, c.IDs)
			}
		}
	}
	t.Logf("%d conversations", seen)
}

func TestBrokenTemplates(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"{{ x", "not closed"},
		{"{% if x %}", `ends with ""`},
		{"{% endif %}", "closes nothing"},
		{"{% for x of y %}{% endfor %}", "has no in"},
		{"{% macro f() %}{% endmacro %}", `"macro" is unknown`},
		{"{{ x | explode }}", `"explode" is unknown`},
		{"{{ x is odd }}", `"odd" is unknown`},
		{"{{ 'a }}", "not closed"},
		{"{{ a ? b }}", "character"},
		{"{{ a b }}", "not understood"},
		{"{{ [1, }}", "not understood"},
		{"{{ f( }}", "not understood"},
		{strings.Repeat("{% if x %}", 100), "nested more than 64"},
		{"{{ " + strings.Repeat("(", 100) + " }}", "nested more than 64"},
		{strings.Repeat("x", maxTemplate+1), "bytes long, at most"},
	} {
		if _, err := parseJinja(c.source); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40s: error %v, want %q", c.source, err, c.want)
		}
	}
	for _, c := range []struct{ source, want string }{
		{"{{ f() }}", `"f" is unknown`},
		{"{{ 'a'.eval() }}", `"eval" of a string`},
		{"{{ 1 // 0 }}", "division by 0"},
		{"{{ 'a' + 1 }}", "operator +"},
		{"{% for x in 5 %}{% endfor %}", "has no items"},
		{"{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor %}{% endfor %}{% endfor %}", "steps"},
		{"{% set ns = namespace(x='xxxxxxxx') %}{% for a in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", "steps"},
		{"{{ range(99999999999) }}", "range"},
	} {
		nodes, err := parseJinja(c.source)
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		if _, err := renderJinja(nodes, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40s: error %v, want %q", c.source, err, c.want)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, v := range readRenderings(f) {
		f.Add(v.Template)
	}
	f.Fuzz(func(_ *testing.T, source string) {
		nodes, err := parseJinja(source)
		if err != nil {
			return
		}
		tmpl := Template{Name: "jinja", jinja: nodes}
		_, _ = tmpl.Render([]engine.Message{{Role: "user", Text: "a"}, {Role: "assistant", Text: "b"}}, false)
	})
}
