package mmada

import (
	"testing"

	"unmask/engine"
)

func TestGrid(t *testing.T) {
	for n, want := range map[int]engine.Grid{
		0: {}, 1: {Cols: 1, Rows: 1}, 16: {Cols: 4, Rows: 4}, 24: {Cols: 6, Rows: 4}, 15: {Cols: 5, Rows: 3}, 7: {Cols: 7, Rows: 1},
		1024: {Cols: 32, Rows: 32},
	} {
		if got := grid(n); got != want {
			t.Errorf("%d codes: %+v, want %+v", n, got, want)
		}
	}
}
