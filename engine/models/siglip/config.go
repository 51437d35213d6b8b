package siglip

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"regexp"
	"strconv"
	"strings"

	"unmask/engine"
	"unmask/engine/weights"
)

// Sizes are those of a vision tower.
type Sizes struct {
	Width  int     `json:"hidden_size"`
	FF     int     `json:"intermediate_size"`
	Layers int     `json:"num_hidden_layers"` // of the whole tower; the last one is not run
	Heads  int     `json:"num_attention_heads"`
	Image  int     `json:"image_size"` // pixels along a side of a tile
	Patch  int     `json:"patch_size"`
	Eps    float64 `json:"layer_norm_eps"`
	Act    string  `json:"hidden_act"`
}

// Release are the sizes of google/siglip-so400m-patch14-384 and its successor siglip2, which released checkpoints with a
// tower inside do not carry: their code has them.
var Release = Sizes{Width: 1152, FF: 4304, Layers: 27, Heads: 16, Image: 384, Patch: 14, Eps: 1e-6, Act: "gelu_pytorch_tanh"}

// Side is the number of patches along a side of a tile. Pixels beyond the last whole patch are not seen.
func (s Sizes) Side() int { return s.Image / s.Patch }

// The largest sizes that are believed.
const (
	maxTile   = 4096 // pixels along a side of a tile
	maxWidth  = 1 << 16
	maxLayers = 1 << 10
	maxViews  = 256 // tiles of one picture
)

// settings are the entries of config.json about pictures.
type settings struct {
	Width     int             `json:"mm_hidden_size"`
	Hidden    int             `json:"hidden_size"`
	DModel    int             `json:"d_model"`
	Aspect    string          `json:"image_aspect_ratio"`
	Pinpoints json.RawMessage `json:"image_grid_pinpoints"`
	Merge     string          `json:"mm_patch_merge_type"`
	Projector string          `json:"mm_projector_type"`
	Newline   string          `json:"mm_newline_position"`
}

// readSizes reads vision_config.json of set, or takes [Release].
func readSizes(set *weights.Set) (Sizes, error) {
	data, err := set.File("vision_config.json")
	if errors.Is(err, fs.ErrNotExist) {
		return Release, nil
	}
	if err != nil {
		return Sizes{}, err
	}
	return parseSizes(data, set.Path())
}

func parseSizes(data []byte, path string) (Sizes, error) {
	s := Release
	if err := json.Unmarshal(data, &s); err != nil {
		return s, &engine.FormatError{Format: "vision_config.json", Path: path, Err: err}
	}
	bad := func(item, format string, args ...any) (Sizes, error) {
		return s, &engine.FormatError{Format: "vision_config.json", Path: path, Item: item, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case s.Act != "gelu_pytorch_tanh":
		return s, &engine.UnsupportedError{What: fmt.Sprintf("%s: hidden_act %q of the vision tower", path, s.Act), Have: "gelu_pytorch_tanh"}
	case s.Width < 1 || s.Width > maxWidth:
		return bad("hidden_size", "%d, want 1 to %d", s.Width, maxWidth)
	case s.FF < 1 || s.FF > maxWidth:
		return bad("intermediate_size", "%d, want 1 to %d", s.FF, maxWidth)
	case s.Layers < 2 || s.Layers > maxLayers:
		return bad("num_hidden_layers", "%d, want 2 to %d", s.Layers, maxLayers)
	case s.Heads < 1 || s.Width%s.Heads != 0:
		return bad("num_attention_heads", "width %d is not a multiple of %d heads", s.Width, s.Heads)
	case s.Patch < 1 || s.Image < s.Patch || s.Image > maxTile:
		return bad("image_size", "%d pixels in patches of %d, want at least one patch and at most %d pixels", s.Image, s.Patch, maxTile)
	case !(s.Eps > 0) || s.Eps > 1:
		return bad("layer_norm_eps", "%g, want above 0 and at most 1", s.Eps)
	}
	return s, nil
}

// readSettings reads what config.json says about pictures and refuses what no released checkpoint of these families has.
func readSettings(set *weights.Set) (settings, error) {
	data, err := set.File("config.json")
	if err != nil {
		return settings{}, err
	}
	c := settings{Merge: "spatial_unpad", Projector: "mlp2x_gelu", Newline: "grid", Aspect: "anyres"}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, &engine.FormatError{Format: "config.json", Path: set.Path(), Err: err}
	}
	for _, f := range []struct{ name, value, have string }{
		{"mm_patch_merge_type", c.Merge, "spatial_unpad"},
		{"mm_projector_type", c.Projector, "mlp2x_gelu"},
		{"mm_newline_position", c.Newline, "grid"},
	} {
		if f.value != f.have {
			return c, &engine.UnsupportedError{What: fmt.Sprintf("%s: %s %q", set.Path(), f.name, f.value), Have: f.have}
		}
	}
	if c.Hidden == 0 {
		c.Hidden = c.DModel
	}
	if c.Hidden < 1 || c.Hidden > maxWidth {
		return c, &engine.FormatError{Format: "config.json", Path: set.Path(), Item: "hidden_size", Reason: fmt.Sprintf("%d, want 1 to %d", c.Hidden, maxWidth)}
	}
	return c, nil
}

