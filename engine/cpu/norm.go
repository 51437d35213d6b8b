package cpu

import (
	"math"

	"unmask/engine/tensor"
)

// RMSNorm implements [tensor.Backend].
func (b *Backend) RMSNorm(dst, x, w tensor.Tensor, eps float32) {
	if b.err != nil {
		return
	}
	d, a := floats("rmsnorm", dst), floats("rmsnorm", x)
	sameShape("rmsnorm", d, a)
	rows, width := rowsOf(a)
	b.job = job{dst: d.f, x: a.f, y: optional("rmsnorm", w, width), width: width, eps: eps, fn: rmsRows}
	b.rowUnits(rows, width/2+20)
}

func rmsRows(j *job, _ *worker, i int) {
	lo, hi := j.span(i)
	for r := lo; r < hi; r++ {
		j.normalise(j.dst[r*j.width:(r+1)*j.width], j.x[r*j.width:(r+1)*j.width])
	}
}

// normalise writes x / sqrt(mean(x^2) + eps) times the gain j.y, if any, to dst.
func (j *job) normalise(dst, x []float32) {
	s := float32(1 / math.Sqrt(j.kern.sumSqDev(x, 0)/float64(len(x))+float64(j.eps)))
	if j.y == nil {
		j.kern.scale(dst, x, s)
		return
	}
	j.kern.scaleMul(dst, x, j.y, s)
}

// LayerNorm implements [tensor.Backend].
func (b *Backend) LayerNorm(dst, x, w, bias tensor.Tensor, eps float32) {
	if b.err != nil {
		return
	}
	d, a := floats("layernorm", dst), floats("layernorm", x)
	sameShape("layernorm", d, a)
	rows, width := rowsOf(a)
	b.job = job{
		dst: d.f, x: a.f, y: optional("layernorm", w, width), z: optional("layernorm", bias, width),
		width: width, eps: eps, fn: layerRows,
	}
	b.rowUnits(rows, width+20)
}

func layerRows(j *job, _ *worker, i int) {
	lo, hi := j.span(i)
	for r := lo; r < hi; r++ {
		x := j.x[r*j.width : (r+1)*j.width]
		out := j.dst[r*j.width : (r+1)*j.width]
		mean, s := moments(j.kern, x, 1, len(x), j.eps)
		j.kern.affine(out, x, mean, s, 0)
		if j.y != nil {
			j.kern.scaleMul(out, out, j.y, 1)
		}
		if j.z != nil {
			j.kern.add(out, j.z)
		}
	}
}

// moments returns the mean of x and 1/sqrt(variance + eps). x is n parts of width elements, one after the other.
func moments(k *kernels, x []float32, n, width int, eps float32) (mean, scale float32) {
	var sum, dev float64
	for i := range n {
		sum += k.sum(x[i*width : (i+1)*width])
	}
	mean = float32(sum / float64(n*width))
	for i := range n {
		dev += k.sumSqDev(x[i*width:(i+1)*width], mean)
	}
	return mean, float32(1 / math.Sqrt(dev/float64(n*width)+float64(eps)))
}

// GroupNorm implements [tensor.Backend].
func (b *Backend) GroupNorm(dst, x, w, bias tensor.Tensor, groups int, eps float32, silu bool) {
	if b.err != nil {
		return
	}
	d, a := floats("groupnorm", dst), floats("groupnorm", x)
	sameShape("groupnorm", d, a)
	if len(a.shape) != 3 || groups < 1 || a.shape[0]%groups != 0 {
		wrong("groupnorm", "shape %v in %d groups", a.shape, groups)
	}
	c, plane := a.shape[0], a.shape[1]*a.shape[2]
	b.job = job{
		dst: d.f, x: a.f, y: optional("groupnorm", w, c), z: optional("groupnorm", bias, c),
		width: plane, across: c / groups, eps: eps, flag: silu, fn: groupRows,
	}
	b.rowUnits(groups, c/groups*plane)
}

func groupRows(j *job, _ *worker, i int) {
	lo, hi := j.span(i)
	for g := lo; g < hi; g++ {
		at, n := g*j.across*j.width, j.across*j.width
		mean, s := moments(j.kern, j.x[at:at+n], j.across, j.width, j.eps)
		for c := g * j.across; c < (g+1)*j.across; c++ {
			x, out := j.x[c*j.width:(c+1)*j.width], j.dst[c*j.width:(c+1)*j.width]
			mul, add := s, float32(0)
			if j.y != nil {
				mul *= j.y[c]
			}
			if j.z != nil {
				add = j.z[c]
			}
			j.kern.affine(out, x, mean, mul, add)
			if j.flag {
				j.kern.silu(out, out)
			}
		}
	}
}
