// Package models opens checkpoints: it finds the family that config.json names and binds the weights to a backend.
package models

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/models/a2d"
	"unmask/engine/models/bert"
	"unmask/engine/models/dit"
	"unmask/engine/models/dream"
	"unmask/engine/models/gemma"
	"unmask/engine/models/lavida"
	"unmask/engine/models/llada"
	"unmask/engine/models/llada2"
	"unmask/engine/models/lladamoe"
	"unmask/engine/models/lladav"
	"unmask/engine/models/lumina"
	"unmask/engine/models/mmada"
	"unmask/engine/models/siglip"
	"unmask/engine/nn"
	"unmask/engine/tensor"
	"unmask/engine/vq"
	"unmask/engine/weights"
)

// Family is a row of [All].
type Family struct {
	Name string // Spec.Family
	// Types are the model_type values of config.json, and Arch, where several families share one, the architecture that
	// tells this family from them.
	Types []string
	Arch  string
	Paper string
	// Load binds the network and fills Spec's Mask, End, MaxLen, Heads and Tasks; b is fresh.
	Load func(ctx context.Context, src *weights.Set, b *weights.Binder, be tensor.Backend) (*nn.Stack, engine.Spec, error)
	// Eyes, where pictures are read as vectors, binds what makes them. It runs before Load, which reports what is missing.
	Eyes func(ctx context.Context, src *weights.Set, b *weights.Binder, be tensor.Backend) (*siglip.Eyes, error)
	// Canvas, where the network denoises canvases of noise and has no stack, stands in place of Load and Eyes.
	Canvas func(ctx context.Context, src *weights.Set, b *weights.Binder, be tensor.Backend) (*gemma.Network, *gemma.Eyes, engine.Spec, error)
}

// All lists the families. The first row that a config.json fits is taken.
var All = []Family{
	{Name: "llada-v", Types: []string{"llava_llada"}, Arch: "LlavaLLaDAModelLM", Paper: "arXiv:2505.16933", Load: lladav.Open, Eyes: lladav.Eyes},
	{Name: "lavida", Types: []string{"llava_llada"}, Arch: "LlavaLladaForMaskedDiffusion", Paper: "arXiv:2505.16839", Load: lavida.Open, Eyes: lavida.Eyes},
	{Name: "lavida-dream", Types: []string{"llava_dream"}, Paper: "arXiv:2505.16839", Load: lavida.OpenDream, Eyes: lavida.Eyes},
	{Name: "llada-moe", Types: []string{"llada"}, Arch: "LLaDAMoEModelLM", Paper: "arXiv:2509.24389", Load: lladamoe.Open},
	{Name: "lumina-dimoo", Types: []string{"llada"}, Arch: "LLaDAForMultiModalGeneration", Paper: "arXiv:2510.06308", Load: lumina.Open},
	{Name: "llada", Types: []string{"llada"}, Paper: "arXiv:2502.09992", Load: llada.Open},
	{Name: "mmada", Types: []string{"mmada"}, Paper: "arXiv:2505.15809", Load: mmada.Open},
	{Name: "dream", Types: []string{"Dream", "dream"}, Paper: "arXiv:2508.15487", Load: dream.Open},
	{Name: "a2d", Types: []string{"a2d-qwen3", "a2d-qwen2", "a2d-llama"}, Load: a2d.Open},
	{Name: "llada2", Types: []string{"llada2_moe"}, Load: llada2.Open},
	{Name: "diffusionbert", Types: []string{"bert"}, Paper: "arXiv:2211.15029", Load: bert.Open},
	{Name: "mdlm", Types: []string{"mdlm"}, Paper: "arXiv:2406.07524", Load: dit.Open},
	{Name: "bd3lm", Types: []string{"bd3lm"}, Paper: "arXiv:2503.09573", Load: dit.Open},
	{Name: "diffusion-gemma", Types: []string{"diffusion_gemma"}, Paper: "arXiv:2608.00146", Canvas: gemma.Open},
}

// OpenOptions say how to hold a model.
type OpenOptions struct {
	// DType is the arithmetic of products: "f32", "bf16", "i8" and "i4" (answers change a little), or "" for bf16 where the weights
	// are stored in 16 bits and the device has bf16 products, else f32.
	DType string
	// Progress, when not nil, is called with the bytes read so far and in all.
	Progress func(done, total int64)
	// Image is the image tokenizer's checkpoint where it is not the folder "vq" of the model. Open takes it over.
	Image *weights.Set
}

