package local

import (
	"path/filepath"
	"testing"

	"unmask/engine"
)

// TestModelsThatDoNotChat fills holes with the families of text alone, which know no turns: their text stands between the
// tokens of training, and chats are refused.
func TestModelsThatDoNotChat(t *testing.T) {
	for _, c := range []struct{ dir, family, first string }{
		{"mdlm", "mdlm", "<|endoftext|>"}, {"bd3lm", "bd3lm", "<|endoftext|>"},
		{"diffusionbert", "diffusionbert", "[CLS]"}, {"diffusionbert_layerwise", "diffusionbert", "[CLS]"},
	} {
		t.Run(c.dir, func(t *testing.T) {
			s := session(t, nil)
			spec, err := s.Load(t.Context(), engine.ModelRef{Path: filepath.Join(golden, c.dir), DType: "f32"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if spec.Family != c.family || spec.Can(engine.Chat) || !spec.Can(engine.Infill) {
				t.Errorf("family %q, tasks %v", spec.Family, spec.Tasks)
			}
			run := collect(t, s, engine.Job{Task: engine.Infill, Messages: user("a ___{3} b"), Options: engine.Options{Seed: 3}})
			run.laws(t, spec)
			changed := 0
			for _, step := range run.steps {
				changed += len(step.Changes)
			}
			first := run.started.Sequence
			id, ok := s.model.tok.Special(c.first)
			if changed < 3 || !ok || first.Tokens[0] != id || !first.Fixed[0] {
				t.Errorf("%d changes; the text begins with %d, want %s", changed, first.Tokens[0], c.first)
			}
			for _, err := range s.Run(t.Context(), engine.Job{Task: engine.Chat, Messages: user("Hi")}) {
				if err == nil {
					t.Error("it chats")
				}
				break
			}
		})
	}
}
