package token

import (
	"compress/gzip"
	"encoding/json"
	"image"
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
		{"{% call f() %}{% endcall %}", `"call" is unknown`},
		{"{% macro f( %}{% endmacro %}", `a parameter is missing`},
		{"{% macro f() %}", `ends with ""`},
		{"{% macro f(1) %}{% endmacro %}", `a parameter is missing`},
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
		{"{{ range(1, 2, 0) }}", "range"},
		{"{% macro f(a) %}{{ f(a) }}{% endmacro %}{{ f(1) }}", "calls itself"},
		{"{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", "2 arguments"},
		{"{% macro f(a) %}{% endmacro %}{{ f(b=2) }}", "no parameter b"},
		{"{{ [1] | map('explode') | list }}", `"explode" is unknown`},
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

// TestMacros renders what templates of models with tools are written in.
func TestMacros(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"{% macro f(a, b='x') %}[{{ a }}{{ b }}]{% endmacro %}{{ f(1) }}{{ f(2, 3) }}{{ f(4, b=5) }}{{ f() }}", "[1x][23][45][x]"},
		{"{% macro down(n) %}{{ n }}{% if n > 0 %}{{ down(n - 1) }}{% endif %}{% endmacro %}{{ down(3) }}", "3210"},
		{"{% set v = 'top' %}{% macro f() %}{{ v }}{{ x }}{% set v = 'own' %}{{ v }}{% endmacro %}{% for x in [1] %}{{ f() }}{% endfor %}{{ v }}", "topowntop"},
		{"{% macro strip(text) %}{% set ns = namespace(r='') %}{% for part in text.split(']') %}{% set ns.r = ns.r + part.split('[')[0] %}{% endfor %}{{- ns.r | trim -}}{% endmacro %}{{ strip(' a [b] c ') }}", "a  c"},
		{"{% for k, v in {'b': 1, 'A': 2} | dictsort %}{{ k }}{{ v }},{% endfor %}", "A2,b1,"},
		{"{{ ['a', 'b'] | map('upper') | join('+') }}", "A+B"},
		{"{% for i in range(3, -1, -2) %}{{ i }}{% endfor %}{% for i in range(1, 6, 2) %}{{ i }}{% endfor %}", "31135"},
	} {
		nodes, err := parseJinja(c.source)
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		if got, err := renderJinja(nodes, nil); err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.source, got, err, c.want)
		}
	}
}

// gemmaLike is a template in the manner of Gemma 4: thoughts at the head of the system turn, pictures as parts, thoughts
// stripped from earlier turns.
const gemmaLike = `{%- macro plain(text) -%}
    {%- set ns = namespace(kept='') -%}
    {%- for piece in text.split('<channel|>') -%}{%- set ns.kept = ns.kept + piece.split('<|channel>')[0] -%}{%- endfor -%}
    {{- ns.kept | trim -}}
{%- endmacro -%}
{{- bos_token -}}
{%- set rest = messages -%}
{%- if enable_thinking or messages[0]['role'] in ['system', 'developer'] -%}
    {{- '<|turn>system\n' -}}
    {%- if enable_thinking %}{{ '<|think|>\n' }}{% endif -%}
    {%- if messages[0]['role'] == 'system' -%}{{- messages[0]['content'] | trim -}}{%- set rest = messages[1:] -%}{%- endif -%}
    {{- '<turn|>\n' -}}
{%- endif -%}
{%- for message in rest -%}
    {%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}
    {{- '<|turn>' + role + '\n' -}}
    {%- if message['content'] is string -%}
        {{- plain(message['content']) if role == 'model' else message['content'] | trim -}}
    {%- elif message['content'] is sequence -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'text' -%}{{- item['text'] | trim -}}{%- elif item['type'] == 'image' -%}{{- '<|image|>' -}}{%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{- '<turn|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|turn>model\n' -}}{%- endif -%}`

// TestGemma renders conversations with pictures and thoughts, by the fixed form and by a checkpoint's own template, which
// agree.
func TestGemma(t *testing.T) {
	nodes, err := parseJinja(gemmaLike)
	if err != nil {
		t.Fatal(err)
	}
	picture := image.NewGray(image.Rect(0, 0, 1, 1))
	for _, tmpl := range []Template{row("gemma"), {Name: "jinja", jinja: nodes, names: map[string]any{"bos_token": "<bos>"}, ThinkFlag: true}} {
		for _, c := range []struct {
			messages []engine.Message
			think    bool
			want     string
		}{
			{[]engine.Message{{Text: " Hi "}}, false, "<bos><|turn>user\nHi<turn|>\n<|turn>model\n"},
			{[]engine.Message{{Role: "user", Text: "Hi"}}, true, "<bos><|turn>system\n<|think|>\n<turn|>\n<|turn>user\nHi<turn|>\n<|turn>model\n"},
			{[]engine.Message{{Role: "system", Text: "Be kind."}, {Role: "user", Text: "a"}, {Role: "assistant", Text: "b"}, {Role: "user", Text: "c", Image: picture}}, true,
				"<bos><|turn>system\n<|think|>\nBe kind.<turn|>\n<|turn>user\na<turn|>\n<|turn>model\nb<turn|>\n<|turn>user\n<|image|>c<turn|>\n<|turn>model\n"},
		} {
			got, err := tmpl.RenderPictures(c.messages, c.think, "<|image|>")
			if err != nil || got != c.want {
				t.Errorf("%s: %q, %v; want %q", tmpl.Name, got, err, c.want)
			}
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
