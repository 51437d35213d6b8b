package verify

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// recordingFacts are entries of golden.json about how the fixture was made; nothing can be compared with them.
var recordingFacts = []string{
	"diffusers_pipeline_gives_the_same_tokens", "diffusers", "float64_integer_disagreements", "largest_logit_difference_of_other_official_code_paths",
	"multinomial_equals_argmax_p_over_exponential", "seed", "seeds", "set", "source", "system", "tolerances", "torch", "transformers", "versions",
}

// checkCovered fails every array that no check read, every run that no check covered and every entry of golden.json that
// no check decoded, and compares the list of arrays with what is there.
func (f *folder) checkCovered() {
	f.checkArrays()
	for _, n := range f.arrays.Names() {
		if !f.used[n] {
			f.add(Check{Name: n, Note: "no check reads this array"})
		}
	}
	var runs map[string]json.RawMessage
	if raw, ok := f.golden["runs"]; ok && json.Unmarshal(raw, &runs) != nil {
		f.add(Check{Name: "runs", Note: "golden.json: runs is not an object"})
	}
	for _, n := range sortedKeys(runs) {
		if !f.covered[n] {
			f.add(Check{Name: "run." + n, Note: "no check covers this run"})
		}
	}
	for _, key := range sortedKeys(f.golden) {
		fact := slices.Contains(recordingFacts, key) || strings.HasSuffix(key, ".min_abs_z")
		if !fact && !f.decoded[key] {
			f.add(Check{Name: key, Note: "no check reads this entry of golden.json"})
		}
	}
}

// checkArrays compares golden.json's "tensors", where it is there, with the names and shapes of the arrays.
func (f *folder) checkArrays() {
	var list map[string]struct {
		Shape []int `json:"shape"`
	}
	if _, ok := f.golden["tensors"]; !ok || f.decoded["tensors"] {
		return // a system that decodes it has another use for it
	}
	if err := f.decode("tensors", &list); err != nil {
		f.fail("tensors", err)
		return
	}
	var wrong []string
	for _, n := range sortedKeys(list) {
		t, err := f.arrays.Tensor(n)
		if err != nil || !slices.Equal(t.Shape, list[n].Shape) {
			wrong = append(wrong, n)
		}
	}
	for _, n := range f.arrays.Names() {
		if _, ok := list[n]; !ok {
			wrong = append(wrong, n)
		}
	}
	f.add(Check{Name: "tensors", Err: float64(len(wrong)), Pass: len(wrong) == 0, Note: strings.Join(wrong, ", ")})
}

// finite maps what JSON cannot hold to -1.
func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return -1
	}
	return x
}

// number compares one integer of golden.json with ours.
func (f *folder) number(key string, got int) {
	var want int
	if err := f.decode(key, &want); err != nil {
		f.fail(key, err)
		return
	}
	c := Check{Name: key, Err: math.Abs(float64(got - want)), Pass: got == want}
	if !c.Pass {
		c.Note = fmt.Sprintf("%d, want %d", got, want)
	}
	f.add(c)
}
