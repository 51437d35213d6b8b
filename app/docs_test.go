package main

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"unmask/engine/enginetest"
)

func readText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestReadmeExamplesWork runs the command lines of README.md, in order, in one folder, on a scripted session.
func TestReadmeExamplesWork(t *testing.T) {
	readme := readText(t, "../README.md")
	scripted(t, &enginetest.Session{})
	writePNG(t, "mask.png", 64, 64, func(x, y int) bool { return x < 20 && y < 20 })
	n := 0
	for line := range strings.Lines(readme) {
		line, ok := strings.CutPrefix(strings.TrimSpace(line), "./unmask ")
		if !ok {
			continue
		}
		args := shellWords(line)
		switch args[0] {
		case "bench", "verify", "doctor", "eval": // slow, or about this machine: their own tests run them
			args = []string{args[0], "--help"}
		case "models":
			args = args[:1]
		}
		n++
		if r := unmask(t, "", args...); r.code != exitDone {
			t.Errorf("%s: exit code %d, %s", line, r.code, end(r.err))
		}
	}
	if n < 10 {
		t.Errorf("README.md has %d examples", n)
	}
}

// shellWords splits a command line at spaces outside of quotes and drops a comment.
func shellWords(line string) (words []string) {
	for _, w := range regexp.MustCompile(`"[^"]*"|\S+`).FindAllString(line, -1) {
		if strings.HasPrefix(w, "#") {
			break
		}
		words = append(words, strings.Trim(w, `"`))
	}
	return words
}

// TestEveryModuleIsInTheNotice wants the licence of everything that is linked into the program.
func TestEveryModuleIsInTheNotice(t *testing.T) {
	notice := readText(t, "../assets/NOTICE")
	out, err := exec.Command("go", "list", "-tags=migrated_fynedo", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "unmask/app").Output()
	if err != nil {
		t.Fatal(err)
	}
	mods := strings.Fields(string(out))
	slices.Sort(mods)
	for _, m := range slices.Compact(mods) {
		if m == "unmask" {
			continue
		}
		parts := strings.Split(regexp.MustCompile(`/v\d+(\.\d+)?(/|$)`).ReplaceAllString(m, "$2"), "/")
		if !strings.Contains(notice, parts[len(parts)-1]) {
			t.Errorf("assets/NOTICE lacks %s", m)
		}
	}
}

// TestMetadataAgrees compares FyneApp.toml with the program.
func TestMetadataAgrees(t *testing.T) {
	toml := readText(t, "../FyneApp.toml")
	field := func(name string) string {
		m := regexp.MustCompile(`(?m)^\s*` + name + `\s*=\s*"?([^"\n]+)"?\s*$`).FindStringSubmatch(toml)
		if m == nil {
			t.Fatalf("FyneApp.toml has no %s", name)
		}
		return m[1]
	}
	if v := field("Version"); v != version {
		t.Errorf("FyneApp.toml has version %s, the program %s", v, version)
	}
	if field("fyneDo") != "true" {
		t.Error("FyneApp.toml does not say that the program uses fyne.Do")
	}
	if _, err := readPicture("../" + field("Icon")); err != nil {
		t.Errorf("icon: %v", err)
	}
}

// TestDirectDependenciesHaveADecision wants a page in docs/decisions for every module that the code imports.
func TestDirectDependenciesHaveADecision(t *testing.T) {
	pages, err := os.ReadDir("../docs/decisions")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, p := range pages {
		all.WriteString(readText(t, "../docs/decisions/"+p.Name()))
	}
	used := map[string]bool{}
	for _, p := range listPackages(t) {
		for _, i := range p.imports {
			used[i] = true
		}
	}
	for _, m := range modules {
		last := m.path[strings.LastIndex(m.path, "/")+1:]
		if last == "v2" {
			last = "fyne"
		}
		if used[m.name] && !strings.Contains(all.String(), last) {
			t.Errorf("docs/decisions says nothing about %s", m.path)
		}
		if !used[m.name] {
			t.Errorf("%s is in the table of modules and not used", m.path)
		}
	}
}
