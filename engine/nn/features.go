package nn

import (
	"encoding/binary"
	"fmt"
	"math"

	"unmask/engine/tensor"
)

// SetFeatures makes token Vocab+i of later passes stand for row i of rows [n, D] in place of an embedding. nil ends it.
// The cache is dropped: it was filled from other features.
func (s *Stack) SetFeatures(rows []float32) error {
	d := s.Config.Width
	if len(rows)%d != 0 {
		return fmt.Errorf("features: %d numbers in rows of %d", len(rows), d)
	}
	s.cache.drop()
	s.seen = len(rows) / d
	if s.seen == 0 {
		return nil
	}
	s.features = grow(s.be, s.features, s.seen, d)
	raw := make([]byte, 0, 4*len(rows))
	for _, x := range rows {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	s.be.Upload(s.features.Rows(0, s.seen), raw, tensor.F32)
	return s.be.Err()
}

// embed fills x [T, D] with the embeddings and features of the fed rows. It uses scratch memory.
func (s *Stack) embed(x tensor.Tensor) {
	p := &s.pass
	p.at, p.from = p.at[:0], p.from[:0]
	for i, id := range p.ids {
		if int(id) >= s.Config.Vocab {
			p.at, p.from = append(p.at, i), append(p.from, int(id)-s.Config.Vocab)
			p.ids[i] = 0
		}
	}
	s.be.Embed(x, s.Embed, p.ids)
	if len(p.at) == 0 {
		return
	}
	rows := s.be.Alloc(tensor.F32, len(p.at), s.Config.Width)
	s.be.Gather(rows, s.features, p.from)
	s.be.Scatter(x, rows, p.at)
}
