package token

import (
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"unmask/engine"
)

// vectors are tokenizer files and the results of the Python package, see testdata/vectors.py.
type vectors struct {
	Name      string          `json:"name"`
	Tokenizer json.RawMessage `json:"tokenizer"`
	Cases     [][3]any        `json:"cases"`
}

func readVectors(t testing.TB) []vectors {
	t.Helper()
	f, err := os.Open("testdata/vectors.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var v []vectors
	if err := json.NewDecoder(z).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v vectors) each(t testing.TB, f func(text string, ids []engine.Token, decoded string)) {
	t.Helper()
	for _, c := range v.Cases {
		text, ok := c[0].(string)
		if m, isHex := c[0].(map[string]any); isHex {
			b, err := hex.DecodeString(m["hex"].(string))
			if err != nil {
				t.Fatal(err)
			}
			text, ok = string(b), true
		}
		if !ok {
			t.Fatalf("%s: text %v", v.Name, c[0])
		}
		ids := []engine.Token{}
		for _, x := range c[1].([]any) {
			ids = append(ids, engine.Token(x.(float64)))
		}
		f(text, ids, c[2].(string))
	}
}

func TestEqualToPython(t *testing.T) {
	total := 0
	for _, v := range readVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			tok, err := Parse(v.Tokenizer)
			if err != nil {
				t.Fatal(err)
			}
			failed := 0
			v.each(t, func(text string, ids []engine.Token, decoded string) {
				total++
				for range 2 { // the second time from the cache
					if got := tok.AppendTokens(nil, text); !slices.Equal(got, ids) {
						failed++
						if failed < 12 {
							t.Errorf("%q:\n got %v\nwant %v", text, contents(tok, got), contents(tok, ids))
						}
						return
					}
				}
				if got := Text(tok.AppendText(nil, ids...)); got != decoded {
					failed++
					if failed < 12 {
						t.Errorf("decode %v: got %q, want %q", contents(tok, ids), got, decoded)
					}
				}
			})
			if failed > 0 {
				t.Errorf("%d of %d cases differ", failed, len(v.Cases))
			}
		})
	}
	if total < 2000 {
		t.Errorf("%d cases, want 2000", total)
	}
}

func contents(t *Tokenizer, ids []engine.Token) []string {
	var out []string
	for _, id := range ids {
		c, _ := t.Content(id)
		out = append(out, c)
	}
	return out
}

// TestFixtures compares with the tokenizer cases of the recorded fixtures where they are.
func TestFixtures(t *testing.T) {
	root := goldenRoot(t)
	for _, name := range []string{"llada", "llada_gqa"} {
		dir := os.DirFS(filepath.Join(root, name))
		tok, err := Open(fileSystem{dir}, "llada")
		if err != nil {
			t.Fatal(err)
		}
		var golden struct {
			Cases []struct {
				Text    string         `json:"text"`
				IDs     []engine.Token `json:"ids"`
				Decoded string         `json:"decoded"`
			} `json:"tokenizer_cases"`
		}
		readJSON(t, dir, "golden.json", &golden)
		for _, c := range golden.Cases {
			if got := tok.AppendTokens(nil, c.Text); !slices.Equal(got, c.IDs) {
				t.Errorf("%s: %q gives %v, want %v", name, c.Text, got, c.IDs)
			}
			if got := Text(tok.AppendText(nil, c.IDs...)); got != c.Decoded {
				t.Errorf("%s: %v gives %q, want %q", name, c.IDs, got, c.Decoded)
			}
		}
		if len(golden.Cases) == 0 {
			t.Errorf("%s: no cases", name)
		}
	}
}

// goldenRoot is the folder of the recorded fixtures.
func goldenRoot(t testing.TB) string {
	t.Helper()
	for _, dir := range []string{os.Getenv("UNMASK_GOLDEN"), "../testdata/golden"} {
		if _, err := os.Stat(filepath.Join(dir, "mmada", "golden.json")); dir != "" && err == nil {
			return dir
		}
	}
	t.Skip("no recorded fixtures at ../testdata/golden or UNMASK_GOLDEN")
	return ""
}

type fileSystem struct{ fs.FS }

func (f fileSystem) File(name string) ([]byte, error) { return fs.ReadFile(f.FS, name) }

func readJSON(t testing.TB, dir fs.FS, name string, to any) {
	t.Helper()
	data, err := fs.ReadFile(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, to); err != nil {
		t.Fatal(err)
	}
}

