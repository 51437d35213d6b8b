package weights

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"unmask/engine"
)

const (
	adapterConfig  = "adapter_config.json"
	adapterWeights = "adapter_model.safetensors"
	adapterPrefix  = "base_model.model."
)

// lora is a low-rank change of one tensor: scale * b a, added to it.
type lora struct {
	a, b      Tensor // [r, k] and [n, r]
	scale     float64
	transpose bool // the tensor is stored [k, n]
}

// peft is adapter_config.json as far as it is read.
type peft struct {
	Type         string             `json:"peft_type"`
	Base         string             `json:"base_model_name_or_path"`
	R            int                `json:"r"`
	Alpha        float64            `json:"lora_alpha"`
	RankPattern  map[string]int     `json:"rank_pattern"`
	AlphaPattern map[string]float64 `json:"alpha_pattern"`
	RSLoRA       bool               `json:"use_rslora"`
	DoRA         bool               `json:"use_dora"`
	FanInFanOut  bool               `json:"fan_in_fan_out"`
}

// isAdapter reports whether the folder at path holds a PEFT adapter and no model of its own.
func isAdapter(path string) bool {
	if _, err := os.Stat(filepath.Join(path, adapterConfig)); err != nil {
		return false
	}
	_, err := os.Stat(filepath.Join(path, "config.json"))
	return err != nil
}

// openAdapter opens a PEFT adapter together with the model that it changes, which its configuration names: a folder, or a
// name whose last part or parts are a folder beside the adapter's.
func openAdapter(dir string) (*Set, error) {
	bad := func(item, format string, args ...any) error {
		return &engine.FormatError{Format: "adapter", Path: filepath.Join(dir, adapterConfig), Item: item, Reason: fmt.Sprintf(format, args...)}
	}
	c, err := readPEFT(dir)
	if err != nil {
		return nil, err
	}
	if c.Base == "" {
		return nil, bad("base_model_name_or_path", "is missing")
	}
	found := ""
	for _, p := range []string{c.Base, filepath.Join(dir, c.Base), filepath.Join(dir, "..", c.Base), filepath.Join(dir, "..", filepath.Base(c.Base))} {
		if info, err := os.Stat(p); err == nil && info.IsDir() && !isAdapter(p) {
			found = p
			break
		}
	}
	if found == "" {
		return nil, bad("base_model_name_or_path", "%q is no folder, neither there nor beside the adapter: put the model there", c.Base)
	}
	return OpenAdapted(found, dir)
}

// OpenAdapted opens the model in folder base as the PEFT adapters in dirs change it, all of them together. The changes of
// low rank add up; of tensors that were trained whole the last adapter's counts.
func OpenAdapted(base string, dirs ...string) (*Set, error) {
	s, err := OpenDir(base)
	if err != nil {
		return nil, fmt.Errorf("base of adapters %q: %w", dirs, err)
	}
	for _, dir := range dirs {
		c, err := readPEFT(dir)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		if s, err = s.adapt(dir, c); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// readPEFT reads an adapter's configuration and refuses what [Set.adapt] cannot apply.
func readPEFT(dir string) (c peft, err error) {
	data, err := readSmall(os.DirFS(dir), adapterConfig, dir)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, &engine.FormatError{Format: "adapter", Path: filepath.Join(dir, adapterConfig), Err: err}
	}
	if c.Type != "LORA" || c.DoRA {
		return c, &engine.FormatError{Format: "adapter", Path: filepath.Join(dir, adapterConfig), Item: "peft_type",
			Err: &engine.UnsupportedError{What: fmt.Sprintf("type %q, use_dora %v", c.Type, c.DoRA), Have: "LORA without DoRA"}}
	}
	return c, nil
}

// adapt lays the adapter in dir over s, which it takes over: on an error s is closed.
func (s *Set) adapt(dir string, c peft) (_ *Set, err error) {
	adapter, err := OpenDir(filepath.Join(dir, adapterWeights))
	if err != nil {
		_ = s.Close() // read-only; the first error tells more
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = s.Close()
			_ = adapter.Close()
		}
	}()
	if s.loras == nil {
		s.loras = map[string][]lora{}
	}
	for _, name := range adapter.Names() {
		t := adapter.tensors[name]
		bad := func(format string, args ...any) error {
			return &engine.FormatError{Format: "adapter", Path: adapter.join(adapterWeights), Item: name, Reason: fmt.Sprintf(format, args...)}
		}
		target, ok := strings.CutPrefix(name, adapterPrefix)
		if !ok {
			return nil, bad("does not begin with %q", adapterPrefix)
		}
		if strings.HasSuffix(target, ".lora_B.weight") {
			continue // with its A
		}
		if module, ok := strings.CutSuffix(target, ".lora_A.weight"); ok {
			b, err := adapter.Tensor(adapterPrefix + module + ".lora_B.weight")
			if err != nil {
				return nil, err
			}
			l, err := c.lora(module, t, b)
			if err != nil {
				return nil, bad("%v", err)
			}
			w, ok := s.tensors[module+".weight"]
			if !ok {
				return nil, bad("the model has no %q", module+".weight")
			}
			if n, k := l.shape(); len(w.Shape) != 2 || w.Shape[0] != n || w.Shape[1] != k {
				return nil, bad("changes [%d %d], %q is %v", n, k, w.Name, w.Shape)
			}
			s.loras[w.Name] = append(s.loras[w.Name], l)
			continue
		}
		// A tensor that was trained whole: a bias, or a module of modules_to_save.
		w, ok := s.tensors[target]
		if !ok || !sameDims(w.Shape, t.Shape) {
			return nil, bad("is %v, %q of the model is %v", t.Shape, target, w.Shape)
		}
		t.Name = target
		s.tensors[target] = t
	}
	s.adapters, s.path = append(s.adapters, adapter), dir
	return s, nil
}

