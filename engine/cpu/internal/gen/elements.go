package main

// elementwise: functions without exponentials.
//
// size: one instruction a line.
func (r rowFunc) elementwise() {
	r.text("scaleMul"+r.name, "(dst, x, w []float32, s float32)", "writes x*s*w to dst.", 76)
	r.args("dst", "x", "w")
	r.i("VBROADCASTSS s+72(FP), %s", r.v(4))
	r.loop([]string{"DI", "SI", "DX"}, func(tail bool) {
		r.load(tail, "SI", 0)
		r.load(tail, "DX", 1)
		r.i("VMULPS %s, %s, %s", r.v(4), r.v(0), r.v(0))
		r.i("VMULPS %s, %s, %s", r.v(1), r.v(0), r.v(0))
		r.store(tail, 0, "DI")
	})
	r.ret()

	r.text("affine"+r.name, "(dst, x []float32, sub, mul, add float32)", "writes (x-sub)*mul + add to dst.", 60)
	r.args("dst", "x")
	r.i("VBROADCASTSS sub+48(FP), %s", r.v(3))
	r.i("VBROADCASTSS mul+52(FP), %s", r.v(4))
	r.i("VBROADCASTSS add+56(FP), %s", r.v(5))
	r.loop([]string{"DI", "SI"}, func(tail bool) {
		r.load(tail, "SI", 0)
		r.i("VSUBPS %s, %s, %s", r.v(3), r.v(0), r.v(0))
		r.i("VFMADD213PS %s, %s, %s", r.v(5), r.v(4), r.v(0))
		r.store(tail, 0, "DI")
	})
	r.ret()

	r.text("add"+r.name, "(dst, x []float32)", "adds x to dst.", 48)
	r.args("dst", "x")
	r.loop([]string{"DI", "SI"}, func(tail bool) {
		r.load(tail, "DI", 0)
		r.load(tail, "SI", 1)
		r.i("VADDPS %s, %s, %s", r.v(1), r.v(0), r.v(0))
		r.store(tail, 0, "DI")
	})
	r.ret()

	r.text("scale"+r.name, "(dst, x []float32, s float32)", "writes x*s to dst.", 52)
	r.args("dst", "x")
	r.i("VBROADCASTSS s+48(FP), %s", r.v(4))
	r.loop([]string{"DI", "SI"}, func(tail bool) {
		r.load(tail, "SI", 0)
		r.i("VMULPS %s, %s, %s", r.v(4), r.v(0), r.v(0))
		r.store(tail, 0, "DI")
	})
	r.ret()

	r.text("mix"+r.name, "(dst, u, c []float32, mul float32)", "writes u + mul*(c-u) to dst, each operation rounded.", 76)
	r.args("dst", "u", "c")
	r.i("VBROADCASTSS mul+72(FP), %s", r.v(4))
	r.loop([]string{"DI", "SI", "DX"}, func(tail bool) {
		r.load(tail, "SI", 0)
		r.load(tail, "DX", 1)
		r.i("VSUBPS %s, %s, %s", r.v(0), r.v(1), r.v(1))
		r.i("VMULPS %s, %s, %s", r.v(4), r.v(1), r.v(1))
		r.i("VADDPS %s, %s, %s", r.v(1), r.v(0), r.v(0))
		r.store(tail, 0, "DI")
	})
	r.ret()

	r.text("rotate"+r.name, "(x, y, cos, sin []float32)", "turns the pairs (x, y).", 96)
	r.args("x", "y", "cos", "sin")
	r.loop([]string{"DI", "SI", "DX", "R8"}, func(tail bool) {
		r.load(tail, "DI", 0)
		r.load(tail, "SI", 1)
		r.load(tail, "DX", 2)
		r.load(tail, "R8", 3)
		r.i("VMULPS %s, %s, %s", r.v(2), r.v(0), r.v(4))
		r.i("VFNMADD231PS %s, %s, %s", r.v(3), r.v(1), r.v(4))
		r.i("VMULPS %s, %s, %s", r.v(2), r.v(1), r.v(5))
		r.i("VFMADD231PS %s, %s, %s", r.v(3), r.v(0), r.v(5))
		r.store(tail, 4, "DI")
		r.store(tail, 5, "SI")
	})
	r.ret()
}

