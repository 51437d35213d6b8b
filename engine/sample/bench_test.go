package sample_test

import (
	"math/rand/v2"
	"testing"

	"unmask/engine"
	"unmask/engine/sample"
	"unmask/engine/sample/sampletest"
)

// BenchmarkSelect decides one step over 1,024 positions, the picture of a released model.
func BenchmarkSelect(b *testing.B) {
	for _, e := range sample.All {
		b.Run(e.Name, func(b *testing.B) {
			s, err := sample.New(e.Name, nil)
			if err != nil {
				b.Fatal(err)
			}
			const n = 1024
			r := rand.New(rand.NewPCG(1, 1))
			var p engine.Prediction
			p.Resize(n)
			noise := make(sampletest.Noise, n)
			v := engine.View{Step: 3, Steps: 15, Quota: 64, Masked: n, Initial: n, Left: 960, Rate: 0.1, Noise: noise,
				Committed: make([]bool, n), Current: make([]engine.Token, n)}
			for i := range n {
				p.Pos[i], p.Prob[i], p.Margin[i], p.Entropy[i] = i, r.Float32(), r.Float32(), 5*r.Float32()
				noise[i] = r.Float64()
			}
			var d engine.Decision
			b.ReportAllocs()
			for b.Loop() {
				d.Reset()
				s.Select(v, &p, &d)
			}
		})
	}
}
