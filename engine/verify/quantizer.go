package verify

import (
	"fmt"

	"unmask/engine"
	"unmask/engine/vq"
)

// verifyQuantizer checks lfq13.*: the quantiser alone, at the release's 13 bits.
func verifyQuantizer(f *folder) error {
	const name = "lfq13."
	z, shape, err := f.floats(name + "z")
	if err != nil {
		return err
	}
	if len(shape) != 4 {
		return fmt.Errorf("lfq13.z: shape %v, want [B, bits, h, w]", shape)
	}
	n, bits := shape[0], shape[1]
	each := len(z) / n
	straight := make([]float32, len(z))
	for i, x := range z {
		straight[i] = vq.StraightThrough(x)
	}
	var through, direct []int
	for i := range n {
		for _, c := range vq.Codes(z[i*each:(i+1)*each], bits, false) {
			through = append(through, int(c))
		}
		for _, c := range vq.Codes(z[i*each:(i+1)*each], bits, true) {
			direct = append(direct, int(c))
		}
	}
	f.near(name+"z_quantized", straight)
	f.equal(name+"indices", through)
	f.equal(name+"indices_direct", direct)
	commit, entropy := quantizerLosses(z, n, bits)
	f.near(name+"quantizer_loss", []float32{float32(commit)})
	f.near(name+"entropy_loss", []float32{float32(entropy)})

	ids, _, err := f.ints(name + "lookup_indices")
	if err != nil {
		return err
	}
	list := make([]engine.Token, len(ids))
	for i, id := range ids {
		list[i] = engine.Token(id)
	}
	lookup := make([]float32, bits*len(list))
	vq.Latents(lookup, list, bits)
	f.near(name+"lookup_z", lookup)
	return nil
}

func wide(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}
