package verify

import "math"

// The product never trains, so its arithmetic has no derivatives. Recorded gradients are compared with those of this small
// reverse-mode tape in float64, which is used for nothing else.

// node is a matrix [rows, cols] on a tape, with the derivative of the loss by it.
type node struct {
	rows, cols int
	v, g       []float64
}

// tape remembers how to pass derivatives back, in the order of the forward pass.
type tape struct {
	back []func()
	see  func(q, k int) bool    // which key a query attends to; nil: all
	add  func(q, k int) float64 // what is added to a score; nil: nothing
}

func newNode(rows, cols int) *node {
	return &node{rows: rows, cols: cols, v: make([]float64, rows*cols), g: make([]float64, rows*cols)}
}

// backward runs the derivatives of the tape's results, which are set, back to all nodes.
func (t *tape) backward() {
	for i := len(t.back) - 1; i >= 0; i-- {
		t.back[i]()
	}
}

// product is x [T, K] w[N, K]^T.
func (t *tape) product(x, w *node) *node {
	y := newNode(x.rows, w.rows)
	k := x.cols
	for i := range x.rows {
		for j := range w.rows {
			s := 0.0
			for c := range k {
				s += x.v[i*k+c] * w.v[j*k+c]
			}
			y.v[i*y.cols+j] = s
		}
	}
	t.back = append(t.back, func() {
		for i := range x.rows {
			for j := range w.rows {
				g := y.g[i*y.cols+j]
				if g == 0 {
					continue
				}
				for c := range k {
					x.g[i*k+c] += g * w.v[j*k+c]
					w.g[j*k+c] += g * x.v[i*k+c]
				}
			}
		}
	})
	return y
}

// sum is x + s y. y may have one row, which is added to every row.
func (t *tape) sum(x, y *node, s float64) *node {
	z := newNode(x.rows, x.cols)
	for i := range z.v {
		z.v[i] = x.v[i] + s*y.v[i%len(y.v)]
	}
	t.back = append(t.back, func() {
		for i, g := range z.g {
			x.g[i] += g
			y.g[i%len(y.g)] += s * g
		}
	})
	return z
}

// rmsNorm is x / sqrt(mean(x^2) + eps) * w over rows; w [1, K].
func (t *tape) rmsNorm(x, w *node, eps float64) *node {
	y := newNode(x.rows, x.cols)
	k := x.cols
	inv := make([]float64, x.rows)
	for i := range x.rows {
		s := 0.0
		for _, a := range x.v[i*k : (i+1)*k] {
			s += a * a
		}
		inv[i] = 1 / math.Sqrt(s/float64(k)+eps)
		for c := range k {
			y.v[i*k+c] = x.v[i*k+c] * inv[i] * w.v[c]
		}
	}
	t.back = append(t.back, func() {
		for i := range x.rows {
			dot := 0.0
			for c := range k {
				dot += y.g[i*k+c] * w.v[c] * x.v[i*k+c]
			}
			dot *= inv[i] * inv[i] / float64(k)
			for c := range k {
				w.g[c] += y.g[i*k+c] * x.v[i*k+c] * inv[i]
				x.g[i*k+c] += inv[i] * (y.g[i*k+c]*w.v[c] - x.v[i*k+c]*dot)
			}
		}
	})
	return y
}

// rope rotates heads of width k by their row's position, pairing entry i with i+k/2.
func (t *tape) rope(x *node, k int, theta float64) *node {
	y := newNode(x.rows, x.cols)
	turn := func(dst, src []float64, sign float64) {
		for i := range x.rows {
			for h := 0; h < x.cols; h += k {
				for j := range k / 2 {
					sin, cos := math.Sincos(sign * float64(i) * math.Pow(theta, -2*float64(j)/float64(k)))
					a, b := i*x.cols+h+j, i*x.cols+h+j+k/2
					u, v := src[a], src[b]
					dst[a] += u*cos - v*sin
					dst[b] += v*cos + u*sin
				}
			}
		}
	}
	turn(y.v, x.v, 1)
	t.back = append(t.back, func() { turn(x.g, y.g, -1) })
	return y
}

// gated is silu(a) * b.
func (t *tape) gated(a, b *node) *node {
	y := newNode(a.rows, a.cols)
	for i, x := range a.v {
		y.v[i] = x / (1 + math.Exp(-x)) * b.v[i]
	}
	t.back = append(t.back, func() {
		for i, x := range a.v {
			s := 1 / (1 + math.Exp(-x))
			a.g[i] += y.g[i] * b.v[i] * s * (1 + x*(1-s))
			b.g[i] += y.g[i] * x * s
		}
	})
	return y
}

// attention attends to what t.see allows; q [T, H*k], keys and values [T, G*k], H a multiple of G.
func (t *tape) attention(q, key, val *node, k int) *node {
	y := newNode(q.rows, q.cols)
	n, heads, group := q.rows, q.cols/k, q.cols/key.cols
	p := make([]float64, heads*n*n)
	scale := 1 / math.Sqrt(float64(k))
	for h := range heads {
		for i := range n {
			row := p[(h*n+i)*n:][:n]
			at := q.v[i*q.cols+h*k:][:k]
			for j := range row {
				row[j] = scale * dot(at, key.v[j*key.cols+h/group*k:][:k])
				if t.add != nil {
					row[j] += t.add(i, j)
				}
				if t.see != nil && !t.see(i, j) {
					row[j] = math.Inf(-1)
				}
			}
			softmaxInPlace(row)
			out := y.v[i*y.cols+h*k:][:k]
			for j, w := range row {
				axpy(out, w, val.v[j*val.cols+h/group*k:][:k])
			}
		}
	}
	t.back = append(t.back, func() {
		d := make([]float64, n)
		for h := range heads {
			for i := range n {
				row := p[(h*n+i)*n:][:n]
				out := y.g[i*y.cols+h*k:][:k]
				mean := 0.0
				for j, w := range row {
					at := j*val.cols + h/group*k
					d[j] = dot(out, val.v[at:][:k])
					axpy(val.g[at:][:k], w, out)
					mean += w * d[j]
				}
				for j, w := range row {
					s := scale * w * (d[j] - mean)
					at := j*key.cols + h/group*k
					axpy(q.g[i*q.cols+h*k:][:k], s, key.v[at:][:k])
					axpy(key.g[at:][:k], s, q.v[i*q.cols+h*k:][:k])
				}
			}
		}
	})
	return y
}

func dot(a, b []float64) float64 {
	s := 0.0
	for i, x := range a {
		s += x * b[i]
	}
	return s
}

func axpy(dst []float64, s float64, x []float64) {
	for i, v := range x {
		dst[i] += s * v
	}
}

// softmaxInPlace turns x into probabilities and returns the logarithm of the sum of their exponentials.
func softmaxInPlace(x []float64) float64 {
	top, sum := math.Inf(-1), 0.0
	for _, v := range x {
		top = max(top, v)
	}
	for i, v := range x {
		x[i] = math.Exp(v - top)
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
	return top + math.Log(sum)
}
