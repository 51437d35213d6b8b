package sample

import (
	"slices"

	"unmask/engine"
)

// Processes lists the reverse processes that are not the masked loop, as rows like those of [All] so that the interface
// builds their forms in the same way. New is nil: the session makes them.
var Processes = []Entry{
	{
		Name: "spindle", Title: "Spindle", Paper: "arXiv:2211.15029", Adaptive: true,
		Doc: "DiffusionBERT's own: frequent words are written first, rare ones last, and what stands there may be masked again.",
		Params: []Param{
			{Name: "lambda", Title: "Word frequency", Doc: "How much the frequency of a word changes when it is written; 0 treats all alike.",
				More: "keep = clip(1 - t/T + lambda sin(pi t/T) (w - mean w), 0, 0.999)", Max: 1, Step: 0.05, Default: 0.3},
			choice("predict", "Prediction", "Whether a step uses the whole distribution of words or the most probable one.", 0, "distribution", "best word"),
		},
	},
	{
		Name: "embedding", Title: "Embedding diffusion", Paper: "arXiv:2205.14217", Adaptive: true,
		Doc: "Diffusion-LM's own: noise in place of words moves towards their embeddings and snaps to the nearest.",
		Params: []Param{
			choice("step", "Step", "How a step goes back: with the posterior's noise, or without any.", 0, "DDPM", "DDIM"),
			{Name: "eta", Title: "Eta", Doc: "DDIM: share of the noise that is put back; 0 is deterministic.", Max: 1, Step: 0.05},
			{Name: "clamp", Title: "Clamp", Doc: "Every prediction is replaced by the nearest word's embedding.", Max: 1, Step: 1, Default: 1},
			{Name: "limit", Title: "Noise limit", Doc: "Noise beyond this is drawn again; 0 is no limit.", Max: 4, Step: 0.1},
			{Name: "pull", Title: "Fluency", Doc: "With wanted words: how strongly a step is held to what the model itself would write.",
				More: "classifier's loss + pull |x - mean|^2 / sigma, three Adagrad steps", Max: 1, Step: 0.001, Default: 0.01},
		},
	},
	{
		Name: "renoise", Title: "Renoising", Paper: "arXiv:2608.00146",
		Doc: "DiffusionGemma's own: the most certain tokens are accepted for one step, all others become noise again.",
		Params: []Param{
			{
				Name: "bound", Title: "Bound", Max: 5, Default: 0.1,
				Doc:  "Entropy in nats that a step accepts besides the largest; higher is faster and less exact.",
				More: "The n most certain, n the largest with H(1) + ... + H(n-1) <= bound; at least one; anew in every step.",
			},
			{
				Name: "t_max", Title: "First temperature", Max: 3, Default: 0.8,
				Doc:  "Temperature of the first step's draws; above the last one.",
				More: "T = t_min + (t_max - t_min) * steps left / steps; logits are divided by it.",
			},
			{
				Name: "t_min", Title: "Last temperature", Max: 3, Default: 0.4,
				Doc: "Temperature that the steps fall towards.",
			},
			{
				Name: "stability", Title: "Stable steps", Max: 16, Step: 1, Default: 1,
				Doc: "A canvas may be done when its most probable tokens have stayed for so many steps.",
			},
			{
				Name: "confidence", Title: "Certainty", Max: 1, Default: 0.005,
				Doc: "Mean entropy in nats below which a stable canvas is done; 0 makes all steps.",
			},
		},
		Adaptive: true,
	},
}

// For lists what a model can be run with: its own process first, then the samplers of the masked loop, unless it denoises
// embeddings or has no mask.
func For(spec engine.Spec) []Entry {
	own := slices.DeleteFunc(slices.Clone(Processes), func(e Entry) bool { return e.Name != spec.Process })
	if spec.Continuous || spec.Mask < 0 {
		return own
	}
	return append(own, All...)
}
