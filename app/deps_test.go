package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// imports says who may import whom, as the standard library's go/build/deps_test.go does. "a < b" reads: b may import a
// and what a may import. What is not listed is forbidden; the standard library is free. Names are below the module's
// root, or external modules of [modules]. Nobody relaxes a line to make a build pass.
const imports = `
	NONE < assets/icons, shaders, engine, engine/schedule, ui/palette, ui/figures, ui/paint
	NONE < assets, app/locale, engine/cpu/internal/gen

	engine < engine/tensor, engine/sample
	engine, regexp2, x/text < engine/token
	engine < engine/trace
	engine/trace < engine/remote
	engine/tensor, x/sys < engine/weights, engine/cpu
	engine/tensor < engine/nn
	engine/weights < engine/models/vocab
	engine/nn, engine/weights < engine/vq, engine/models/toy
	engine/nn, engine/models/vocab < engine/models/llada, engine/models/llama, engine/models/dit, engine/models/bert
	engine/models/bert < engine/models/difflm
	engine/models/llada < engine/models/mmada, engine/models/lumina
	engine/models/llama < engine/models/dream, engine/models/a2d, engine/models/lladamoe, engine/models/llada2
	engine/vq < engine/models/siglip, engine/models/gemma
	engine/models/siglip, engine/models/llada, engine/models/llama, engine/models/dream < engine/models/lladav, engine/models/lavida
	engine/vq, engine/models/* < engine/models
	engine/schedule, engine/sample < engine/denoise
	engine/denoise, engine/models, engine/token, engine/cpu, engine/trace < engine/local, engine/verify
	engine/internal/golden < engine/verify

	engine < ui/run
	engine, x/image < ui/mask
	engine, engine/sample, engine/schedule, engine/trace, ui/run, ui/figures, ui/mask < ui/state
	assets/icons, ui/palette, fyne < ui/theme
	go-gl < ui/glview/glprobe, ui/glview/glctx
	ui/figures, ui/palette, ui/paint, ui/run < ui/flow
	shaders, ui/flow, ui/glview/glctx, x/image < ui/glview
	ui/glview, ui/figures < ui/export
	ui/glview, ui/theme < ui/glview/panel
	ui/theme, ui/flow, ui/state < ui/widgets
	ui/widgets, ui/glview/panel < ui/parts
	ui/parts < ui/chat, ui/imagepad, ui/inpaint, ui/compare, ui/library, ui/models, ui/large
	ui/chat, ui/imagepad, ui/inpaint, ui/compare, ui/library, ui/models, ui/large < ui

	engine < app/flat, app/history/column
	engine, x/image < app/evalset
	ui/state < app/shelf
	ui/state, app/history/column, sqlite < app/history
	assets, app/locale, app/flat, app/evalset, app/history, app/shelf, engine/local, engine/remote, engine/verify, ui, ui/export, ui/glview, ui/glview/glprobe, x/image, x/sys < app
	assets, engine/local, engine/remote < app/engined

	# For tests only: nothing above may import these.
	engine < engine/enginetest, ui/run/runtest
	engine/sample < engine/sample/sampletest
	engine/tensor < engine/tensor/backendtest
	ui/state < ui/state/historytest
`

// modules are the external modules by the names that the table calls them.
var modules = []struct{ path, name string }{
	{"fyne.io/fyne/v2", "fyne"},
	{"github.com/go-gl", "go-gl"},
	{"modernc.org/sqlite", "sqlite"},
	{"github.com/dlclark/regexp2", "regexp2"},
	{"golang.org/x/text", "x/text"},
	{"golang.org/x/image", "x/image"},
	{"golang.org/x/sys", "x/sys"},
}

// goPackage is a package of the module and what it imports, by table names.
type goPackage struct {
	name    string
	imports []string
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-tags=migrated_fynedo", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "unmask/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		p := goPackage{name: strings.TrimPrefix(f[0], "unmask/")}
		for _, i := range f[1:] {
			if n := tableName(i); n != "" {
				p.imports = append(p.imports, n)
			}
		}
		all = append(all, p)
	}
	return all
}

// tableName is what the table calls an import path; "" for the standard library.
func tableName(path string) string {
	if n, ok := strings.CutPrefix(path, "unmask/"); ok {
		return n
	}
	for _, m := range modules {
		if path == m.path || strings.HasPrefix(path, m.path+"/") {
			return m.name
		}
	}
	if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
		return path
	}
	return ""
}

// allowances are, for every name left of no "<", the names that it may import, directly or because something it may
// import may.
func allowances(t *testing.T, all []goPackage) map[string]map[string]bool {
	t.Helper()
	may := map[string]map[string]bool{}
	expand := func(list string) (names []string) {
		for n := range strings.SplitSeq(list, ",") {
			n = strings.TrimSpace(n)
			prefix, star := strings.CutSuffix(n, "*")
			if !star {
				names = append(names, n)
				continue
			}
			for _, p := range all {
				if strings.HasPrefix(p.name, prefix) {
					names = append(names, p.name)
				}
			}
		}
		return names
	}
	for line := range strings.Lines(imports) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		left, right, ok := strings.Cut(line, "<")
		if !ok {
			t.Fatalf("table line %q has no <", line)
		}
		for _, r := range expand(right) {
			if may[r] == nil {
				may[r] = map[string]bool{}
			}
			for _, l := range expand(left) {
				if l == "NONE" {
					continue
				}
				may[r][l] = true
				for n := range may[l] {
					may[r][n] = true
				}
			}
		}
	}
	return may
}

func TestImportsFollowTheTable(t *testing.T) {
	all := listPackages(t)
	if len(all) < 10 {
		t.Fatalf("go list found %d packages", len(all))
	}
	may := allowances(t, all)
	for _, p := range all {
		if may[p.name] == nil {
			t.Errorf("package %s is not in the table", p.name)
			continue
		}
		for _, i := range p.imports {
			if !may[p.name][i] {
				t.Errorf("%s imports %s, which the table does not allow", p.name, i)
			}
		}
	}
}

// TestTableIsStrict checks the table itself against the rules that it stands for.
func TestTableIsStrict(t *testing.T) {
	may := allowances(t, listPackages(t))
	for _, p := range []struct {
		name   string
		never  []string
		reason string
	}{
		{"ui", []string{"engine/models", "engine/tensor", "engine/local", "engine/cpu", "sqlite"}, "the window holds a Session"},
		{"ui/state", []string{"fyne", "go-gl", "ui/widgets"}, "the logic of the window knows no window"},
		{"engine", []string{"engine/tensor", "fyne", "x/sys"}, "the contract imports the standard library"},
		{"engine/local", []string{"fyne", "go-gl", "ui/state", "sqlite"}, "the engine knows no window"},
		{"ui/chat", []string{"ui/inpaint", "ui/compare", "ui/imagepad"}, "panes do not import each other"},
		{"ui/glview", []string{"fyne", "ui/state"}, "animations are exported without a window"},
	} {
		for _, n := range p.never {
			if may[p.name][n] {
				t.Errorf("the table lets %s import %s; %s", p.name, n, p.reason)
			}
		}
	}
	for name, m := range may {
		if name == "app/history" || name == "app" {
			continue
		}
		if m["sqlite"] {
			t.Errorf("the table lets %s import a database", name)
		}
		if m["app/history"] || m["app"] {
			t.Errorf("the table lets %s import app", name)
		}
		for n := range m {
			if strings.HasSuffix(n, "test") && !slices.Contains([]string{"engine/sample/sampletest"}, name) {
				t.Errorf("the table lets %s import %s, which is for tests", name, n)
			}
		}
	}
}
