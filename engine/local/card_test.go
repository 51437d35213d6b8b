package local

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"unmask/engine"
	"unmask/engine/models"
)

// checkpoints are the fixture folders that hold a model.
func checkpoints(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(golden)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		for _, file := range []string{"config.json", "adapter_config.json"} {
			if _, err := os.Stat(filepath.Join(golden, e.Name(), file)); err == nil && e.Name() != "magvitv2" {
				out = append(out, e.Name())
				break
			}
		}
	}
	return out
}

// TestDescribeIsWhatLoads: what a card says without reading weights is what the loaded model is.
func TestDescribeIsWhatLoads(t *testing.T) {
	for _, dir := range checkpoints(t) {
		t.Run(dir, func(t *testing.T) {
			ref := engine.ModelRef{Path: filepath.Join(golden, dir), DType: "f32"}
			card, err := Describe(t.Context(), nil, ref)
			if err != nil {
				var p *engine.PanicError
				if errors.As(err, &p) {
					t.Logf("%s", p.Stack)
				}
				t.Fatal(err)
			}
			spec, err := session(t, nil).Load(t.Context(), ref, nil)
			if err != nil {
				t.Fatal(err)
			}
			a, b := card.Spec, spec
			if b.Bytes < card.Need["f32"] || b.Bytes > card.Need["f32"]*3/2+1<<16 {
				t.Errorf("needs %d bytes by its card, takes %d", card.Need["f32"], b.Bytes)
			}
			a.Bytes, b.Bytes, a.Device, b.Device, a.Hash, b.Hash, a.Doubts, b.Doubts = 0, 0, "", "", "", "", nil, nil
			if !reflect.DeepEqual(a, b) {
				t.Errorf("card %+v\nmodel %+v", a, b)
			}
			if card.Family != spec.Family || card.Params < 10000 || card.Disk < card.Params || card.Files < 1 || card.Stored == "" || card.Work <= 0 {
				t.Errorf("%+v", card)
			}
			for i, as := range engine.Types {
				if i > 0 && card.Need[as] > card.Need[engine.Types[i-1]] || card.Need[as] <= 0 {
					t.Errorf("%s needs %d, %s %d", as, card.Need[as], engine.Types[max(i-1, 0)], card.Need[engine.Types[max(i-1, 0)]])
				}
			}
			for _, d := range card.Doubts {
				t.Errorf("doubts %s: %s", d.Item, d.Reason)
			}
		})
	}
}

// bent is a fixture folder on disk with changed files.
func bent(t *testing.T, dir string, change func(files fstest.MapFS)) string {
	t.Helper()
	files := fstest.MapFS{}
	folder(t, filepath.Join(golden, dir), "", files)
	change(files)
	out := t.TempDir()
	if err := os.CopyFS(out, files); err != nil {
		t.Fatal(err)
	}
	return out
}

// edit changes keys of a JSON object; nil deletes.
func edit(t *testing.T, files fstest.MapFS, name string, keys map[string]any) {
	t.Helper()
	all := map[string]any{}
	if f := files[name]; f != nil {
		if err := json.Unmarshal(f.Data, &all); err != nil {
			t.Fatal(err)
		}
	}
	for k, v := range keys {
		all[k] = v
		if v == nil {
			delete(all, k)
		}
	}
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	files[name] = &fstest.MapFile{Data: data}
}

// TestDoubts: the commonest causes of garbage are named.
func TestDoubts(t *testing.T) {
	for _, c := range []struct {
		name, dir string
		change    func(files fstest.MapFS)
		item      string
		words     []string
	}{
		{"a mask of another model", "llada", func(f fstest.MapFS) { edit(t, f, "config.json", map[string]any{"mask_token_id": 17}) }, "mask", []string{"masks with 17", "572", "<|mdm_mask|>"}},
		{"a template of another family", "llada", func(f fstest.MapFS) {
			f["chat_template.jinja"] = &fstest.MapFile{Data: []byte("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")}
		}, "template", []string{"<|im_start|> <|im_end|>"}},
		{"a template that opens no answer", "llada", func(f fstest.MapFS) {
			f["chat_template.jinja"] = &fstest.MapFile{Data: []byte("{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}")}
		}, "template", []string{"[assistant]"}},
		{"a template that refuses", "llada", func(f fstest.MapFS) {
			f["chat_template.jinja"] = &fstest.MapFile{Data: []byte("{{ raise_exception('no questions') }}")}
		}, "template", []string{"no questions"}},
		{"no frequencies", "diffusionbert", func(f fstest.MapFS) { delete(f, "word_freq/bert-base-uncased_lm1b.pt") }, "word frequencies", []string{"word_freq"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			card, err := Describe(t.Context(), nil, engine.ModelRef{Path: bent(t, c.dir, c.change)})
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(card.Doubts, func(d engine.Doubt) bool { return d.Item == c.item })
			if i < 0 {
				t.Fatalf("doubts %v, want one of %s", card.Doubts, c.item)
			}
			for _, w := range c.words {
				if !strings.Contains(card.Doubts[i].Reason, w) {
					t.Errorf("%q is not in %q", w, card.Doubts[i].Reason)
				}
			}
		})
	}
}

