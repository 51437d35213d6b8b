package sample

import "unmask/engine"

// All lists the samplers in the order of the interface.
var All = []Entry{
	{
		Name: "low_confidence", Title: "Low confidence", Paper: "arXiv:2502.09992",
		Doc:    "Unmasks the most probable candidates first and leaves the doubtful ones masked.",
		Params: []Param{orderTemperature},
		New:    newScored(byProb),
	},
	{
		Name: "margin", Title: "Margin", Paper: "arXiv:2502.06768",
		Doc:    "Unmasks where the best candidate is furthest ahead of the second.",
		Params: []Param{orderTemperature},
		New:    newScored(byMargin),
	},
	{
		Name: "entropy", Title: "Entropy", Paper: "arXiv:2508.15487",
		Doc:    "Unmasks where the whole distribution is most certain.",
		Params: []Param{orderTemperature},
		New:    newScored(byEntropy),
	},
	{
		Name: "random", Title: "Random", Paper: "arXiv:2502.09992",
		Doc: "Unmasks positions in random order, the plain reverse process.",
		New: func(engine.Params) (engine.Sampler, error) { return &Random{}, nil },
	},
	{
		Name: "ancestral", Title: "Ancestral", Paper: "arXiv:2406.07524",
		Doc:      "Unmasks each position by a coin of its own, as the mathematics of the process has it.",
		Adaptive: true,
		New:      func(engine.Params) (engine.Sampler, error) { return Ancestral{}, nil },
	},
	{
		Name: "maskgit", Title: "MaskGIT", Paper: "arXiv:2202.04200",
		Doc: "Keeps the least confident masked, with noise on the confidence that fades over the run.",
		Params: []Param{
			{
				Name: "choice_temperature", Title: "Choice temperature", Max: 20, Default: 1,
				Doc:  "Noise on the confidence in the first step; more gives more varied pictures.",
				More: "confidence = ln p + tau * Gumbel.",
			},
			choice("anneal", "Annealing", "How the noise fades.", 0, "linear (MaskGIT)", "compounding (MMaDA)", "not at all (Lumina-DiMOO)"),
			choice("rule", "Count rule", "What the schedule's share is taken of.", 0, "masked at the start (MaskGIT)", "the whole picture (MMaDA)"),
		},
		New: func(p engine.Params) (engine.Sampler, error) {
			return &MaskGIT{ChoiceTemperature: p["choice_temperature"], Compounding: p["anneal"] == 1, Constant: p["anneal"] == 2, WholePicture: p["rule"] == 1}, nil
		},
	},
	{
		Name: "threshold", Title: "Confidence threshold", Paper: "arXiv:2505.22618",
		Doc: "Unmasks everything that is at least this probable, and always the best one.",
		Params: []Param{
			{
				Name: "threshold", Title: "Threshold", Max: 1, Default: 0.9,
				Doc:  "Lower is faster and less exact.",
				More: "Fast-dLLM: all p >= threshold, at least one a step.",
			},
			atLeast,
			choice("at_most", "At most", "The most positions a step unmasks: any number, or what the plan allows up to now (Fast-dLLM for Dream).", 0, "any number", "the plan so far"),
		},
		Adaptive: true,
		New: func(p engine.Params) (engine.Sampler, error) {
			return &Threshold{Bar: float32(p["threshold"]), Quota: p["at_least"] == 1, Planned: p["at_most"] == 1}, nil
		},
	},
	{
		Name: "factor", Title: "Confidence factor", Paper: "arXiv:2505.22618",
		Doc: "Unmasks the largest group whose members are probable enough for a group of that size.",
		Params: []Param{
			{
				Name: "factor", Title: "Factor", Max: 10, Default: 1,
				Doc:  "Higher is faster and less exact.",
				More: "Fast-dLLM: the n most probable, n the largest with p(n) >= 1 - factor/(n+1); at least one.",
			},
			atLeast,
			choice("edge", "Last candidate", "Whether a group that fails only at its last member is taken whole, as the released code does.", 0, "by the rule", "taken"),
		},
		Adaptive: true,
		New: func(p engine.Params) (engine.Sampler, error) {
			return &Factor{Factor: p["factor"], Quota: p["at_least"] == 1, Edge: p["edge"] == 1}, nil
		},
	},
	{
		Name: "entropy_bound", Title: "Entropy bound", Paper: "arXiv:2505.24857",
		Doc: "Unmasks the most certain positions together while their entropies add up to little.",
		Params: []Param{
			{
				Name: "bound", Title: "Bound", Max: 20, Default: 0.1,
				Doc:  "Entropy in nats that a group may hold besides its largest; higher is faster and less exact.",
				More: "The n most certain, n the largest with H(1) + ... + H(n-1) <= bound; at least one.",
			},
			atLeast,
		},
		Adaptive: true,
		New: func(p engine.Params) (engine.Sampler, error) {
			return &EntropyBound{Bound: p["bound"], Quota: p["at_least"] == 1}, nil
		},
	},
	{
		Name: "edit", Title: "Threshold with editing", Paper: "LLaDA 2.1",
		Doc: "Unmasks by confidence and replaces tokens that the model has come to doubt; for models trained to edit.",
		Params: []Param{
			{
				Name: "threshold", Title: "Threshold", Max: 1, Default: 0.95,
				Doc:  "Probability from which a masked position is unmasked.",
				More: "LLaDA 2.1: 0.7 and editing 0.5 for quality, 0.5 and editing 0 for speed.",
			},
			{
				Name: "edit", Title: "Editing threshold", Max: 1, Default: 0.9,
				Doc: "Probability above which another token replaces the one that stands.",
			},
			{
				Name: "extra", Title: "Extra passes", Max: 64, Step: 1, Default: 16,
				Doc: "The most passes that only edit, after the last mask of a block.",
			},
			atLeast,
		},
		Adaptive: true,
		New: func(p engine.Params) (engine.Sampler, error) {
			return &Edit{
				Threshold: Threshold{Bar: float32(p["threshold"]), Quota: p["at_least"] == 1},
				EditBar:   float32(p["edit"]), Extra: int(p["extra"]),
			}, nil
		},
	},
	{
		Name: "remdm", Title: "Remasking", Paper: "arXiv:2503.00307",
		Doc: "Masks some tokens again in every step, so that early mistakes can be taken back.",
		Params: []Param{
			{
				Name: "eta", Title: "Remasking", Max: 1, Default: 0.2,
				Doc:  "How much is masked again; 0 is low confidence.",
				More: "ReMDM: sigma = min(eta, m), eta*m, or eta*m shared out by confidence, m = min(1, (1-a_s)/a_t).",
			},
			choice("strategy", "Strategy", "Which tokens are masked again.", remaskByConfidence, "capped", "rescaled", "by confidence"),
		},
		New: func(p engine.Params) (engine.Sampler, error) {
			return &ReMDM{Eta: p["eta"], Strategy: int(p["strategy"])}, nil
		},
	},
}

// atLeast chooses the floor of adaptive samplers.
var atLeast = choice("at_least", "At least",
	"The fewest positions a step unmasks: one, which may take more steps than planned, or the schedule's quota.", 0, "one", "the quota")