func TestMMaDA(t *testing.T) {
	dir := os.DirFS(filepath.Join(goldenRoot(t), "mmada"))
	tok, err := Open(fileSystem{dir}, "mmada")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Special map[string]engine.Token   `json:"special_ids"`
		Size    int                       `json:"len_text_tokenizer"`
		Mask    engine.Token              `json:"mask_token_id"`
		Texts   map[string][]engine.Token `json:"tokenized"`
		Chat    struct {
			Messages []struct{ Role, Content string }
			Text     string
			IDs      []engine.Token
		} `json:"chat"`
	}
	readJSON(t, dir, "golden.json", &golden)
	if tok.Size() != golden.Size {
		t.Errorf("size %d, want %d", tok.Size(), golden.Size)
	}
	roles := map[string]string{"<|soi|>": "soi", "<|eoi|>": "eoi", "<|sov|>": "sov", "<|eov|>": "eov", "<|t2i|>": "t2i", "<|mmu|>": "mmu",
		"<|t2v|>": "t2v", "<|v2v|>": "v2v", "<|lvg|>": "lvg", "[iPAD]": "ipad", "<|r2i|>": "r2i", "<|sot|>": "bos", "<|eot|>": "eos",
		"<|end_header_id|>": "end_header", "<|eot_id|>": "eot", "<|start_header_id|>": "start_header"}
	for name, want := range golden.Special {
		if got, ok := tok.Special(roles[name]); !ok || got != want {
			t.Errorf("%s is %d %v, want %d", name, got, ok, want)
		}
	}
	if got, _ := tok.Special("mask"); got != golden.Mask {
		t.Errorf("mask is %d, want %d", got, golden.Mask)
	}
	for text, want := range golden.Texts {
		if got := tok.AppendTokens(nil, text); !slices.Equal(got, want) {
			t.Errorf("%q gives %v, want %v", text, got, want)
		}
	}
	var messages []engine.Message
	for _, m := range golden.Chat.Messages {
		messages = append(messages, engine.Message{Role: m.Role, Text: m.Content})
	}
	if got, err := Templates[0].Render(messages, false); err != nil || got != golden.Chat.Text {
		t.Errorf("chat %q, want %q", got, golden.Chat.Text)
	}
	if got := tok.AppendTokens(nil, golden.Chat.Text); !slices.Equal(got, golden.Chat.IDs) {
		t.Errorf("chat %v, want %v", got, golden.Chat.IDs)
	}
	rendered, err := tok.Template().Render(messages, true)
	if err != nil || tok.Template().Name != "mmada" || !tok.Template().CanThink() ||
		!strings.HasSuffix(rendered, "?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n") {
		t.Errorf("template %q renders %q, %v", tok.Template().Name, rendered, err)
	}
	// The checkpoint's own template says the same as the row for checkpoints without one.
	own, err := Open(fileSystem{dir}, "llada")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := own.Template().Render(messages, false); err != nil || own.Template().Name != "jinja" || got != golden.Chat.Text {
		t.Errorf("the checkpoint's template renders %q, %v", got, err)
	}
}

