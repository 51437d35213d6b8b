package nn

import (
	"slices"

	"unmask/engine/tensor"
)

// cache keeps the rotated keys and the values of every layer for the rows of one kept pass. Row i of sequence r lies at
// sum(lens[:r]) + i, as in engine.Input.Tokens.
type cache struct {
	lens   []int // nil: holds nothing
	room   int   // rows that the memory has
	memory []KV  // [layers], [room, G, K]
	view   []KV  // [layers], [sum(lens), G, K]
	rows   int
}

// holds reports whether the cache was filled for rows of these lengths.
func (c *cache) holds(lens []int) bool { return c.lens != nil && slices.Equal(c.lens, lens) }

// drop forgets what the cache holds and keeps its memory.
func (c *cache) drop() { c.lens = nil }

// fit makes room for rows of these lengths. Memory grows by doubling, because a backend frees tensors at Close only.
func (c *cache) fit(s *Stack, lens []int) {
	rows := 0
	for _, n := range lens {
		rows += n
	}
	if rows > c.room {
		c.room = max(rows, 2*c.room)
		c.memory = make([]KV, len(s.Blocks))
		for i := range c.memory {
			a := &s.Blocks[i].Attn
			c.memory[i] = KV{
				K: s.be.Alloc(tensor.F32, c.room, a.KVHeads, a.HeadWidth),
				V: s.be.Alloc(tensor.F32, c.room, a.KVHeads, a.HeadWidth),
			}
		}
		c.rows = 0
	}
	if rows != c.rows {
		c.view = c.view[:0]
		for _, m := range c.memory {
			c.view = append(c.view, KV{K: m.K.Rows(0, rows), V: m.V.Rows(0, rows)})
		}
		c.rows = rows
	}
	c.lens = append(c.lens[:0], lens...)
}

// layer is the cache of block i, or the zero KV before anything was kept.
func (c *cache) layer(i int) KV {
	if len(c.view) == 0 {
		return KV{}
	}
	return c.view[i]
}
