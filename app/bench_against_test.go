package main

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPeerProtocol runs a contestant that needs no packages: it reads the checkpoint that bench writes and answers with
// elements of the output weight in place of logits.
func TestPeerProtocol(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("SKIPPED: python3 is missing, which runs the contestant")
	}
	s, err := parseShape("16,2,1,24,40")
	if err != nil {
		t.Fatal(err)
	}
	model := t.TempDir()
	if err := s.write(t.Context(), model, "bf16"); err != nil {
		t.Fatal(err)
	}
	script := `
import struct, sys
from peer import Checkpoint, serve
c = Checkpoint(sys.argv[1])
assert (c.width, c.heads, c.layers, c.ff, c.vocab) == (16, 2, 1, 24, 40), vars(c)
kind, shape, raw = c.raw("ff_out")
assert kind == "BF16" and shape == [40, 16]
def value(p, i):
    return struct.unpack("<f", b"\0\0" + raw[2 * (i * 16 + p) : 2 * (i * 16 + p) + 2])[0]
serve({"toy": "1"}, {"forward": lambda tokens: value})
`
	dir := t.TempDir()
	src, err := peerFiles.ReadFile("peers/peer.py")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "peer.py"), src, 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "toy.py")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := (&peer{name: "toy", dtypes: []string{"bf16"}}).run(t.Context(), python, dir, "toy.py", model, "bf16", 1)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.pass(asked{Pass: "forward", Tokens: []int{1, 2}, Want: [][2]int{{0, 3}, {15, 39}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Logits) != 2 || a.Logits[0] == 0 || math.Abs(a.Logits[1]) > 1 || a.Wall <= 0 {
		t.Errorf("answer %+v", a)
	}
	if _, err := c.pass(asked{Pass: "backward"}); err == nil || !strings.Contains(err.Error(), "KeyError") {
		t.Errorf("a pass that the peer does not have: %v, want its KeyError", err)
	}
	if err := c.close(); err != nil {
		t.Error(err)
	}
	if _, err := (&peer{name: "toy", dtypes: []string{"bf16"}}).start(t.Context(), python, model, "i4", 1); err == nil {
		t.Error("a dtype that the peer does not have is taken")
	}
}

// TestDuelWords checks the rule of measuring: ahead or behind only where the ranges do not meet.
func TestDuelWords(t *testing.T) {
	if d := apart([]float64{3, 4}, []float64{0, 4}); math.Abs(d-0.75) > 1e-12 {
		t.Errorf("apart %g, want 0.75", d)
	}
	if s := spreadOf([]float64{3, 1, 2, 10}); s != (spread{2.5, 1, 10}) {
		t.Errorf("spread %+v", s)
	}
	for _, c := range []struct {
		us, them spread
		want     string
	}{
		{spread{1, 0.9, 1.1}, spread{2, 1.5, 3}, "ahead"},
		{spread{1, 0.9, 1.6}, spread{2, 1.5, 3}, "level"},
		{spread{4, 3.5, 5}, spread{2, 1.5, 3}, "behind"},
	} {
		if got := verdict(c.us, c.them); got != c.want {
			t.Errorf("%+v against %+v: %s, want %s", c.us, c.them, got, c.want)
		}
	}
}
