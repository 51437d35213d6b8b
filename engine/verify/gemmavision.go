package verify

import (
	"context"
	"fmt"
	"image"
	"math"
	"slices"

	"unmask/engine"
	"unmask/engine/models/gemma"
)

// pictures checks the vision tower on recorded patches and leaves the features to the network.
func (g *gemmaFolder) pictures(ctx context.Context) error {
	var cells [][2]int
	if err := g.f.decode("image_cells", &cells); err != nil {
		return err
	}
	pixels, shape, err := g.f.floats("vision.pixel_values")
	if err != nil {
		return err
	}
	places, _, err := g.f.ints("vision.position_ids")
	if err != nil {
		return err
	}
	if len(shape) != 3 || shape[0] != len(cells) || len(places) != 2*shape[0]*shape[1] {
		return fmt.Errorf("vision.pixel_values: %v of %d pictures, %d places", shape, len(cells), len(places))
	}
	all := map[string][]float32{}
	var features []float32
	for i, c := range cells {
		p, where := g.patches(c, shape[1:], pixels[i*shape[1]*shape[2]:])
		if p == nil {
			return fmt.Errorf("vision.pixel_values: picture %d of %v cells in %v", i, c, shape)
		}
		g.f.same(fmt.Sprintf("vision.position_ids.%d", i), where, places[2*i*shape[1]:2*(i+1)*shape[1]], []int{shape[1], 2})
		if i == 0 {
			cos, sin := g.eyes.Rotary(p)
			g.f.near("vision.rope.cos", cos)
			g.f.near("vision.rope.sin", sin)
		}
		g.eyes.Watch(func(name string, x []float32) { all[name] = append(all[name], g.fill(name, x, len(where)/2, cells)...) })
		rows, err := g.eyes.Features(ctx, p)
		g.eyes.Watch(nil)
		if err != nil {
			return err
		}
		features = append(features, rows...)
	}
	for _, name := range sortedKeys(all) {
		if array := "vision." + name; g.f.has(array) {
			g.f.near(array, all[name])
		}
	}
	return g.net.SetFeatures(features)
}

// patches is a picture of c cells of the record, and the places of its patches, -1 where there is padding.
func (g *gemmaFolder) patches(c [2]int, shape []int, pixels []float32) (*gemma.Patches, []int) {
	k := g.eyes.Vision.Pool
	p := &gemma.Patches{Cols: c[0] * k, Rows: c[1] * k}
	n := p.Cols * p.Rows
	if n < 1 || n > shape[0] {
		return nil, nil
	}
	p.Pixels = pixels[:n*shape[1]]
	where := make([]int, 0, 2*shape[0])
	for i := range shape[0] {
		if i < n {
			where = append(where, i%p.Cols, i/p.Cols)
		} else {
			where = append(where, -1, -1)
		}
	}
	return p, where
}

// fill appends the zeros that the record has for padding: patches to n rows, pooled cells to those of the largest picture.
func (g *gemmaFolder) fill(name string, x []float32, n int, cells [][2]int) []float32 {
	switch name {
	case "soft", "features":
		return x
	case "pooled":
		k := g.eyes.Vision.Pool
		n /= k * k
	}
	return append(slices.Clone(x), make([]float32, n*g.eyes.Vision.Width-len(x))...)
}

// images checks the encoder over a prompt with pictures by each of the three rules, and a pass over a canvas behind it.
func (g *gemmaFolder) images(ctx context.Context) error {
	prompt, err := g.row("image.input_ids", 0)
	if err != nil {
		return err
	}
	kinds, _, err := g.f.ints("image.mm_token_type_ids")
	if err != nil {
		return err
	}
	seen, err := g.withPictures(prompt)
	if err != nil {
		return err
	}
	var types []int
	for _, id := range seen {
		kind := 0
		if int(id) >= g.net.Config.Text.Vocab {
			kind = 1
		}
		types = append(types, kind)
	}
	g.f.same("image.mm_token_type_ids", types, kinds, []int{1, len(kinds)})
	canvas, err := g.row("image.canvas_ids", 0)
	if err != nil {
		return err
	}
	for _, rule := range []struct {
		name string
		mask gemma.ImageMask
	}{{"generate", gemma.ImagesGenerate}, {"local", gemma.ImagesLocal}, {"causal", gemma.ImagesCausal}} {
		g.net.Images = rule.mask
		if err := g.read(ctx, seen, nil, true); err != nil {
			return err
		}
		if array := "image.embeds"; !g.f.used[array] {
			g.f.near(array, g.seen["embed"])
		}
		prefix := "image." + rule.name + "."
		if err := g.compare(prefix); err != nil {
			return err
		}
		logits, err := g.refine(ctx, canvas, 1, true)
		if err != nil {
			return err
		}
		g.f.nearIf(prefix+"logits", logits)
	}
	return nil
}