func sameDims(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// lora checks the two factors of a module against the configured rank.
func (c *peft) lora(module string, a, b Tensor) (lora, error) {
	r, alpha := c.R, c.Alpha
	for p, v := range c.RankPattern {
		if matches(p, module) {
			r = v
		}
	}
	for p, v := range c.AlphaPattern {
		if matches(p, module) {
			alpha = v
		}
	}
	if len(a.Shape) != 2 || len(b.Shape) != 2 || r < 1 || a.Shape[0] != r || b.Shape[1] != r {
		return lora{}, fmt.Errorf("factors %v and %v, want rank %d", a.Shape, b.Shape, r)
	}
	l := lora{a: a, b: b, scale: alpha / float64(r), transpose: c.FanInFanOut}
	if c.RSLoRA {
		l.scale = alpha / math.Sqrt(float64(r))
	}
	return l, nil
}

// matches reports whether a pattern of peft names module: the whole name or its end behind a dot.
func matches(pattern, module string) bool {
	re, err := regexp.Compile(`^(?:.*\.)?(?:` + pattern + `)$`)
	if err != nil {
		return module == pattern || strings.HasSuffix(module, "."+pattern)
	}
	return re.MatchString(module)
}

// shape is that of the tensor that l changes.
func (l lora) shape() (n, k int) {
	if l.transpose {
		return l.a.Shape[1], l.b.Shape[0]
	}
	return l.b.Shape[0], l.a.Shape[1]
}

// apply returns w with l added, in float32 and rounded once: to BF16 where w is BF16, else kept F32.
func (l lora) apply(w Tensor) (Tensor, error) {
	out, err := w.Floats()
	if err != nil {
		return Tensor{}, err
	}
	a, err := l.a.Floats()
	if err != nil {
		return Tensor{}, err
	}
	b, err := l.b.Floats()
	if err != nil {
		return Tensor{}, err
	}
	r, k, n := l.a.Shape[0], l.a.Shape[1], l.b.Shape[0]
	row := make([]float32, k)
	for i := range n {
		clear(row)
		for j := range r {
			x := b[i*r+j]
			for c, y := range a[j*k : (j+1)*k] {
				row[c] += x * y
			}
		}
		for c, d := range row {
			if l.transpose {
				out[c*n+i] += d * float32(l.scale)
			} else {
				out[i*k+c] += d * float32(l.scale)
			}
		}
	}
	t := Tensor{Name: w.Name, DType: F32, Shape: w.Shape}
	if w.DType == BF16 {
		t.DType = BF16
		t.Data = make([]byte, 0, 2*len(out))
		for _, x := range out {
			bits := math.Float32bits(x)
			bits += 0x7fff + bits>>16&1 // to nearest, ties to even
			t.Data = binary.LittleEndian.AppendUint16(t.Data, uint16(bits>>16))
		}
		return t, nil
	}
	t.Data = make([]byte, 0, 4*len(out))
	for _, x := range out {
		t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(x))
	}
	return t, nil
}

// readSmall reads a file of at most MaxFile bytes.
func readSmall(fsys fs.FS, name, path string) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", path, err)
	}
	if info.Size() > MaxFile {
		return nil, &engine.FormatError{Format: "checkpoint", Path: filepath.Join(path, name),
			Reason: fmt.Sprintf("%d bytes long, at most %d are read", info.Size(), MaxFile)}
	}
	return fs.ReadFile(fsys, name)
}
