package verify

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/weights"
)

const (
	goldenJSON   = "golden.json"
	goldenArrays = "golden.safetensors"
	maxJSON      = 64 << 20 // bytes
)

// folder is an open fixture. Its accessors note what was used, so that nothing recorded goes unchecked.
type folder struct {
	dir    string
	system string
	opt    Options
	golden map[string]json.RawMessage
	arrays *weights.Set
	// runs that a check covers, arrays that a check reads, entries of golden.json that a check decodes
	covered map[string]bool
	used    map[string]bool
	decoded map[string]bool
	tol     map[string]tolerance
	checks  []Check
	onClose []func() error
}

// tolerance is an entry of golden.json's "tolerances", in either of its forms.
type tolerance struct {
	Err32  *float64 `json:"max_abs_err_f32_vs_f64"` // text fixtures
	Max    float64  `json:"max_abs_value"`
	Atol   *float64 `json:"atol"` // multimodal fixtures
	BF16   *float64 `json:"max_abs_diff_bf16_run_vs_f32_run"`
	Far    *float64 `json:"max_abs_distance_to_f32"` // of a pass in bf16, in the gemma fixture
	Err64  float64  `json:"float64_abs_err"`
	MaxAbs float64  `json:"max_abs"`
}

func openFolder(dir string, opt Options) (*folder, error) {
	f := &folder{dir: dir, opt: opt, covered: map[string]bool{}, used: map[string]bool{}, decoded: map[string]bool{}, tol: map[string]tolerance{}}
	if err := readJSON(filepath.Join(dir, goldenJSON), &f.golden); err != nil {
		return nil, err
	}
	if raw, ok := f.golden["tolerances"]; ok {
		if err := json.Unmarshal(raw, &f.tol); err != nil {
			return nil, &engine.FormatError{Format: "golden", Path: filepath.Join(dir, goldenJSON), Item: "tolerances", Err: err}
		}
	}
	if raw, ok := f.golden["system"]; ok {
		if err := json.Unmarshal(raw, &f.system); err != nil {
			return nil, &engine.FormatError{Format: "golden", Path: filepath.Join(dir, goldenJSON), Item: "system", Err: err}
		}
	} else {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		f.system = filepath.Base(abs)
	}
	var err error
	f.arrays, err = weights.OpenDir(filepath.Join(dir, goldenArrays))
	return f, err
}

// readJSON decodes a file of at most maxJSON bytes.
func readJSON(path string, into any) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() > maxJSON {
		return &engine.FormatError{Format: "golden", Path: path, Reason: fmt.Sprintf("%d bytes long, at most %d are read", info.Size(), maxJSON)}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return &engine.FormatError{Format: "golden", Path: path, Err: err}
	}
	return nil
}

func (f *folder) close() {
	for _, c := range slices.Backward(f.onClose) {
		_ = c() // read-only files and memory; nothing can be lost
	}
	_ = f.arrays.Close()
}

// decode unmarshals the golden.json entry named key.
func (f *folder) decode(key string, into any) error {
	raw, ok := f.golden[key]
	if !ok {
		return fmt.Errorf("golden.json has no %q", key)
	}
	f.decoded[key] = true
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("golden.json: %q: %w", key, err)
	}
	return nil
}

// has reports whether the fixture holds array name.
func (f *folder) has(name string) bool { return f.arrays.Has(name) }

// names lists the arrays whose name starts with prefix, sorted.
func (f *folder) names(prefix string) []string {
	var out []string
	for _, n := range f.arrays.Names() {
		if strings.HasPrefix(n, prefix) {
			out = append(out, n)
		}
	}
	return out
}

// floats returns array name as float32 and marks it as used. A missing array is an error.
func (f *folder) floats(name string) ([]float32, []int, error) {
	t, err := f.arrays.Tensor(name)
	if err != nil {
		return nil, nil, err
	}
	f.used[name] = true
	v, err := t.Floats()
	return v, t.Shape, err
}

// float64s returns array name as float64 and marks it as used.
func (f *folder) float64s(name string) ([]float64, []int, error) {
	t, err := f.arrays.Tensor(name)
	if err != nil {
		return nil, nil, err
	}
	f.used[name] = true
	v, err := t.Float64s()
	return v, t.Shape, err
}

// ints returns the integer or boolean array name and marks it as used.
func (f *folder) ints(name string) ([]int, []int, error) {
	t, err := f.arrays.Tensor(name)
	if err != nil {
		return nil, nil, err
	}
	f.used[name] = true
	v, err := t.Ints()
	if err != nil {
		return nil, nil, err
	}
	out := make([]int, len(v))
	for i, x := range v {
		out[i] = int(x)
	}
	return out, t.Shape, nil
}

// add appends a check.
func (f *folder) add(c Check) {
	if f.rough() {
		return
	}
	if f.opt.Only == "" || strings.Contains(c.Name, f.opt.Only) {
		f.checks = append(f.checks, c)
	}
}