// withPictures replaces the tokens that stand for pictures by the features that pictures left, in their order.
func (g *gemmaFolder) withPictures(prompt []engine.Token) ([]engine.Token, error) {
	id, ok := g.tok.Special(g.eyes.Place)
	if !ok {
		return nil, fmt.Errorf("there is no token %s", g.eyes.Place)
	}
	out := slices.Clone(prompt)
	next := engine.Token(g.net.Config.Text.Vocab)
	for i, t := range out {
		if t == id {
			out[i] = next
			next++
		}
	}
	return out, nil
}

// processor checks how pictures are resized and cut up.
func (g *gemmaFolder) processor(context.Context) error {
	var sizes map[string]struct {
		Width   int    `json:"width"`
		Height  int    `json:"height"`
		TargetW int    `json:"target_width"`
		TargetH int    `json:"target_height"`
		Patches int    `json:"patches"`
		Padded  int    `json:"rows_after_padding"`
		Soft    int    `json:"soft_tokens"`
		Type    string `json:"pixel_dtype"`
	}
	if err := g.f.decode("preprocess", &sizes); err != nil {
		return err
	}
	for _, name := range sortedKeys(sizes) {
		s := sizes[name]
		raw, shape, err := g.f.ints(name + ".image")
		if err != nil {
			return err
		}
		if len(shape) != 3 || shape[2] != 3 || shape[0] != s.Height || shape[1] != s.Width {
			return fmt.Errorf("%s.image: shape %v, want [%d %d 3]", name, shape, s.Height, s.Width)
		}
		p, err := g.eyes.Patches(picture(raw, shape))
		if err != nil {
			return err
		}
		v := g.eyes.Vision
		n := p.Cols * p.Rows
		g.f.same(name, []int{p.Cols * v.Patch, p.Rows * v.Patch, n, n / v.Pool / v.Pool}, []int{s.TargetW, s.TargetH, s.Patches, s.Soft}, []int{4})
		var bytes, where []int
		for _, x := range p.Pixels {
			bytes = append(bytes, int(math.Round(float64(x)*255)))
		}
		for i := range n {
			where = append(where, i%p.Cols, i/p.Cols)
		}
		g.f.equal(name+".patches_u8", bytes)
		g.f.equal(name+".position_ids", where)
	}
	return g.targets()
}

// picture is an array [h, w, 3] of bytes.
func picture(raw, shape []int) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, shape[1], shape[0]))
	for i := range shape[0] * shape[1] {
		for c := range 3 {
			img.Pix[4*i+c] = byte(raw[3*i+c])
		}
		img.Pix[4*i+3] = 255
	}
	return img
}

// targets checks the rule of sizes alone, at the patches of the release.
func (g *gemmaFolder) targets() error {
	const key = "target_sizes_patch16_pool3"
	var cases []struct {
		Height int    `json:"height"`
		Width  int    `json:"width"`
		Soft   int    `json:"max_soft_tokens"`
		Target []int  `json:"target"` // height, width
		Raises string `json:"raises"`
	}
	if err := g.f.decode(key, &cases); err != nil {
		return err
	}
	var got, want []int
	for _, c := range cases {
		w, h, err := gemma.TargetSize(c.Width, c.Height, 16, 3, c.Soft)
		if err != nil {
			w, h = -1, -1
		}
		target := c.Target
		if len(target) != 2 {
			target = []int{-1, -1}
		}
		got, want = append(got, h, w), append(want, target...)
	}
	g.f.same(key, got, want, []int{len(cases), 2})
	return nil
}
