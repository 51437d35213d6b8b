package local

import (
	"encoding/json"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"unmask/engine"
	"unmask/engine/vq"
)

const tiny = "../../assets/tiny"

// tinyCheck is check.json of the embedded model: what its recipe computed in float64 from the stored weights.
type tinyCheck struct {
	Offset    engine.Token `json:"offset"`
	Mask      engine.Token `json:"mask"`
	Sequences map[string]struct {
		Text     string         `json:"text"`
		IDs      []engine.Token `json:"input_ids"`
		Masked   []int          `json:"masked"`
		Argmax   []int          `json:"argmax"`
		Gap      []float64      `json:"argmax_gap"`
		LogitsAt [][3]float64   `json:"logits"` // position, id, value
	} `json:"sequences"`
	VQ struct {
		Encoded []engine.Token `json:"encode_ids"`
		LeastZ  float64        `json:"least_abs_z"`
		Codes   []engine.Token `json:"decode_codes"`
		Decoded [][5]float64   `json:"decoded"` // row, column, red, green, blue, before clamping
	} `json:"vq"`
}

// openTiny opens the embedded model in f32.
func openTiny(t *testing.T) (*Session, engine.Spec, tinyCheck) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(tiny, "check.json"))
	if err != nil {
		t.Skipf("the embedded model is not there: %v", err)
	}
	var c tinyCheck
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	s := session(t, os.DirFS(tiny))
	spec, err := s.Load(t.Context(), engine.ModelRef{DType: "f32"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, spec, c
}

// TestTinyNetwork compares logits with the recipe's.
func TestTinyNetwork(t *testing.T) {
	s, spec, check := openTiny(t)
	if spec.Mask != check.Mask || spec.Image == nil || spec.Image.Offset != check.Offset {
		t.Fatalf("mask %d, image %+v; want mask %d, offset %d", spec.Mask, spec.Image, check.Mask, check.Offset)
	}
	const tolerance = 2e-3 // f32 against f64; logits are up to about 30
	for name, q := range check.Sequences {
		l, err := s.model.denoiser.Forward(t.Context(), engine.Input{Tokens: q.IDs, Want: q.Masked})
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(q.Masked)*spec.Vocab)
		if err := l.Floats(got, 0); err != nil {
			t.Fatal(err)
		}
		worst := 0.0
		for _, x := range q.LogitsAt {
			i := slices.Index(q.Masked, int(x[0]))
			worst = max(worst, math.Abs(float64(got[i*spec.Vocab+int(x[1])])-x[2]))
		}
		if worst > tolerance {
			t.Errorf("%s: logits are off by %g", name, worst)
		}
		for i, want := range q.Argmax {
			lo := 0
			if name == "t2i" {
				lo = int(check.Offset)
			}
			row := got[i*spec.Vocab+lo : (i+1)*spec.Vocab]
			best := 0
			for j, x := range row {
				if x > row[best] {
					best = j
				}
			}
			if best != want && q.Gap[i] > 2*tolerance {
				t.Errorf("%s: position %d takes %d, want %d", name, q.Masked[i], best, want)
			}
		}
	}
}

// TestTinyPrompts compares the prompts that a session assembles with those of the recipe.
func TestTinyPrompts(t *testing.T) {
	s, spec, check := openTiny(t)
	for name, q := range check.Sequences {
		job := engine.Job{Task: engine.Chat, Messages: user(q.Text), Options: engine.Options{Length: len(q.Masked)}}
		var want []engine.Token
		switch name {
		case "t2i":
			job.Task = engine.TextToImage
		case "mmu":
			g := spec.Image.Grid
			codes := slices.Clone(check.VQ.Codes)
			img, err := s.model.image.DecodeImage(t.Context(), codes, g.Cols, g.Rows)
			if err != nil {
				t.Fatal(err)
			}
			job.Task, job.Image = engine.Describe, img
		case "sum": // the thinking prefix is asked for instead of written out
			job.Options.Think = true
			job.Messages[0].Text = q.Text[len(spec.ThinkStyle):]
		}
		c := collect(t, s, job)
		want = q.IDs
		got := c.started.Sequence.Tokens
		if name == "mmu" { // encoding what was decoded need not give the same codes
			for i := range spec.Image.Grid.Cols * spec.Image.Grid.Rows {
				got[2+i] = want[2+i]
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %v\nwant %v", name, got, want)
		}
	}
}

// TestTinyPictures compares the image tokenizer with the recipe's.
func TestTinyPictures(t *testing.T) {
	s, spec, check := openTiny(t)
	img := image.NewNRGBA(image.Rect(0, 0, 64, 64))
	for y := range 64 {
		for x := range 64 {
			c := color.NRGBA{byte(4 * x), byte(4 * y), byte(2 * (x ^ y)), 255}
			if x >= 20 && x < 44 && y >= 20 && y < 44 {
				c = color.NRGBA{255, 255, 255, 255}
			}
			img.SetNRGBA(x, y, c)
		}
	}
	got, err := s.model.image.EncodePixels(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, check.VQ.Encoded) {
		t.Errorf("codes %v, want %v (least |z| %g)", got, check.VQ.Encoded, check.VQ.LeastZ)
	}
	g := spec.Image.Grid
	out, err := s.model.image.DecodeImage(t.Context(), check.VQ.Codes, g.Cols, g.Rows)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range check.VQ.Decoded {
		p := out.NRGBAAt(int(x[1]), int(x[0]))
		for i, v := range []byte{p.R, p.G, p.B} {
			if d := int(v) - int(vq.ToByte(float32(x[2+i]))); d < -1 || d > 1 {
				t.Errorf("pixel (%g, %g) is %v, want %v", x[1], x[0], p, x[2:])
			}
		}
	}
}
