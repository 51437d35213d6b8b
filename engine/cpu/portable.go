package cpu

import (
	"math"
	"unsafe"

	"unmask/engine"
	"unmask/engine/tensor"
)

// portable runs everywhere and is what the other sets are tested against.
var portable = kernels{
	name:      "portable",
	mr:        8,
	nr:        nrPortable,
	f32:       tilePortable,
	bf16:      tileBF16Portable,
	i8:        tileI8Portable,
	words:     1,
	maxBits:   maxBitsPortable,
	packI8:    packIntsPortable,
	unpackI4:  unpackGroupsPortable,
	packF32:   packRowPortable,
	packBF16:  packRoundPortable,
	columns:   columnsPortable,
	sum:       sumPortable,
	sumSqDev:  sumSqDevPortable,
	dotDev:    dotDevPortable,
	maxOf:     maxOfPortable,
	topTwo:    topTwoPortable,
	indexOf:   indexOfPortable,
	candidate: candidatePortable,
	scaleMul:  scaleMulPortable,
	affine:    affinePortable,
	add:       addPortable,
	scale:     scalePortable,
	mix:       mixPortable,
	swiglu:    swigluPortable,
	silu:      siluPortable,
	gelu:      geluPortable,
	rotate:    rotatePortable,
	expSub:    expSubPortable,
}

const nrPortable = 16

func tilePortable(rows, steps int, a, b, c unsafe.Pointer, ldc int, acc bool) {
	as := unsafe.Slice((*float32)(a), (steps+chunkWords-1)/chunkWords*rows*chunkWords)
	bs := unsafe.Slice((*float32)(b), steps*nrPortable)
	cs := unsafe.Slice((*float32)(c), (rows-1)*ldc+nrPortable)
	for r := range rows {
		row := cs[r*ldc : r*ldc+nrPortable]
		for h := 0; h < nrPortable; h += 4 {
			var c0, c1, c2, c3 float32
			out := row[h : h+4 : h+4]
			if acc {
				c0, c1, c2, c3 = out[0], out[1], out[2], out[3]
			}
			for s := 0; s < steps; s += chunkWords {
				at := as[(s/chunkWords*rows+r)*chunkWords:]
				bt := bs[s*nrPortable+h:]
				for i, v := range at[:min(chunkWords, steps-s)] {
					w := bt[i*nrPortable : i*nrPortable+4 : i*nrPortable+4]
					c0 += v * w[0]
					c1 += v * w[1]
					c2 += v * w[2]
					c3 += v * w[3]
				}
			}
			out[0], out[1], out[2], out[3] = c0, c1, c2, c3
		}
	}
}

func tileBF16Portable(rows, steps int, a, b, c unsafe.Pointer, ldc int, acc bool) {
	as := unsafe.Slice((*float32)(a), (steps+chunkWords-1)/chunkWords*rows*chunkWords)
	bs := unsafe.Slice((*uint32)(b), steps/2*nrPortable)
	cs := unsafe.Slice((*float32)(c), (rows-1)*ldc+nrPortable)
	var wide [chunkWords * nrPortable]float32
	for s := 0; s < steps; s += chunkWords {
		n := min(chunkWords, steps-s)
		for i, v := range bs[s/2*nrPortable : (s+n)/2*nrPortable] {
			at := i/nrPortable*2*nrPortable + i%nrPortable
			wide[at] = math.Float32frombits(v << 16)
			wide[at+nrPortable] = math.Float32frombits(v &^ 0xffff)
		}
		tilePortable(rows, n, unsafe.Pointer(&as[s*rows]), unsafe.Pointer(&wide), unsafe.Pointer(&cs[0]), ldc, acc || s > 0)
	}
}

func tileI8Portable(rows, steps int, a, b, c unsafe.Pointer, ldc int, acc bool) {
	as := unsafe.Slice((*float32)(a), (steps+chunkWords-1)/chunkWords*rows*chunkWords)
	bs := unsafe.Slice((*int8)(b), steps*nrPortable)
	cs := unsafe.Slice((*float32)(c), (rows-1)*ldc+nrPortable)
	var wide [chunkWords * nrPortable]float32
	for s := 0; s < steps; s += chunkWords {
		n := min(chunkWords, steps-s)
		for i, v := range bs[s*nrPortable : (s+n)*nrPortable] {
			wide[i] = float32(v)
		}
		tilePortable(rows, n, unsafe.Pointer(&as[s*rows]), unsafe.Pointer(&wide), unsafe.Pointer(&cs[0]), ldc, acc || s > 0)
	}
}

func maxBitsPortable(x []float32) uint32 {
	var m uint32
	for _, v := range x {
		m = max(m, math.Float32bits(v)&0x7fffffff)
	}
	return m
}

func packIntsPortable(dst unsafe.Pointer, x []float32, step int, mul float32) {
	for at := 0; len(x) > 0; at += step {
		out := unsafe.Slice((*float32)(unsafe.Add(dst, at)), chunkWords)
		n := min(chunkWords, len(x))
		for i, v := range x[:n] {
			out[i] = float32(math.RoundToEven(float64(v * mul)))
		}
		clear(out[n:])
		x = x[n:]
	}
}

func sumPortable(x []float32) float64 {
	var s float64
	for _, v := range x {
		s += float64(v)
	}
	return s
}

func sumSqDevPortable(x []float32, mean float32) float64 {
	var s float64
	for _, v := range x {
		d := float64(v - mean)
		s += d * d
	}
	return s
}