// TestWrongShiftIsFound reads the trained embedded model as it is and one position off.
func TestWrongShiftIsFound(t *testing.T) {
	s, _, _ := openTiny(t)
	answer := collect(t, s, engine.Job{Task: engine.Chat, Messages: user("What colour is a banana?"), Options: engine.Options{Length: 16, Steps: 16}}).finished.Text
	for _, shift := range []bool{false, true} {
		s.model.denoiser.(*models.Model).Stack.Config.Shift = shift
		head, err := s.model.chat(engine.Job{Messages: user("What colour is a banana?")})
		if err != nil {
			t.Fatal(err)
		}
		doubts, err := s.model.doubtText(t.Context(), head, s.model.tok.AppendTokens(nil, answer), nil)
		if err != nil {
			t.Fatal(err)
		}
		if found := len(doubts) == 1 && doubts[0].Item == "shift"; found != shift || !shift && len(doubts) > 0 {
			t.Errorf("shifted %t: doubts %v", shift, doubts)
		}
	}
}

// TestRandomWeightsAreNoticed: a model that knows nothing is said to.
func TestRandomWeightsAreNoticed(t *testing.T) {
	spec, err := session(t, nil).Load(t.Context(), engine.ModelRef{Path: filepath.Join(golden, "llada"), DType: "f32"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(spec.Doubts) != 1 || spec.Doubts[0].Item != "knowledge" {
		t.Errorf("doubts %v", spec.Doubts)
	}
}

func TestLicence(t *testing.T) {
	for _, c := range []struct{ file, text, want string }{
		{"README.md", "---\nlicense: mit\ntags:\n- x\n---\n# Model", "mit"},
		{"README.md", "---\nlicense: other\nlicense_name: llada-licence-1.0\n---", "llada-licence-1.0"},
		{"README.md", "# Model\n\nNothing about it.", ""},
		{"CARD.md", "# Card\n\n- **Licence**: BSD-3-Clause\n", "BSD-3-Clause"},
		{"LICENSE", "                                 Apache License\n                           Version 2.0", "apache-2.0"},
		{"LICENSE", "All rights reserved.", "see LICENSE"},
	} {
		card, err := Describe(t.Context(), nil, engine.ModelRef{Path: bent(t, "llada", func(f fstest.MapFS) { f[c.file] = &fstest.MapFile{Data: []byte(c.text)} })})
		if err != nil || card.Licence != c.want {
			t.Errorf("%s %q: %q, %v, want %q", c.file, c.text, card.Licence, err, c.want)
		}
	}
}

// TestDescribeBroken: what is known of a folder that is no model comes with the error.
func TestDescribeBroken(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(f fstest.MapFS)
		want   string
		disk   bool
	}{
		{"no config", func(f fstest.MapFS) { delete(f, "config.json") }, "config.json", true},
		{"no weights", func(f fstest.MapFS) { delete(f, "model.safetensors") }, "none of its", false},
		{"cut weights", func(f fstest.MapFS) { f["model.safetensors"].Data = f["model.safetensors"].Data[:5000] }, "model.safetensors", false},
		{"another family", func(f fstest.MapFS) { edit(t, f, "config.json", map[string]any{"model_type": "gpt2"}) }, "gpt2", true},
	} {
		path := bent(t, "llada", c.change)
		card, err := Describe(t.Context(), nil, engine.ModelRef{Path: path})
		if err == nil || !strings.Contains(err.Error(), c.want) || card.Path != path || card.Name != filepath.Base(path) || (card.Disk > 0) != c.disk {
			t.Errorf("%s: %+v, %v", c.name, card, err)
		}
	}
	if _, err := Describe(t.Context(), nil, engine.ModelRef{Path: filepath.Join(t.TempDir(), "gone")}); !os.IsNotExist(err) && !strings.Contains(err.Error(), fs.ErrNotExist.Error()) && !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a folder that is not there: %v", err)
	}
}