// Model is an open checkpoint on one backend. It is a [engine.Denoiser]; like one, it serves one goroutine at a time.
type Model struct {
	*nn.Stack
	// Config is config.json as it stands.
	Config json.RawMessage
	// Image is the image tokenizer, or nil.
	Image *vq.Tokenizer
	// Eyes make the vectors of pictures, or are nil.
	Eyes *siglip.Eyes
	// Canvas is the network of a family that denoises canvases of noise, and Sight its eyes, or nil; Stack is nil then.
	Canvas *gemma.Network
	Sight  *gemma.Eyes

	spec engine.Spec
	sets []*weights.Set
}

// Open binds the checkpoint src to be. It takes over src: Close of the model closes it, and so does an error. It blocks,
// and checks ctx between layers. The backend stays the caller's and must outlive the model.
func Open(ctx context.Context, src *weights.Set, be tensor.Backend, o OpenOptions) (_ *Model, err error) {
	m := &Model{sets: []*weights.Set{src}}
	if o.Image != nil {
		m.sets = append(m.sets, o.Image)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open model: %w", err), m.Close())
		}
	}()
	if m.Config, err = src.File("config.json"); err != nil {
		return nil, err
	}
	if _, err := src.File("training_args.json"); err == nil {
		return nil, &engine.UnsupportedError{What: src.Path() + ": Diffusion-LM, which denoises embeddings of words",
			Have: "networks that denoise words; a session opens Diffusion-LM"}
	}
	row, err := family(m.Config, src.Path())
	if err != nil {
		return nil, err
	}
	as, err := arithmetic(o.DType, src, be.Device())
	if err != nil {
		return nil, err
	}
	b := weights.NewBinder(src, be, as, o.Progress)
	if row.Canvas != nil {
		if m.Canvas, m.Sight, m.spec, err = row.Canvas(ctx, src, b, be); err != nil {
			return nil, fmt.Errorf("%s: %w", row.Name, err)
		}
		m.identify(row, src, b, as, be)
		return m, nil
	}
	if row.Eyes != nil {
		if m.Eyes, err = row.Eyes(ctx, src, b, be); err != nil {
			return nil, fmt.Errorf("%s: %w", row.Name, err)
		}
	}
	if m.Stack, m.spec, err = row.Load(ctx, src, b, be); err != nil {
		return nil, fmt.Errorf("%s: %w", row.Name, err)
	}
	m.identify(row, src, b, as, be)
	c := m.Stack.Config
	m.spec.Layers, m.spec.Width, m.spec.Vocab, m.spec.MaxLen = c.Layers, c.Width, c.Vocab, c.MaxLen
	m.spec.Vectors = m.Eyes != nil
	m.spec.Heads = m.Stack.Blocks[0].Attn.Heads
	if m.spec.Image == nil {
		return m, nil
	}
	return m, m.openImage(ctx, src, o.Image, be)
}

// identify fills the parts of Spec that say which model it is and how it is held.
func (m *Model) identify(row *Family, src *weights.Set, b *weights.Binder, as tensor.DType, be tensor.Backend) {
	m.spec.Name, m.spec.Family = filepath.Base(src.Path()), row.Name
	if be.Device().Kind != tensor.Nothing { // which reads no weights
		m.spec.Hash = src.Hash()
	}
	m.spec.Params, m.spec.Bytes = b.Params(), b.Bytes()
	m.spec.DType, m.spec.Device = as.String(), be.Device().Name
}

// openImage opens the image tokenizer and completes Spec.Image. Without one the model still answers text. Convolutions
// run in f32: bf16 products would not be faster, and pictures would show the rounding.
func (m *Model) openImage(ctx context.Context, src, image *weights.Set, be tensor.Backend) error {
	if image == nil {
		sub, err := src.Sub("vq")
		if errors.Is(err, fs.ErrNotExist) {
			sub, err = src.Sub("vqvae") // as the diffusers library calls it
		}
		if errors.Is(err, fs.ErrNotExist) {
			m.spec.Image = nil
			m.spec.Tasks = []engine.Task{engine.Chat, engine.Infill}
			return nil
		}
		if err != nil {
			return err
		}
		image = sub
		m.sets = append(m.sets, image)
	}
	t, err := vq.Open(ctx, image, be, tensor.F32)
	if err != nil {
		return err
	}
	is := m.spec.Image
	if is.Free {
		// The vocabulary has rows to spare, and pictures have any size: the one of training is the usual one.
		is.Grid.Cols, is.Grid.Rows = t.Grid()
		is.Codebook = min(is.Codebook, t.Codebook())
	}
	if t.Codebook() != is.Codebook {
		return &engine.FormatError{Format: "config.json", Path: src.Path(), Item: "codebook_size",
			Reason: fmt.Sprintf("%d, but the image tokenizer has %d codes", is.Codebook, t.Codebook())}
	}
	if is.Grid == (engine.Grid{}) || t.Released() {
		// The released config.json says 256 codes, which is stale: the model was trained on 512 x 512 pixels.
		is.Grid = engine.Grid{Cols: 32, Rows: 32}
	}
	t.SetGrid(is.Grid.Cols, is.Grid.Rows)
	is.Width, is.Height = t.Size(is.Grid.Cols, is.Grid.Rows)
	m.Image = t
	m.spec.Bytes += t.Bytes()
	m.spec.Params += t.Params()
	return nil
}

