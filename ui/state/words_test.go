package state

import (
	"slices"
	"testing"

	"unmask/engine"
)

func TestWordsAreReadAsTheyAreWritten(t *testing.T) {
	words, err := ParseWords(" 0 Dear Anna ;12: thank you;")
	if want := []engine.Word{{At: 0, Text: "Dear Anna"}, {At: 12, Text: " thank you"}}; err != nil || !slices.Equal(words, want) {
		t.Fatalf("%+v, %v", words, err)
	}
	again, err := ParseWords(WriteWords(words))
	if err != nil || !slices.Equal(again, words) {
		t.Errorf("%q is read as %+v, %v", WriteWords(words), again, err)
	}
	for _, bad := range []string{"word", "-1 a", "3", "x 1"} {
		if _, err := ParseWords(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	if got := ParseList(" a, b ,,c"); !slices.Equal(got, []string{"a", "b", "c"}) || ParseList(" ") != nil {
		t.Errorf("%q", got)
	}
}

// TestConstraintsGoWithTheNextRun fixes and bans words and sees them in the job.
func TestConstraintsGoWithTheNextRun(t *testing.T) {
	s := New()
	s.Model.Loaded = true
	s.Model.Spec = engine.Spec{Tasks: engine.Tasks, MaxLen: 512}
	f := Fresh{ID: "one", Seed: 1}
	s, _ = Update(s, SetWords{PaneChat, []engine.Word{{At: 3, Text: " so"}}}, f)
	o := s.Options(engine.Chat)
	o.BanWords, o.BanEnd = []string{"because"}, true
	s, _ = Update(s, SetOptions{engine.Chat, o}, f)
	s, _ = Update(s, EditDraft{PaneChat, "why"}, f)
	s, _ = Update(s, Submit{PaneChat}, Fresh{ID: "two", Seed: 2})
	r := s.Runs["two"]
	if len(r.Job.Words) != 1 || r.Job.Words[0].At != 3 || !slices.Equal(r.Job.Options.BanWords, []string{"because"}) || !r.Job.Options.BanEnd {
		t.Errorf("the job is %+v", r.Job)
	}
}
