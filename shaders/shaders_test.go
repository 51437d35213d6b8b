package shaders

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var uniform = regexp.MustCompile(`(?m)^uniform \w+ (\w+);`)

// TestUniforms compares the names declared in Go with those in the sources.
func TestUniforms(t *testing.T) {
	for _, p := range All {
		seen := map[string]bool{}
		for _, src := range []string{p.Vertex, p.Fragment} {
			if !strings.HasPrefix(src, "#version 330 core\n") {
				t.Errorf("%s: not GLSL 3.30 core", p.Name)
			}
			for _, m := range uniform.FindAllStringSubmatch(src, -1) {
				seen[m[1]] = true
				if !slices.Contains(p.Uniforms, m[1]) {
					t.Errorf("%s: uniform %q is not declared in Go", p.Name, m[1])
				}
			}
		}
		for _, u := range p.Uniforms {
			if !seen[u] {
				t.Errorf("%s: uniform %q is in no shader", p.Name, u)
			}
		}
	}
}

// TestEmbedded: no shader file is left out.
func TestEmbedded(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".vert") || strings.HasSuffix(e.Name(), ".frag") {
			n++
		}
	}
	if n != 2*len(All) {
		t.Errorf("%d shader files, %d programs", n, len(All))
	}
}
