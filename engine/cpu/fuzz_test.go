package cpu

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"unmask/engine"
	"unmask/engine/tensor"
)

// FuzzPick feeds Pick any bits as logits: it neither panics nor chooses what is forbidden, all sets choose alike, and
// probabilities are probabilities.
//
// size: one check a property.
func FuzzPick(f *testing.F) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	f.Add(encode([]float32{1, 2, 3, 4}), uint8(0), uint8(0), uint8(0), uint64(1))
	f.Add(encode([]float32{nan, inf, -inf, 1e38, -1e38, 0, 1e-45}), uint8(3), uint8(5), uint8(9), uint64(7))
	f.Add(encode([]float32{inf, inf, nan}), uint8(255), uint8(2), uint8(1), uint64(0))
	f.Add(encode(randomFloats(77)), uint8(100), uint8(33), uint8(128), uint64(3))
	var backends []*Backend
	for _, k := range Kernels() {
		backends = append(backends, open(f, k, 1))
	}
	f.Fuzz(func(t *testing.T, raw []byte, temperature, top, nucleus uint8, seed uint64) {
		v := len(raw) / 4
		if v == 0 || v > 4096 {
			return
		}
		logits := make([]float32, v)
		for i := range logits {
			logits[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		o := engine.PickOptions{
			Temperature: float64(temperature) / 50, TopK: int(top), TopP: float64(nucleus) / 200, Top: int(top % 7), Seed: seed,
			Ban: []engine.Token{engine.Token(top), -1, math.MaxInt32},
		}
		if seed%2 == 1 {
			o.Allow = engine.IDRange{Lo: engine.Token(seed % 5), Hi: engine.Token(seed % 5000)}
		}
		var first engine.Prediction
		for n, b := range backends {
			m := b.Mark()
			x := b.Alloc(tensor.F32, 1, v)
			copy(own(x).f, logits)
			var p engine.Prediction
			p.Resize(1)
			p.Pos[0] = int(seed % 1000)
			b.Pick(x, nil, o, &p)
			b.Release(m)
			if err := b.Err(); err != nil {
				t.Fatal(err)
			}
			id := p.Token[0]
			if id < 0 || int(id) >= v {
				t.Fatalf("token %d of %d", id, v)
			}
			for _, x := range []float32{p.Prob[0], p.Margin[0]} {
				if !(x >= 0 && x <= 1) {
					t.Fatalf("probability %g", x)
				}
			}
			if e := float64(p.Entropy[0]); !(e >= 0 && e <= math.Log(float64(v))+1e-3) {
				t.Fatalf("entropy %g of %d ids", e, v)
			}
			if p.Prob[0] > 0 && (!o.Allow.Contains(id) || slices.Contains(o.Ban, id) || logits[id] != logits[id]) {
				t.Fatalf("token %d is forbidden", id)
			}
			if n == 0 {
				first = p
			} else if o.Temperature == 0 && id != first.Token[0] {
				t.Fatalf("%s chooses %d, %s chose %d", b.kern.name, id, backends[0].kern.name, first.Token[0])
			}
		}
	})
}