// Spec implements [engine.Denoiser].
func (m *Model) Spec() engine.Spec { return m.spec }

// Forward implements [engine.Denoiser].
func (m *Model) Forward(ctx context.Context, in engine.Input) (engine.Logits, error) {
	if m.Canvas != nil {
		return m.Canvas.Forward(ctx, in)
	}
	return m.Stack.Forward(ctx, in)
}

// KeepLogits lets passes hold up to bytes of logits at one time; see [nn.Stack.KeepLogits].
func (m *Model) KeepLogits(bytes int) {
	if m.Canvas != nil {
		m.Canvas.KeepLogits(bytes)
		return
	}
	m.Stack.KeepLogits(bytes)
}

// Look implements [engine.Looker].
func (m *Model) Look(ctx context.Context, pictures []image.Image) ([]int, error) {
	var look func(context.Context, image.Image) ([]float32, error)
	set := func(rows []float32) error { return m.SetFeatures(rows) }
	if m.Canvas != nil {
		set = m.Canvas.SetFeatures
	}
	switch {
	case m.Eyes != nil:
		look = m.Eyes.Look
	case m.Sight != nil:
		look = m.Sight.Look
	case len(pictures) > 0:
		return nil, &engine.UnsupportedError{What: "a picture with the model " + m.spec.Name}
	}
	var all []float32
	counts := make([]int, len(pictures))
	for i, img := range pictures {
		rows, err := look(ctx, img)
		if err != nil {
			return nil, fmt.Errorf("picture %d: %w", i+1, err)
		}
		counts[i] = len(rows) / m.spec.Width
		all = append(all, rows...)
	}
	return counts, set(all)
}

// Conditioned reports whether the network is told the time of a step.
func (m *Model) Conditioned() bool { return m.Condition != nil }

// Tell sets the time that a conditioned network is told.
func (m *Model) Tell(sigma float64) { m.Condition(sigma) }

// Close implements [io.Closer]: it closes the checkpoint's files. The backend is not closed.
func (m *Model) Close() error {
	var errs []error
	for _, s := range m.sets {
		errs = append(errs, s.Close())
	}
	m.sets = nil
	return errors.Join(errs...)
}

// family finds the row of a config.json.
func family(config []byte, path string) (*Family, error) {
	var c struct {
		ModelType     string   `json:"model_type"`
		Architectures []string `json:"architectures"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, &engine.FormatError{Format: "config.json", Path: path, Err: err}
	}
	var have []string
	for i := range All {
		if slices.Contains(All[i].Types, c.ModelType) && (All[i].Arch == "" || slices.Contains(c.Architectures, All[i].Arch)) {
			return &All[i], nil
		}
		have = append(have, All[i].Types...)
	}
	return nil, &engine.UnsupportedError{What: fmt.Sprintf("%s: model_type %q", path, c.ModelType), Have: strings.Join(slices.Compact(have), ", ")}
}

// arithmetic chooses the type of products.
func arithmetic(name string, src *weights.Set, d tensor.Device) (tensor.DType, error) {
	switch name {
	case "f32":
		return tensor.F32, nil
	case "bf16":
		return tensor.BF16, nil
	case "i8":
		return tensor.I8, nil
	case "i4":
		return tensor.I4, nil
	case "":
	default:
		return 0, &engine.UnsupportedError{What: fmt.Sprintf("arithmetic %q", name), Have: "f32, bf16, i8, i4"}
	}
	if !strings.HasSuffix(d.Kernels, "bf16") && d.Kernels != "amx" {
		return tensor.F32, nil
	}
	var elements int64
	for _, n := range src.Names() {
		t, _, _ := src.Stored(n)
		elements += int64(t.Len())
	}
	if src.Bytes() <= 2*elements {
		return tensor.BF16, nil
	}
	return tensor.F32, nil
}