// exp replaces register x by e^x; n, p and t are scratch. NaN stays NaN.
func (r rowFunc) exp(x, n, p, t int) {
	r.i("VMOVUPS %s, %s", c("expHi"), r.v(n))
	r.i("VMINPS %s, %s, %s", r.v(x), r.v(n), r.v(x)) // a NaN in the second source is the result
	r.i("VMOVUPS %s, %s", c("expLo"), r.v(n))
	r.i("VMAXPS %s, %s, %s", r.v(x), r.v(n), r.v(x))
	r.i("VMULPS %s, %s, %s", c("log2e"), r.v(x), r.v(n))
	if r.lanes == 16 {
		r.i("VRNDSCALEPS $8, %s, %s", r.v(n), r.v(n))
	} else {
		r.i("VROUNDPS $8, %s, %s", r.v(n), r.v(n))
	}
	r.i("VFNMADD231PS %s, %s, %s", c("ln2Hi"), r.v(n), r.v(x))
	r.i("VFNMADD231PS %s, %s, %s", c("ln2Lo"), r.v(n), r.v(x))
	r.i("VMOVUPS %s, %s", c("exp0"), r.v(p))
	for _, k := range []string{"exp1", "exp2", "exp3", "exp4", "exp5", "one", "one"} {
		r.i("VFMADD213PS %s, %s, %s", c(k), r.v(x), r.v(p))
	}
	if r.lanes == 16 {
		r.i("VSCALEFPS %s, %s, %s", r.v(n), r.v(p), r.v(x))
		return
	}
	// 2^n in two factors, so that results below the normal range come out right.
	r.i("VCVTPS2DQ %s, %s", r.v(n), r.v(n))
	r.i("VPSRAD $1, %s, %s", r.v(n), r.v(t))
	r.i("VPSUBD %s, %s, %s", r.v(t), r.v(n), r.v(n))
	for _, f := range []int{n, t} {
		r.i("VPADDD %s, %s, %s", c("bias"), r.v(f), r.v(f))
		r.i("VPSLLD $23, %s, %s", r.v(f), r.v(f))
	}
	r.i("VMULPS %s, %s, %s", r.v(n), r.v(p), r.v(p))
	r.i("VMULPS %s, %s, %s", r.v(t), r.v(p), r.v(x))
}

// exponentials: softmax terms and gates.
//
// size: one instruction a line.
func (r rowFunc) exponentials() {
	r.text("expSub"+r.name, "(dst, x []float32, m, scale float32) float64", "writes exp((x-m)*scale) to dst and returns the sum.", 64)
	r.args("dst", "x")
	r.i("VBROADCASTSS m+48(FP), %s", r.v(8))
	r.i("VBROADCASTSS scale+52(FP), %s", r.v(9))
	r.zero(0, 1)
	r.loop([]string{"DI", "SI"}, func(tail bool) {
		r.load(tail, "SI", 2)
		r.i("VSUBPS %s, %s, %s", r.v(8), r.v(2), r.v(2))
		r.i("VMULPS %s, %s, %s", r.v(9), r.v(2), r.v(2))
		r.exp(2, 3, 4, 5)
		r.keep(tail, 2)
		r.store(tail, 2, "DI")
		r.widenAdd(2, 0, 3)
	})
	r.sumDouble(0, 2)
	r.i("VMOVSD X0, ret+56(FP)")
	r.ret()

	// sigmoid leaves x/(1+e^-u) in register x; register u is used up.
	sigmoid := func(x, u int) {
		r.exp(u, 3, 4, 5)
		r.i("VADDPS %s, %s, %s", c("one"), r.v(u), r.v(u))
		r.i("VDIVPS %s, %s, %s", r.v(u), r.v(x), r.v(x))
	}
	negate := func(x, u int) { r.i("VXORPS %s, %s, %s", c("sign"), r.v(x), r.v(u)) }

	r.text("swiglu"+r.name, "(dst, gate, up []float32)", "writes silu(gate)*up to dst.", 72)
	r.args("dst", "gate", "up")
	r.loop([]string{"DI", "SI", "DX"}, func(tail bool) {
		r.load(tail, "SI", 0)
		negate(0, 2)
		sigmoid(0, 2)
		r.load(tail, "DX", 1)
		r.i("VMULPS %s, %s, %s", r.v(1), r.v(0), r.v(0))
		r.store(tail, 0, "DI")
	})
	r.ret()

	r.text("silu"+r.name, "(dst, x []float32)", "writes x*sigmoid(x) to dst.", 48)
	r.args("dst", "x")
	r.loop([]string{"DI", "SI"}, func(tail bool) {
		r.load(tail, "SI", 0)
		negate(0, 2)
		sigmoid(0, 2)
		r.store(tail, 0, "DI")
	})
	r.ret()

	r.text("gelu"+r.name, "(dst, x []float32)", "writes the tanh form of GELU of x to dst: x*sigmoid(2u).", 48)
	r.args("dst", "x")
	r.loop([]string{"DI", "SI"}, func(tail bool) {
		r.load(tail, "SI", 0)
		r.i("VMULPS %s, %s, %s", r.v(0), r.v(0), r.v(1))
		r.i("VMOVUPS %s, %s", c("geluB"), r.v(2))
		r.i("VFMADD213PS %s, %s, %s", c("geluA"), r.v(1), r.v(2))
		r.i("VMULPS %s, %s, %s", r.v(0), r.v(2), r.v(2))
		negate(2, 2)
		sigmoid(0, 2)
		r.store(tail, 0, "DI")
	})
	r.ret()
}
