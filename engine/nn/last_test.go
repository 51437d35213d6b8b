package nn

import (
	"math"
	"testing"

	"unmask/engine"
	"unmask/engine/tensor"
)

// TestLastBlockOfWantedRows checks that leaving out the rows that nobody wants changes no bit of the logits: alone, guided,
// with pads, and over a block from the cache.
func TestLastBlockOfWantedRows(t *testing.T) {
	s := newStack(t, nil)
	hide := make([]bool, 40)
	hide[3], hide[35] = true, true
	for _, c := range []struct {
		name string
		in   engine.Input
	}{
		{"alone", engine.Input{Tokens: ids(1, 30), Want: []int{0, 7, 29}}},
		{"guided", engine.Input{Tokens: ids(2, 50), Lens: []int{30, 20}, Want: []int{12, 13, 29}, WantOther: -10}},
		{"pads", engine.Input{Tokens: ids(3, 40), Hide: hide, Want: []int{5, 30}}},
		{"cached", engine.Input{Tokens: ids(4, 40), Want: []int{9, 12}, Active: engine.Span{Lo: 8, Hi: 20}}},
	} {
		if c.in.Active != (engine.Span{}) {
			run(t, s, engine.Input{Tokens: c.in.Tokens, Keep: true})
		}
		s.Watch(func(string, tensor.Tensor) {}) // a watched pass computes every row
		want := run(t, s, c.in)
		s.Watch(nil)
		got := run(t, s, c.in)
		for r := range want {
			for i, v := range want[r] {
				if math.Float32bits(got[r][i]) != math.Float32bits(v) {
					t.Fatalf("%s: logit %d of row %d is %g, want exactly %g", c.name, i, r, got[r][i], v)
				}
			}
		}
		if !s.narrow() {
			t.Errorf("%s: every row is computed", c.name)
		}
	}
}