func affinePortable(dst, x []float32, sub, mul, add float32) {
	for i, v := range x {
		dst[i] = (v-sub)*mul + add
	}
}

func rotatePortable(x, y, cos, sin []float32) {
	for i, c := range cos {
		a, b, s := x[i], y[i], sin[i]
		x[i], y[i] = a*c-b*s, b*c+a*s
	}
}

func dotDevPortable(e, l []float32, m float32) float64 {
	var s float64
	for i, v := range l {
		s += float64(e[i] * max(v-m, -200))
	}
	return s
}

func topTwoPortable(x []float32, lanes *[32]float32) {
	inf := float32(math.Inf(-1))
	first, second := inf, inf
	for i, v := range x {
		if v != v {
			v = inf
		}
		v = min(v, math.MaxFloat32)
		x[i] = v
		if v > first {
			first, second = v, first
		} else if v > second {
			second = v
		}
	}
	lanes[0], lanes[16] = first, second
}

func indexOfPortable(x []float32, v float32) int {
	for i, u := range x {
		if u == v {
			return i
		}
	}
	return len(x)
}

func candidatePortable(e []float32, key uint64, bound float32) int {
	for i, v := range e {
		if v == 0 {
			continue
		}
		if lower := float32(^tensor.NoiseBits(key, engine.Token(i))>>40) * (1.0 / (1 << 24)); lower < v*bound {
			return i
		}
	}
	return len(e)
}

func mixPortable(dst, u, c []float32, g float32) {
	for i, v := range u {
		dst[i] = v + g*(c[i]-v)
	}
}

func geluPortable(dst, x []float32) {
	// 0.5 x (1 + tanh u) is x sigmoid(2u).
	const a, b = 2 * 0.7978845608028654, 2 * 0.7978845608028654 * 0.044715
	for i, v := range x {
		dst[i] = v / (1 + exp32(-v*(a+b*v*v)))
	}
}

func packRowPortable(dst unsafe.Pointer, x []float32, step int) {
	for at := 0; len(x) > 0; at += step {
		out := unsafe.Slice((*float32)(unsafe.Add(dst, at)), chunkWords)
		n := copy(out, x)
		clear(out[n:])
		x = x[n:]
	}
}

func packRoundPortable(dst unsafe.Pointer, x []float32, step int) {
	for at := 0; len(x) > 0; at += step {
		out := unsafe.Slice((*float32)(unsafe.Add(dst, at)), chunkWords)
		n := min(chunkWords, len(x))
		for i, v := range x[:n] {
			out[i] = fromBF16(roundBF16(v))
		}
		clear(out[n:])
		x = x[n:]
	}
}

func columnsPortable(dst, src unsafe.Pointer, steps, stride, rows, step int) {
	for r := range 16 {
		for s := range steps {
			v := float32(0)
			if r < rows {
				v = *(*float32)(unsafe.Add(src, 4*(r*stride+s)))
			}
			*(*float32)(unsafe.Add(dst, 4*(s*step+r))) = v
		}
	}
}

func scaleMulPortable(dst, x, w []float32, s float32) {
	for i, v := range x {
		dst[i] = v * s * w[i]
	}
}

func addPortable(dst, x []float32) {
	for i, v := range x {
		dst[i] += v
	}
}

func scalePortable(dst, x []float32, s float32) {
	for i, v := range x {
		dst[i] = v * s
	}
}

func swigluPortable(dst, gate, up []float32) {
	for i, g := range gate {
		dst[i] = g / (1 + exp32(-g)) * up[i]
	}
}

func siluPortable(dst, x []float32) {
	for i, v := range x {
		dst[i] = v / (1 + exp32(-v))
	}
}

func maxOfPortable(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

func expSubPortable(dst, x []float32, m, scale float32) float64 {
	var sum float64
	for i, v := range x {
		e := exp32((v - m) * scale)
		dst[i] = e
		sum += float64(e)
	}
	return sum
}

// Constants of exp32 and of its vector twins: x = n ln2 + r with ln2 in two parts, and a polynomial of degree 6 for
// exp(r) on |r| <= ln2/2 (the coefficients of Cephes' expf).
const (
	expHi = 88.722839   // exp of more overflows
	expLo = -103.972084 // exp of less is 0
	log2e = 1.44269504088896341
	ln2Hi = 0.693359375
	ln2Lo = -2.12194440e-4
	expC0 = 1.9875691500e-4
	expC1 = 1.3981999507e-3
	expC2 = 8.3334519073e-3
	expC3 = 4.1665795894e-2
	expC4 = 1.6666665459e-1
	expC5 = 5.0000001201e-1
)

// exp32 is e^x to within 2 units in the last place; NaN gives NaN.
func exp32(x float32) float32 {
	switch {
	case x != x:
		return x
	case x > expHi:
		return float32(math.Inf(1))
	case x < expLo:
		return 0
	}
	// Adding 1.5*2^23 rounds to an integer, which the low bits then hold.
	const magic = 12582912
	t := x*log2e + magic
	k := int32(math.Float32bits(t)) - int32(math.Float32bits(magic))
	n := t - magic
	r := x - n*ln2Hi
	r -= n * ln2Lo
	p := float32(expC0)
	p = p*r + expC1
	p = p*r + expC2
	p = p*r + expC3
	p = p*r + expC4
	p = p*r + expC5
	y := p*r*r + r + 1
	// Two factors, so that results below the normal range come out right.
	return y * pow2(k>>1) * pow2(k-k>>1)
}

// pow2 is 2^n for n in [-126, 127].
func pow2(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }
