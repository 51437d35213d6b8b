package nn

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"unmask/engine/cpu"
	"unmask/engine/tensor"
)

// matrix reads the weights that dice gives to name.
func (d dice) matrix(name string, n, k int) []float64 {
	raw := d.bytes(name, n*k, 1.5/math.Sqrt(float64(k)))
	out := make([]float64, n*k)
	for i := range out {
		out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
	}
	return out
}

func times(w []float64, x []float64) []float64 {
	out := make([]float64, len(w)/len(x))
	for i := range out {
		for j, v := range x {
			out[i] += w[i*len(x)+j] * v
		}
	}
	return out
}

// TestMoE compares with the plain definition, token by token in float64: with and without a bias of the router and a
// shared expert.
func TestMoE(t *testing.T) {
	be, err := cpu.New(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := be.Close(); err != nil {
			t.Error(err)
		}
	}()
	const tokens, d, f, experts, top = 9, 16, 24, 5, 2
	l := dice{be}
	expert := func(name string) *SwiGLU {
		return &SwiGLU{Gate: LoadLinear(l, name+".g", f, d, false), Up: LoadLinear(l, name+".u", f, d, false),
			Down: LoadLinear(l, name+".d", d, f, false), Width: f}
	}
	plain := func(name string, x []float64) []float64 {
		g, u := times(l.matrix(name+".g.weight", f, d), x), times(l.matrix(name+".u.weight", f, d), x)
		for i := range g {
			g[i] = g[i] / (1 + math.Exp(-g[i])) * u[i]
		}
		return times(l.matrix(name+".d.weight", d, f), g)
	}
	names := []string{"e0", "e1", "e2", "e3", "e4"}
	for _, bias := range [][]float32{nil, {0.3, 0, -0.2, 0.1, 0}} {
		m := &MoE{Router: LoadLinear(l, "router", experts, d, false), Gate: SoftmaxGate(top, bias)}
		for _, n := range names {
			m.Experts = append(m.Experts, expert(n))
		}
		if bias != nil {
			m.Shared = expert("shared")
		}
		h := l.Tensor("x", tokens, d)
		in := make([]float32, tokens*d)
		be.Download(in, h)
		want := make([]float64, 0, tokens*d)
		for i := range tokens {
			x := make([]float64, d)
			for j := range x {
				x[j] = float64(in[i*d+j])
			}
			p := times(l.matrix("router.weight", experts, d), x)
			sum := 0.0
			for _, v := range p {
				sum += math.Exp(v)
			}
			order := []int{0, 1, 2, 3, 4}
			for e := range p {
				p[e] = math.Exp(p[e]) / sum
				if bias != nil {
					p[e] += float64(bias[e])
				}
			}
			slices.SortFunc(order, func(a, b int) int {
				if p[a] > p[b] {
					return -1
				}
				return 1
			})
			y := make([]float64, d)
			if bias != nil {
				y = plain("shared", x)
			}
			for _, e := range order[:top] {
				for j, v := range plain(names[e], x) {
					y[j] += p[e] * v
				}
			}
			want = append(want, y...)
		}
		for range 2 { // the second pass reuses the lists of the first
			x := be.Alloc(tensor.F32, tokens, d)
			be.Copy(x, h)
			m.Apply(be, x)
			got := make([]float32, tokens*d)
			be.Download(got, x)
			for i := range got {
				if diff := math.Abs(float64(got[i]) - want[i]); diff > 2e-5 {
					t.Fatalf("bias %v: element %d is %g, want %g", bias, i, got[i], want[i])
				}
			}
		}
	}
}

// TestSigmoidGate: by score alone experts 0, 1 and 4 lead, but the bias decides for 5, and the group of 4 and 5 wins over
// that of 2 and 3.
func TestSigmoidGate(t *testing.T) {
	w := []float32{2, 1, -1, 0, 0.5, 0.4, -3, -3}
	bias := []float32{0, 0, 0, 0, 0, 0.5, 0, 0}
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	SigmoidGate(3, 4, 2, 2.5, bias)(w)
	sum := sigmoid(2) + sigmoid(1) + sigmoid(0.4) // bias lifts 5 above 4; it is not in the weight
	want := []float64{sigmoid(2), sigmoid(1), 0, 0, 0, sigmoid(0.4), 0, 0}
	for e := range w {
		if d := math.Abs(float64(w[e]) - 2.5*want[e]/sum); d > 1e-6 {
			t.Errorf("expert %d: weight %g, want %g", e, w[e], 2.5*want[e]/sum)
		}
	}
	one := []float32{0, 3}
	SigmoidGate(1, 1, 1, 2, nil)(one)
	if one[0] != 0 || math.Abs(float64(one[1])-2*sigmoid(3)) > 1e-6 {
		t.Errorf("one expert: %v", one)
	}
}
