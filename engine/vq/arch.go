// Package vq is the image tokenizer of MMaDA and Show-o: MAGVITv2, a convolutional autoencoder whose latent channels are
// reduced to their signs, so that a code of b bits names one of 2^b corners of a cube (lookup-free quantisation,
// arXiv:2310.05737).
package vq

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"unmask/engine"
	"unmask/engine/weights"
)

// Arch are the sizes of one half of the autoencoder.
type Arch struct {
	Ch        int   `json:"ch"`             // channels at multiplier 1
	Mult      []int `json:"ch_mult"`        // of each level, finest first
	Blocks    []int `json:"num_res_blocks"` // residual blocks of each level
	ZChannels int   `json:"z_channels"`     // bits of a code
}

// Factor is the number of pixels along a side of one cell: a level halves the resolution of the one before.
func (a Arch) Factor() int { return 1 << (len(a.Mult) - 1) }

// width is the number of channels at level i.
func (a Arch) width(i int) int { return a.Ch * a.Mult[i] }

// Archs are the sizes of an autoencoder. Its halves may have different numbers of levels: the decoded picture is then
// larger or smaller than the encoded one.
type Archs struct {
	Encoder Arch    `json:"encoder"`
	Decoder Arch    `json:"decoder"`
	Groups  int     `json:"group_norm_groups"`
	Eps     float64 `json:"group_norm_eps"`
}

// Release are the sizes of showlab/magvitv2, which the released checkpoint does not carry.
var Release = Archs{
	Encoder: Arch{Ch: 128, Mult: []int{1, 2, 2, 4, 4}, Blocks: []int{4, 3, 4, 3, 4}, ZChannels: 13},
	Decoder: Arch{Ch: 128, Mult: []int{1, 1, 2, 2, 4}, Blocks: []int{4, 4, 3, 4, 3}, ZChannels: 13},
	Groups:  32,
	Eps:     1e-6,
}

// The largest sizes that are believed: a picture of MaxFactor times the grid, MaxBits bits, 64 blocks a level.
const (
	maxLevels   = 8
	maxBlocks   = 64
	maxBits     = 20
	maxChannels = 1 << 14
)

// readArch reads architecture.json of set; released is true where there is none and [Release] applies.
func readArch(set *weights.Set) (a Archs, released bool, err error) {
	data, err := set.File("architecture.json")
	if errors.Is(err, fs.ErrNotExist) {
		return Release, true, nil
	}
	if err != nil {
		return a, false, err
	}
	a, err = parseArch(data, set.Path())
	return a, false, err
}

func parseArch(data []byte, path string) (Archs, error) {
	a := Archs{Groups: 32, Eps: 1e-6}
	if err := json.Unmarshal(data, &a); err != nil {
		return a, &engine.FormatError{Format: "architecture.json", Path: path, Err: err}
	}
	return a, a.check(path)
}

func (a Archs) check(path string) error {
	bad := func(item, format string, args ...any) error {
		return &engine.FormatError{Format: "architecture.json", Path: path, Item: item, Reason: fmt.Sprintf(format, args...)}
	}
	if a.Groups < 1 || !(a.Eps > 0 && a.Eps < 1) {
		return bad("group_norm_groups", "%d groups, eps %g; want at least 1 and between 0 and 1", a.Groups, a.Eps)
	}
	for _, h := range []struct {
		name string
		Arch
	}{{"encoder", a.Encoder}, {"decoder", a.Decoder}} {
		switch {
		case len(h.Mult) < 1 || len(h.Mult) > maxLevels:
			return bad(h.name, "%d levels, want 1 to %d", len(h.Mult), maxLevels)
		case len(h.Blocks) != len(h.Mult):
			return bad(h.name, "num_res_blocks has %d levels, ch_mult %d", len(h.Blocks), len(h.Mult))
		case h.ZChannels < 1 || h.ZChannels > maxBits:
			return bad(h.name, "z_channels %d, want 1 to %d", h.ZChannels, maxBits)
		}
		for i := range h.Mult {
			if h.Ch < 1 || h.Ch > maxChannels || h.Mult[i] < 1 || h.width(i) > maxChannels || h.width(i)%a.Groups != 0 {
				return bad(h.name, "level %d has %d x %d channels, want a multiple of %d up to %d", i, h.Ch, h.Mult[i], a.Groups, maxChannels)
			}
			if h.Blocks[i] < 1 || h.Blocks[i] > maxBlocks {
				return bad(h.name, "level %d has %d residual blocks, want 1 to %d", i, h.Blocks[i], maxBlocks)
			}
		}
	}
	if a.Encoder.ZChannels != a.Decoder.ZChannels {
		return bad("z_channels", "%d in the encoder, %d in the decoder", a.Encoder.ZChannels, a.Decoder.ZChannels)
	}
	return nil
}
