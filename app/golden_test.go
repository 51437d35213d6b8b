package main

import (
	"encoding/json"
	"fmt"
	"image"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"unmask/engine"
	"unmask/engine/sample"
)

const goldenDir = "../engine/testdata/golden"

// quiet makes a command line's settings those of nobody, with a data folder of its own.
func quiet(t *testing.T) {
	t.Helper()
	t.Setenv("UNMASK_DATA", t.TempDir())
	t.Setenv("UNMASK_CONFIG", "")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
}

// goldenModel is a fixture folder as a person would have it: MMaDA with its picture tokenizer in the folder vq.
func goldenModel(t *testing.T, dir string) string {
	t.Helper()
	abs, err := filepath.Abs(filepath.Join(goldenDir, dir))
	if err != nil {
		t.Fatal(err)
	}
	if dir != "mmada" {
		return abs
	}
	out := filepath.Join(t.TempDir(), dir)
	for to, from := range map[string]string{out: abs, filepath.Join(out, "vq"): filepath.Join(goldenDir, "magvitv2")} {
		if err := os.MkdirAll(to, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// goldenModels are the fixture folders that hold a model, found as a person would: by config.json.
func goldenModels(t *testing.T) []string {
	t.Helper()
	entries, err := fs.Glob(os.DirFS(goldenDir), "*/config.json")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if dir := filepath.Dir(e); dir != "magvitv2" {
			out = append(out, dir)
		}
	}
	if len(out) < 18 {
		t.Fatalf("%d models in %s", len(out), goldenDir)
	}
	return out
}

// taskCommands are the command lines that run a task of any model, without the flags for the model and for few steps.
func taskCommands(pic, mask string) map[engine.Task][][]string {
	return map[engine.Task][][]string{
		engine.Chat:        {{"chat", "can lily run 12 kilometers per hour ?"}},
		engine.Infill:      {{"infill", "a ___{2} b"}},
		engine.TextToImage: {{"paint", "a cat"}},
		engine.Inpaint:     {{"inpaint", "--image", pic, "--mask", mask, "a hat"}},
		engine.Outpaint:    {{"inpaint", "--image", pic, "--frame", "0,0,96,64", "a beach"}},
		engine.EditImage:   {{"edit", pic, "make it blue"}},
		engine.Describe:    {{"describe", pic}, {"describe", pic, "What is it?"}, {"chat", "--image", pic, "What is it?"}},
	}
}

// TestEveryFamilyRuns runs every fixture folder through the program, in its own manner: every task that the model says it
// does, with its own sampler, prompt form and defaults. The weights are random, so what comes out is noise; that it comes
// out is what counts.
func TestEveryFamilyRuns(t *testing.T) {
	quiet(t)
	work := t.TempDir()
	pic := writePNG(t, filepath.Join(work, "pic.png"), 64, 64, func(x, y int) bool { return x > y })
	mask := writePNG(t, filepath.Join(work, "mask.png"), 64, 64, func(x, _ int) bool { return x < 32 })
	commands := taskCommands(pic, mask)
	for _, dir := range goldenModels(t) {
		t.Run(dir, func(t *testing.T) {
			path := goldenModel(t, dir)
			r := unmask(t, "", "models", path, "--json")
			var specs []engine.Spec
			if err := json.Unmarshal([]byte(r.out), &specs); err != nil || len(specs) != 1 {
				t.Fatalf("models --json: %v, %q, %q", err, end(r.out), end(r.err))
			}
			spec := specs[0]
			if len(spec.Tasks) == 0 {
				t.Fatal("it does nothing")
			}
			ran := 0
			for _, task := range spec.Tasks {
				for _, c := range commands[task] {
					runGolden(t, spec, task, path, c)
					ran++
				}
			}
			if ran == 0 {
				t.Errorf("no command runs any of %v", spec.Tasks)
			}
		})
	}
}

// runGolden runs one command and checks that it ran by the model's own settings.
func runGolden(t *testing.T, spec engine.Spec, task engine.Task, path string, command []string) {
	t.Helper()
	args := append(slices.Clone(command), "--model", path, "--steps", "4", "--seed", "3", "--json")
	picture := isPictureTask(task)
	if picture {
		args = append(args, "-o", filepath.Join(t.TempDir(), "out.png"))
	} else if task != engine.Infill && spec.Block == 0 && spec.Mask >= 0 {
		args = append(args, "--length", "8")
	}
	r := unmask(t, "", args...)
	var got report
	if err := json.Unmarshal([]byte(r.out), &got); r.code != exitDone || err != nil {
		t.Errorf("%s: exit code %d, %v, errors %q", strings.Join(command, " "), r.code, err, end(r.err))
		return
	}
	if want := spec.Defaults[task].Sampler; got.Options.Sampler != want || got.NFE < 1 || got.Steps < 1 {
		t.Errorf("%s: sampler %q, want %q; %d passes, %d steps", strings.Join(command, " "), got.Options.Sampler, want, got.NFE, got.Steps)
	}
	if _, err := sample.Find(got.Options.Sampler); err != nil {
		t.Error(err)
	}
	if !picture {
		return
	}
	f, err := os.Open(got.Picture)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	img, _, err := image.Decode(f)
	if err != nil || spec.Image != nil && img.Bounds().Dx() < 16 {
		t.Errorf("%s: picture %v, %v", strings.Join(command, " "), img, err)
	}
}

func isPictureTask(t engine.Task) bool {
	switch t {
	case engine.TextToImage, engine.Inpaint, engine.Outpaint, engine.EditImage:
		return true
	}
	return false
}

// TestModelsThatDoNotChatGoOn: a text without holes goes on with them.
func TestModelsThatDoNotChatGoOn(t *testing.T) {
	quiet(t)
	for _, dir := range []string{"mdlm", "bd3lm", "diffusionbert", "diffusion-lm"} {
		r := unmask(t, "", "infill", "a b", "--length", "4", "--steps", "6", "--model", goldenModel(t, dir), "--json")
		var got report
		if err := json.Unmarshal([]byte(r.out), &got); r.code != exitDone || err != nil || got.NFE < 1 {
			t.Errorf("%s: exit code %d, %v, %q", dir, r.code, err, end(r.err))
		}
	}
	unmask(t, "", "infill", "the quick brown", "--model", goldenModel(t, "mdlm")).want(t, exitUsage, "___")
	unmask(t, "", "infill", "the quick brown", "--length", "6", "--model", goldenModel(t, "llada")).want(t, exitFailed, "0 holes")
}

// TestTwoPictures holds a conversation about two pictures with the families that see.
func TestTwoPictures(t *testing.T) {
	quiet(t)
	pic := writePNG(t, filepath.Join(t.TempDir(), "pic.png"), 32, 32, func(x, y int) bool { return x > y })
	for _, dir := range []string{"llada-v", "lavida", "lavida-dream"} {
		one := unmask(t, "", "chat", "--image", pic, "--model", goldenModel(t, dir), "--steps", "2", "--length", "4", "--json", "What is it?")
		two := unmask(t, "", "chat", "--image", pic, "--image", pic, "--model", goldenModel(t, dir), "--steps", "2", "--length", "4", "--json", "What is it?")
		one.want(t, exitDone)
		two.want(t, exitDone)
		if one.out == two.out {
			t.Errorf("%s: a second picture changes nothing", dir)
		}
	}
}

// TestListOfModels goes through a list's life on the command line.
func TestListOfModels(t *testing.T) {
	quiet(t)
	llada, dream := goldenModel(t, "llada"), goldenModel(t, "dream")
	unmask(t, "", "models", "list").want(t, exitDone, "built-in", "mmada")
	unmask(t, "", "models", "add", llada, filepath.Join(dream, "model.safetensors.index.json")).want(t, exitDone, "llada", "dream")
	r := unmask(t, "", "models", "list", "--json")
	var all []listed
	if err := json.Unmarshal([]byte(r.out), &all); err != nil || len(all) != 3 || all[1].Path != llada || all[2].Path != dream {
		t.Fatalf("%v, %q", err, end(r.out))
	}
	if l := all[1]; l.Family != "llada" || l.Need["f32"] <= l.Need["i4"] || l.Status == "" || l.As == "" || !slices.Contains(l.Spec.Tasks, engine.Chat) {
		t.Errorf("%+v", l)
	}
	unmask(t, "", "models", "default", "chat", "llada").want(t, exitDone, llada)
	r = unmask(t, "", "chat", "--steps", "2", "--length", "4", "--json", "Hi")
	r.want(t, exitDone, `"model": "llada"`)
	unmask(t, "", "models", "remove", "dream").want(t, exitDone, "stay")
	if _, err := os.Stat(filepath.Join(dream, "config.json")); err != nil {
		t.Errorf("removing it from the list removed its files: %v", err)
	}
	unmask(t, "", "models", "add", llada, "--adapter", filepath.Join(goldenDir, "d1", "adapter_sft")).want(t, exitDone, "adapter")
	adapted := unmask(t, "", "chat", "--steps", "2", "--length", "4", "--json", "Hi")
	adapted.want(t, exitDone, `"model": "llada + adapter_sft"`)
	if hash := func(s string) string { return s[strings.Index(s, `"hash"`):][:40] }; hash(adapted.out) == hash(r.out) {
		t.Error("the adapter is not laid over the model")
	}
	copied := unmask(t, "", "models", "add", "--copy", llada, "--json")
	copied.want(t, exitDone)
	if err := json.Unmarshal([]byte(copied.out), &all); err != nil || len(all) != 1 || all[0].Path == llada || !strings.HasPrefix(all[0].Path, os.Getenv("UNMASK_DATA")) {
		t.Errorf("%v, %q", err, end(copied.out))
	}
	unmask(t, "", "models", "default", "chat", "built-in").want(t, exitDone, "built-in")
	unmask(t, "", "models", "default", "chat").want(t, exitDone)
	unmask(t, "", "models", "get").want(t, exitDone, "GSAI-ML/LLaDA-8B-Instruct")
	for _, bad := range [][]string{{"add"}, {"add", "--copy", "--move", llada}, {"remove", "nobody"}, {"remove", "built-in"}, {"default", "sing"}, {"list", "x"}, {"get", "x"}} {
		if r := unmask(t, "", append([]string{"models"}, bad...)...); r.code != exitUsage {
			t.Errorf("models %v: exit code %d, %q", bad, r.code, end(r.err))
		}
	}
	unmask(t, "", "models", "add", t.TempDir()).want(t, exitFailed, "none of its 0 files")
}

// TestAdapterFlag lays one adapter and both over a model for one command; without a model they are refused.
func TestAdapterFlag(t *testing.T) {
	t.Setenv("UNMASK_DATA", t.TempDir())
	sft, rl := filepath.Join(goldenDir, "d1", "adapter_sft"), filepath.Join(goldenDir, "d1", "adapter_rl")
	seen := map[string]string{}
	for name, flags := range map[string][]string{
		"llada": nil, "llada + adapter_sft": {"--adapter", sft}, "llada + adapter_rl": {"--adapter", rl},
		"llada + adapter_sft + adapter_rl": {"--adapter", sft, "--adapter", rl},
	} {
		args := append([]string{"infill", "--model", filepath.Join(goldenDir, "llada"), "--json", "the quick ___{6} ."}, flags...)
		r := unmask(t, "", args...)
		r.want(t, exitDone, fmt.Sprintf("%q: %q", "model", name))
		at := strings.Index(r.out, `"hash"`)
		if at < 0 || seen[r.out[at:at+40]] != "" {
			t.Errorf("%s has the hash of %q", name, seen[r.out[at:at+40]])
			continue
		}
		seen[r.out[at:at+40]] = name
	}
	if r := unmask(t, "", "chat", "--adapter", sft, "Hi"); r.code != exitUsage || !strings.Contains(r.err, "--model") {
		t.Errorf("exit code %d, %q", r.code, end(r.err))
	}
}

func TestSplitWords(t *testing.T) {
	for _, c := range []struct {
		line string
		want []string
	}{
		{"ssh host unmask-engined", []string{"ssh", "host", "unmask-engined"}},
		{`ssh host "my folder/unmask-engined" --kernels ''`, []string{"ssh", "host", "my folder/unmask-engined", "--kernels", ""}},
		{`a'b c'd "e \"f\""`, []string{"ab cd", `e "f"`}},
		{"user@host", []string{"ssh", "-T", "user@host", workerProgram}},
		{"me@192.168.1.7", []string{"ssh", "-T", "me@192.168.1.7", workerProgram}},
		{`"open`, nil}, {"", nil}, {"  ", nil}, {`''`, nil}, {"-oProxyCommand=x@host", []string{"-oProxyCommand=x@host"}},
	} {
		got, err := deviceCommand(c.line)
		if !slices.Equal(got, c.want) || (err != nil) != (c.want == nil) {
			t.Errorf("%q: %q, %v, want %q", c.line, got, err, c.want)
		}
	}
}
