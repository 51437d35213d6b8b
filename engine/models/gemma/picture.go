package gemma

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"math"

	"unmask/engine"
	"unmask/engine/vq"
	"unmask/engine/weights"
)

// processor is preprocessor_config.json: how a picture becomes patches.
type processor struct {
	Patch    int       `json:"patch_size"`
	Pool     int       `json:"pooling_kernel_size"`
	Soft     int       `json:"max_soft_tokens"` // most features of a picture
	Resample int       `json:"resample"`
	Resize   *bool     `json:"do_resize"`
	Rescale  *bool     `json:"do_rescale"`
	Norm     bool      `json:"do_normalize"`
	Mean     []float64 `json:"image_mean"`
	Std      []float64 `json:"image_std"`
	Factor   float64   `json:"rescale_factor"`
}

// maxSoft bounds the features of a picture that are believed; the largest of the release are 1120.
const maxSoft = 1 << 14

// readProcessor reads preprocessor_config.json of src, or the image processor in its processor_config.json; with neither,
// the settings are those of the release.
func readProcessor(src *weights.Set, v *Vision) (processor, error) {
	p := processor{Patch: v.Patch, Pool: v.Pool, Soft: 280, Resample: 3, Factor: 1 / 255.0}
	name := "preprocessor_config.json"
	data, err := src.File(name)
	if errors.Is(err, fs.ErrNotExist) {
		name = "processor_config.json"
		if data, err = src.File(name); errors.Is(err, fs.ErrNotExist) {
			return p, nil
		}
		var whole struct {
			Image json.RawMessage `json:"image_processor"`
		}
		if err == nil {
			err = json.Unmarshal(data, &whole)
		}
		if data = whole.Image; data == nil {
			data = []byte("{}")
		}
	}
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil {
		return p, &engine.FormatError{Format: name, Path: src.Path(), Err: err}
	}
	no := func(b *bool) bool { return b != nil && !*b }
	switch {
	case p.Patch != v.Patch || p.Pool != v.Pool:
		return p, &engine.FormatError{Format: name, Path: src.Path(), Item: "patch_size",
			Reason: fmt.Sprintf("%d pixels, %d a cell; the vision tower has %d and %d", p.Patch, p.Pool, v.Patch, v.Pool)}
	case p.Soft < 1 || p.Soft > maxSoft:
		return p, &engine.FormatError{Format: name, Path: src.Path(), Item: "max_soft_tokens", Reason: fmt.Sprintf("%d, want 1 to %d", p.Soft, maxSoft)}
	case p.Resample != 3 || no(p.Resize) || no(p.Rescale) || math.Abs(p.Factor*255-1) > 1e-9 || p.Norm && !identity(p.Mean, p.Std):
		return p, &engine.UnsupportedError{What: src.Path() + ": this " + name, Have: "bicubic resizing, values divided by 255, no mean and deviation"}
	}
	return p, nil
}

// identity reports whether normalising by mean and std changes nothing.
func identity(mean, std []float64) bool {
	for _, m := range mean {
		if m != 0 {
			return false
		}
	}
	for _, s := range std {
		if s != 1 {
			return false
		}
	}
	return true
}

// TargetSize is the size in pixels that a picture of w x h pixels is resized to, up or down: the largest with whole cells of
// pool x pool patches of patch pixels and at most soft cells that keeps the proportions as far as that goes. A side that
// would vanish becomes one cell long.
func TargetSize(w, h, patch, pool, soft int) (tw, th int, err error) {
	cell := patch * pool
	if w < 1 || h < 1 || cell < 1 || soft < 1 {
		return 0, 0, &engine.InputError{Item: "picture", Reason: fmt.Sprintf("%d x %d pixels in cells of %d", w, h, cell)}
	}
	factor := math.Sqrt(float64(soft) * float64(cell) * float64(cell) / (float64(w) * float64(h)))
	tw, th = int(factor*float64(w)/float64(cell))*cell, int(factor*float64(h)/float64(cell))*cell
	longest := soft * cell
	switch {
	case tw == 0 && th == 0:
		return 0, 0, &engine.InputError{Item: "picture", Reason: fmt.Sprintf("%d x %d pixels do not fill a cell of %d", w, h, cell)}
	case th == 0:
		tw, th = min(int(float64(w)/float64(h))*cell, longest), cell
	case tw == 0:
		tw, th = cell, min(int(float64(h)/float64(w))*cell, longest)
	}
	return tw, th, nil
}

// patches resizes img and cuts it up.
func (p processor) patches(img image.Image) (*Patches, error) {
	if img == nil || img.Bounds().Empty() {
		return nil, &engine.InputError{Item: "picture", Reason: "has no pixels"}
	}
	w, h, err := TargetSize(img.Bounds().Dx(), img.Bounds().Dy(), p.Patch, p.Pool, p.Soft)
	if err != nil {
		return nil, err
	}
	small, err := vq.Squash(img, w, h)
	if err != nil {
		return nil, err
	}
	out := &Patches{Cols: w / p.Patch, Rows: h / p.Patch, Pixels: make([]float32, 0, 3*w*h)}
	for i := range out.Cols * out.Rows {
		for y := range p.Patch {
			row := small.Pix[(i/out.Cols*p.Patch+y)*small.Stride+i%out.Cols*p.Patch*4:]
			for x := range p.Patch {
				for _, c := range row[4*x : 4*x+3] {
					out.Pixels = append(out.Pixels, float32(c)/255)
				}
			}
		}
	}
	return out, nil
}

// Patches is img as the tower takes it.
func (e *Eyes) Patches(img image.Image) (*Patches, error) { return e.processor.patches(img) }
