package engine

// Card is what is known of a checkpoint before it is loaded.
type Card struct {
	Path    string `json:"path"`
	Name    string `json:"name"`   // of the folder or file
	Family  string `json:"family"` // row of models.All
	Paper   string `json:"paper,omitempty"`
	Format  string `json:"format"` // row of weights.Formats
	Files   int    `json:"files"`  // that hold weights
	Stored  string `json:"stored"` // type of most weights on disk: "BF16"
	Disk    int64  `json:"disk"`   // bytes of the weights on disk
	Params  int64  `json:"params"`
	Licence string `json:"licence,omitempty"` // as the card beside the weights says it; "": it does not
	Base    string `json:"base,omitempty"`    // folder of the model that an adapter changes
	Spec    Spec   `json:"spec"`              // as far as it is known; Hash, Device and DType are not
	// Need is the memory in bytes that the weights take by arithmetic: "f32", "bf16", "i8", "i4".
	Need map[string]int64 `json:"need"`
	// Work is the memory for keys, values and activations of a run over Spec.MaxLen positions, at most 2048.
	Work   int64   `json:"work"`
	Doubts []Doubt `json:"doubts,omitempty"`
}

// Types are the arithmetics of [Card].Need, the widest first.
var Types = []string{"f32", "bf16", "i8", "i4"}

// Doubt is something that may make a model answer garbage although it loads: what it is about and why.
type Doubt struct {
	Item   string `json:"item"` // "mask", "template", "shift", "tokenizer", "word frequencies"
	Reason string `json:"reason"`
}
