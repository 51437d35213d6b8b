package denoise

import (
	"context"
	"testing"

	"unmask/engine"
	"unmask/engine/sample"
	"unmask/engine/schedule"
)

// fuzzRun makes a small run of bytes: any tokens, fixed flags and spans, any settings within a few bits.
func fuzzRun(data []byte) (*Masked, *engine.Sequence, engine.Options, sample.Entry) {
	next := func() int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b)
	}
	e := sample.All[next()%len(sample.All)]
	o := engine.Options{
		Steps: next() % 40, Block: next() % 20, Schedule: schedule.All[next()%len(schedule.All)].Name,
		Temperature: float64(next()%3) / 2, Guidance: float64(next() % 2), Seed: uint64(next()),
		Cache:     []engine.CacheMode{"", engine.CachePrefix, engine.CacheDual}[next()%3],
		StopAtEnd: next()%2 == 0, EndPenalty: float64(next() % 4), BanEnd: next()%2 == 0, Alternatives: next() % 2,
	}
	f := &fake{}
	if next()%2 == 0 {
		f.image = &engine.ImageSpec{Offset: 12, Codebook: 8}
	}
	m := &Masked{Model: f, Answer: engine.Span{Lo: next() % 30, Hi: next() % 60}}
	seq := &engine.Sequence{}
	at := 0
	for len(data) > 0 && len(seq.Tokens) < 48 {
		b := next()
		t := engine.Token(b % testVocab)
		if b >= 128 {
			t = testMask
		}
		seq.Tokens, seq.Fixed = append(seq.Tokens, t), append(seq.Fixed, b%5 == 0)
		if b%11 == 0 { // a span ends here
			seq.Spans = append(seq.Spans, engine.Span{Lo: at, Hi: len(seq.Tokens), Modality: engine.Modality(b % 2)})
			at = len(seq.Tokens)
		}
	}
	seq.Spans = append(seq.Spans, engine.Span{Lo: at, Hi: len(seq.Tokens)})
	return m, seq, o, e
}

// FuzzMasked checks the laws of runs over any small sequence: steps lead from the first to the last state, nothing fixed
// changes, counts are right, and the run ends with an error or with no mask in the answer.
func FuzzMasked(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{5, 9, 4, 1, 2, 1, 7, 2, 0, 1, 0, 1, 0, 3, 40, 1, 2, 3, 200, 201, 202, 203, 204, 205, 206, 207, 208})
	f.Add([]byte{10, 39, 0, 6, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 200, 11, 201, 202, 203, 77, 204, 205, 5, 206, 231, 207})
	f.Add([]byte{9, 3, 5, 0, 1, 1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 129, 130, 131, 132, 133, 134, 135, 136, 137})
	f.Fuzz(func(t *testing.T, data []byte) {
		m, seq, o, e := fuzzRun(data)
		var err error
		if m.Sampler, err = sample.New(e.Name, nil); err != nil {
			t.Fatal(err)
		}
		planned, planErr := m.Passes(seq, o)
		started, replay := seq.Clone(), seq.Clone()
		steps := 0
		for step, err := range m.Steps(context.Background(), seq, o) {
			if err != nil {
				if planErr == nil {
					t.Fatalf("the plan is good and the run fails: %v", err)
				}
				return
			}
			for _, c := range step.Changes {
				if started.Fixed[c.Pos] || replay.Tokens[c.Pos] != c.From {
					t.Fatalf("step %d: change %+v of %d, fixed %v", step.Index, c, replay.Tokens[c.Pos], started.Fixed[c.Pos])
				}
			}
			replay.Apply(step.Changes)
			if n := countMasks(replay); n != step.Masked {
				t.Fatalf("step %d: says %d masked, a recount %d", step.Index, step.Masked, n)
			}
			if steps++; steps > 2000 {
				t.Fatal("the run does not end")
			}
		}
		for i, x := range seq.Tokens {
			if x != replay.Tokens[i] {
				t.Fatalf("position %d: %d, by the steps %d", i, x, replay.Tokens[i])
			}
		}
		if passes := steps * (1 + int(o.Guidance)); !e.Adaptive && passes > planned {
			t.Fatalf("%s: %d passes, %d planned", e.Name, passes, planned)
		}
	})
}
