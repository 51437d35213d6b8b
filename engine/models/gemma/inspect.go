package gemma

import (
	"unmask/engine/tensor"
)

// Watch calls fn with activations of later passes while their memory is valid: "embed", "input" of the decoder, "soft" of
// self-conditioning, "routerN" (scores before the softmax), "layerN", "norm". nil ends it. For tests.
func (n *Network) Watch(fn func(name string, x tensor.Tensor)) { n.watch = fn }

func (n *Network) see(name string, x tensor.Tensor) {
	if n.watch != nil {
		n.watch(name, x)
	}
}

// Served are the weights of layer i's experts in the last pass, [T, E]; 0 where an expert does not serve. For tests.
func (n *Network) Served(i int) []float32 { return n.layers[i].moe.Weights() }

// Cached are copies of the keys (after norm and rotation) and values of layer i that the encoder has kept, [rows, G, K].
// For tests.
func (n *Network) Cached(i int) (keys, values []float32) {
	l := &n.layers[i]
	out := [2][]float32{make([]float32, l.kept*l.kv*l.dim), make([]float32, l.kept*l.kv*l.dim)}
	if l.kept > 0 {
		n.be.Download(out[0], l.keys.Rows(0, l.kept))
		n.be.Download(out[1], l.values.Rows(0, l.kept))
	}
	return out[0], out[1]
}

// Rotary are cosines and sines of layer i at positions, [n, K] each, as its heads are turned: entry j and its partner half
// a head on have the same ones. For tests.
func (n *Network) Rotary(i int, positions []int32) (cos, sin []float32) {
	l := &n.layers[i]
	mark := n.be.Mark()
	defer n.be.Release(mark)
	rows := len(positions)
	x := n.be.Alloc(tensor.F32, rows, 1, l.dim)
	one := make([]float32, rows*l.dim)
	for r := range rows {
		for j := range l.dim / 2 {
			one[r*l.dim+j] = 1
		}
	}
	upload(n.be, x, one)
	l.turn(n.be, x, positions)
	n.be.Download(one, x)
	return halves(one, l.dim)
}

// halves takes turned rows [n, k], whose first half was 1 and second 0, apart into cosines and sines, each written twice.
func halves(x []float32, k int) (cos, sin []float32) {
	cos, sin = make([]float32, len(x)), make([]float32, len(x))
	for i := range x {
		at, j := i/k*k, i%(k/2)
		cos[i], sin[i] = x[at+j], x[at+k/2+j]
	}
	return cos, sin
}