// most is the largest multiple of a tile's area that the grid of a picture keeps: 4 of "anyres_max_4"; 0: no bound.
func (c settings) most() (int, error) {
	if c.Aspect == "anyres" {
		return 0, nil
	}
	if n, ok := strings.CutPrefix(c.Aspect, "anyres_max_"); ok {
		if m, err := strconv.Atoi(n); err == nil && m > 0 && m <= maxViews {
			return m, nil
		}
	}
	return 0, &engine.UnsupportedError{What: fmt.Sprintf("image_aspect_ratio %q", c.Aspect), Have: "anyres, anyres_max_N"}
}

// span matches "(1x1),...,(6x6)": every grid between the two.
var span = regexp.MustCompile(`\((\d{1,4})x(\d{1,4})\)`)

// resolutions are the sizes in pixels that pictures are padded to, from a list [[w, h], ...] or from a range of grids of
// tiles of side pixels.
func (c settings) resolutions(side int, path string) ([]size, error) {
	bad := func(format string, args ...any) ([]size, error) {
		return nil, &engine.FormatError{Format: "config.json", Path: path, Item: "image_grid_pinpoints", Reason: fmt.Sprintf(format, args...)}
	}
	var list [][2]int
	var text string
	switch {
	case json.Unmarshal(c.Pinpoints, &list) == nil && len(list) > 0:
	case json.Unmarshal(c.Pinpoints, &text) == nil && text != "":
		found := span.FindAllStringSubmatch(text, -1)
		if len(found) < 1 {
			return bad("%q, want (1x1),...,(6x6) or a list of sizes", text)
		}
		number := func(s string) int { n, _ := strconv.Atoi(s); return n } // four digits at most
		first, last := found[0], found[len(found)-1]
		for i := number(first[1]); i <= number(last[1]); i++ {
			for j := number(first[2]); j <= number(last[2]); j++ {
				if len(list) > maxViews*maxViews {
					return bad("%q names more than %d grids", text, len(list))
				}
				list = append(list, [2]int{i * side, j * side})
			}
		}
	default:
		return bad("%.40s, want a list of sizes", c.Pinpoints)
	}
	out := make([]size, len(list))
	for i, p := range list {
		s := size{p[0], p[1]}
		if s.w < side || s.h < side || s.w%side != 0 || s.h%side != 0 || s.w > math.MaxInt32 || s.h > math.MaxInt32 || (s.w/side)*(s.h/side) >= maxViews {
			return bad("%d x %d pixels, want whole tiles of %d pixels, fewer than %d", s.w, s.h, side, maxViews)
		}
		out[i] = s
	}
	return out, nil
}