// fail appends a check that failed for reason err.
func (f *folder) fail(name string, err error) { f.add(Check{Name: name, Note: err.Error()}) }

// bound is the largest allowed error of array name, exactly the rule of the fixture's description: eight times the error
// of one float32 order of summation and at least a millionth of the largest value, or the given atol. An array whose
// recorded error is 0 must match exactly.
func (f *folder) bound(name string) (float64, error) {
	t, ok := f.tol[name]
	switch {
	case ok && t.Atol != nil:
		return *t.Atol, nil
	case ok && t.Err32 != nil && *t.Err32 == 0:
		return 0, nil
	case ok && t.Err32 != nil:
		return max(8**t.Err32, 1e-6*t.Max), nil
	}
	return 0, fmt.Errorf("golden.json gives no tolerance for it")
}

// near compares got with array name within the fixture's own tolerance.
func (f *folder) near(name string, got []float32) {
	tol, err := f.bound(name)
	if err != nil {
		f.fail(name, err)
		return
	}
	f.nearWithin(name, name, got, tol)
}

// nearIf is near where the fixture has the array: copies of fixtures leave some out.
func (f *folder) nearIf(name string, got []float32) {
	if f.has(name) {
		f.near(name, got)
	}
}

// nearWithin compares got with array name within tol under the check name check.
func (f *folder) nearWithin(check, name string, got []float32, tol float64) {
	want, shape, err := f.float64s(name)
	if err != nil {
		f.fail(check, err)
		return
	}
	wide := make([]float64, len(got))
	for i, x := range got {
		wide[i] = float64(x)
	}
	if f.rough() {
		f.nearRoughly(check, wide, want)
		return
	}
	f.add(compare(check, wide, want, shape, tol))
}

// rough reports whether products are not those of f32.
func (f *folder) rough() bool { return f.opt.DType != "" && f.opt.DType != "f32" }

// nearRoughly compares what a forward pass gave in a rough arithmetic.
func (f *folder) nearRoughly(name string, got, want []float64) {
	if !strings.HasPrefix(name, "forward") || strings.Contains(name, "bf16") || f.opt.Only != "" && !strings.Contains(name, f.opt.Only) {
		return
	}
	c := Check{Name: name, Err: math.Inf(1), Tol: RoughBounds[f.opt.DType]}
	if slices.ContainsFunc(f.names("forward"), func(n string) bool { return strings.Contains(n, ".router") }) {
		c.Tol = SparseBounds[f.opt.DType]
	}
	if len(got) == len(want) {
		var off, size float64
		for i, w := range want {
			off += (got[i] - w) * (got[i] - w)
			size += w * w
		}
		c.Err = math.Sqrt(off / max(size, math.SmallestNonzeroFloat64))
	}
	c.Pass = c.Err <= c.Tol
	f.checks = append(f.checks, c)
}

// compare makes the check of two float arrays. Different lengths fail; two equal infinities agree.
func compare(name string, got, want []float64, shape []int, tol float64) Check {
	if len(got) != len(want) {
		return Check{Name: name, Err: math.Inf(1), Tol: tol, Note: fmt.Sprintf("%d values, want %d (shape %v)", len(got), len(want), shape)}
	}
	worst, at := 0.0, -1
	for i := range got {
		d := math.Abs(got[i] - want[i])
		if got[i] == want[i] {
			d = 0
		}
		if d > worst || d != d {
			worst, at = d, i
		}
		if d != d {
			worst = math.Inf(1)
			break
		}
	}
	c := Check{Name: name, Err: worst, Tol: tol, Pass: worst <= tol}
	if !c.Pass {
		c.Note = fmt.Sprintf("at %v: %g, want %g", index(at, shape), got[at], want[at])
	}
	return c
}

// same compares integers under the check name; shape is for the message.
func (f *folder) same(name string, got, want, shape []int) {
	if len(got) != len(want) {
		f.add(Check{Name: name, Err: math.Inf(1), Note: fmt.Sprintf("%d values, want %d", len(got), len(want))})
		return
	}
	differ, at := 0, -1
	for i := range got {
		if got[i] != want[i] {
			if at < 0 {
				at = i
			}
			differ++
		}
	}
	c := Check{Name: name, Err: float64(differ), Pass: differ == 0}
	if !c.Pass {
		c.Note = fmt.Sprintf("%d of %d differ, first at %v: %d, want %d", differ, len(got), index(at, shape), got[at], want[at])
	}
	f.add(c)
}

// equal compares got with integer array name.
func (f *folder) equal(name string, got []int) {
	want, shape, err := f.ints(name)
	if err != nil {
		f.fail(name, err)
		return
	}
	f.same(name, got, want, shape)
}

// index is the position of flat index i in shape.
func index(i int, shape []int) []int {
	out := make([]int, len(shape))
	for d, n := range slices.Backward(shape) {
		if n > 0 {
			out[d] = i % n
			i /= n
		}
	}
	return out
}