func TestBroken(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{``, "unexpected end"},
		{`{}`, "model"},
		{`{"model":{"type":"Unigram"}}`, `"Unigram" is not supported`},
		{`{"model":{"type":"BPE","vocab":{"a":-1}}}`, "id -1 is outside"},
		{`{"model":{"type":"BPE","vocab":{"a":99999999}}}`, "id 99999999 is outside [0, 4194304)"},
		{`{"model":{"type":"BPE","vocab":{"a":1,"b":1}}}`, "id 1 is also that of"},
		{`{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}`, "number 0"},
		{`{"model":{"type":"BPE","vocab":{"a":0},"merges":["ab"]}}`, "two parts"},
		{`{"model":{"type":"BPE","vocab":{"a":0},"merges":[["a"]]}}`, "1 parts, want 2"},
		{`{"model":{"type":"BPE","vocab":{"a":0},"unk_token":"u"}}`, `"u" is not among the 1 entries`},
		{`{"model":{"type":"BPE","vocab":{"a":0},"dropout":0.1}}`, "dropout is 0.1"},
		{`{"model":{"type":"BPE","vocab":{"a":0}},"normalizer":{"type":"Precompiled"}}`, "Precompiled"},
		{`{"model":{"type":"BPE","vocab":{"a":0}},"pre_tokenizer":{"type":"UnicodeScripts"}}`, "UnicodeScripts"},
		{`{"model":{"type":"BPE","vocab":{"a":0}},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated"}}`, "missing closing"},
		{`{"model":{"type":"BPE","vocab":{"a":0}},"pre_tokenizer":{"type":"Split","pattern":{},"behavior":"Isolated"}}`, "neither a String nor a Regex"},
		{`{"model":{"type":"BPE","vocab":{"a":0}},"decoder":{"type":"CTC"}}`, "CTC"},
		{`{"model":{"type":"BPE","vocab":{"a":0}},"added_tokens":[{"id":5000000,"content":"x"}]}`, "id 5000000 is outside"},
		{`{"model":{"type":"WordPiece","vocab":{"a":0}}}`, `"[UNK]" is not among`},
	} {
		_, err := Parse([]byte(c.file))
		var fe *engine.FormatError
		if !errors.As(err, &fe) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.file, err, c.want)
		}
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{"ok": "ok", "\xff": "\uFFFD", "\xe2\x82": "\uFFFD", "\xe2\x82x": "\uFFFDx", "\xed\xa0\x80": "\uFFFD\uFFFD\uFFFD", "\xf0\x9f\x91\xf0": "\uFFFD\uFFFD"} {
		if got := Text([]byte(in)); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestAtomic(t *testing.T) {
	for in, want := range map[string]string{`a?+b`: `(?>a?)b`, `[^\]x]++`: `(?>[^\]x]+)`, `\p{L}*+|(?:ab)++`: `(?>\p{L}*)|(?>(?:ab)+)`, `a+b? c*`: `a+b? c*`, `\++`: `\++`} {
		if got := atomic(in); got != want {
			t.Errorf("atomic(%s) = %s, want %s", in, got, want)
		}
	}
}

// TestLongWord fails by its time limit when merging is quadratic.
func TestLongWord(t *testing.T) {
	tok, err := Parse(readVectors(t)[0].Tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	ids := tok.AppendTokens(nil, strings.Repeat("the lazy ", 100_000)+strings.Repeat("abcdefgh", 100_000))
	if len(ids) < 100_000 {
		t.Errorf("%d tokens", len(ids))
	}
}

func FuzzParse(f *testing.F) {
	for _, parts := range []string{
		`"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Digits"},{"type":"ByteLevel"}]},"decoder":{"type":"ByteLevel"}`,
		`"normalizer":{"type":"Replace","pattern":{"String":" "},"content":"_"},"pre_tokenizer":{"type":"Metaspace","replacement":"_"}`,
		`"pre_tokenizer":{"type":"Split","pattern":{"Regex":"a?+b|\\s+"},"behavior":"MergedWithNext","invert":true}`,
		`"normalizer":{"type":"BertNormalizer"},"pre_tokenizer":{"type":"BertPreTokenizer"},"decoder":{"type":"WordPiece"}`,
	} {
		f.Add([]byte(`{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"_":4},"merges":["a b"],"unk_token":"_"},`+parts+`}`), "ab 1b")
	}
	f.Add([]byte(`{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},"added_tokens":[{"id":3,"content":"ba","lstrip":true}]}`), "ab ba")
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		tok, err := Parse(data)
		if err != nil {
			return
		}
		for _, id := range tok.AppendTokens(nil, text) {
			if id < 0 || int(id) >= tok.Size() {
				t.Fatalf("id %d of %d", id, tok.Size())
			}
		}
	})
}

func FuzzTokens(f *testing.F) {
	var toks []*Tokenizer
	for _, v := range readVectors(f) {
		tok, err := Parse(v.Tokenizer)
		if err != nil {
			f.Fatal(err)
		}
		toks = append(toks, tok)
	}
	f.Add("I'll 12 \u0301<|eot_id|>", byte(0))
	f.Add("\xff\xfe  \r\n x", byte(3))
	f.Fuzz(func(t *testing.T, text string, which byte) {
		tok := toks[int(which)%len(toks)]
		ids := tok.AppendTokens(nil, text)
		if int(which)%len(toks) < 4 && int(which)%len(toks) > 0 { // byte level without a normalizer: nothing is lost
			if got := string(tok.AppendText(nil, ids...)); got != Text([]byte(text)) && !strings.Contains(text, "é!") {
				t.Fatalf("%q comes back as %q", text, got)
			}
		}
	})
}

func BenchmarkTokens(b *testing.B) {
	tok, err := Parse(readVectors(b)[0].Tokenizer)
	if err != nil {
		b.Fatal(err)
	}
	text := strings.Repeat("The quick brown fox can't jump over 12 lazy dogs. Привет, как дела?\n", 50)
	b.SetBytes(int64(len(text)))
	var ids []engine.Token
	for b.Loop() {
		ids = tok.AppendTokens(ids[:0], text)
	}
}
