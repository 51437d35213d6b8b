package run_test

import (
	"encoding/binary"
	"image"
	"testing"
	"time"

	"unmask/engine"
	"unmask/ui/run"
)

// FuzzRun feeds events made of arbitrary numbers, as a broken trace would: whatever is accepted, states and counts agree
// and nothing panics.
func FuzzRun(f *testing.F) {
	f.Add([]byte{4, 0, 4, 2, 2, 1, 0, 0, 0, 9, 0, 3, 1, 2, 9})
	f.Add([]byte{0, 255, 255, 1, 1, 3, 0, 0})
	f.Add([]byte{200, 3, 250, 20, 10, 2, 2, 1, 7, 7, 0, 1, 7, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		next := func() int {
			if len(b) < 2 {
				b = nil
				return 0
			}
			v := int(int16(binary.LittleEndian.Uint16(b)))
			b = b[2:]
			return v
		}
		small := func(n int) int { return ((next() % n) + n) % n }
		l := small(300)
		st := &engine.Started{Answer: engine.Span{Lo: next() % 310, Hi: next() % 310}, Grid: engine.Grid{Cols: next(), Rows: next()}, Steps: next(),
			Spec: engine.Spec{Mask: 1, End: []engine.Token{2}}, Sequence: &engine.Sequence{Tokens: make([]engine.Token, l), Fixed: make([]bool, l)}}
		for i := range l {
			st.Sequence.Tokens[i] = engine.Token(i % 5)
			st.Sequence.Fixed[i] = i%7 == 0
		}
		for range small(4) {
			st.Sequence.Spans = append(st.Sequence.Spans, engine.Span{Lo: next() % 310, Hi: next() % 310, Modality: engine.Modality(small(2))})
		}
		r := new(run.Run)
		ok := r.Add(st) == nil
		for len(b) > 0 {
			s := engine.Step{Index: next(), Block: engine.Span{Lo: next(), Hi: next()}, Masked: next(), Forward: time.Duration(next())}
			for range small(6) {
				s.Changes = append(s.Changes, engine.Change{Pos: next() % 310, To: engine.Token(small(4)), Kind: engine.ChangeKind(small(4)), Text: "x"})
			}
			if r.Add(s) == nil && !ok {
				t.Fatal("a step of a run that never started is accepted")
			}
			_ = r.Add(&engine.Preview{Step: next(), Image: image.NewNRGBA(image.Rect(0, 0, 1, 1))})
		}
		for _, n := range []int{-1, 0, r.Len() / 2, r.Len(), 1 << 30} {
			s := r.At(n)
			masked := 0
			for _, c := range s.Cells {
				if c.Masked {
					masked++
				}
			}
			if masked != s.Masked || len(s.Cells) != r.Positions() {
				t.Fatalf("state %d: %d masked, says %d; %d cells of %d", n, masked, s.Masked, len(s.Cells), r.Positions())
			}
			s.Answered()
			r.Preview(n)
			r.Elapsed(n)
			r.History(0, n)
		}
		var left run.Left
		left.Update(r, time.Second)
		var p run.Player
		p.Toggle(r)
		p.Tick(r, time.Hour)
	})
}
