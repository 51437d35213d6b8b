package denoise

import (
	"fmt"
	"math"

	"unmask/engine"
	"unmask/engine/schedule"
)

// block is a stretch that is finished before the next begins.
type block struct {
	span   engine.Span
	answer engine.Span // the part of span's modality that blocks divide
	begun  int         // passes of the plan that an earlier run made
	steps  int         // planned passes, at least 1
	masked int         // free masked positions before its first pass, or before the first pass of the run that began it
	sched  schedule.Schedule
	quotas []int // [steps]
	after  []int // [steps] masked after each step by the plan
}

// quota is how many of the masked positions pass i is asked to unmask. Schedules by share keep to the planned number of
// masks left, also after steps that unmasked more than their quota; "uniform" keeps to its counts. exact keeps the
// quotas as they are.
func (b *block) quota(i, masked int, exact bool) int {
	switch {
	case i >= b.steps:
		return min(1, masked)
	case exact && b.sched.Rate != nil:
		return int(float32(masked) * b.sched.Chance(b.begun+i, b.begun+b.steps))
	case b.sched.Counts != nil && exact:
		return min(b.quotas[i], masked)
	case b.sched.Masked == nil && (exact || i < b.steps-1):
		return min(b.quotas[i], masked)
	case i == b.steps-1:
		return masked
	}
	return min(max(masked-b.after[i], 1), masked)
}

// left is MMaDA's count of masks after pass i, see [engine.View].
func (b *block) left(i int) int {
	if i >= b.steps {
		return 0
	}
	return b.sched.Left(b.span.Len(), b.begun+i, b.begun+b.steps)
}

// Passes is how many forward passes a run over seq is planned to take; a guided one counts twice. Samplers that count by
// their own rule take fewer or more.
func (m *Masked) Passes(seq *engine.Sequence, o engine.Options) (int, error) {
	blocks, err := m.plan(seq, m.blocks(o))
	if err != nil {
		return 0, fmt.Errorf("denoise: %w", err)
	}
	n := 0
	for _, b := range blocks {
		n += b.steps
	}
	switch {
	case o.GuidanceImage != 0:
		n *= 3
	case o.Guidance != 0:
		n *= 2
	}
	return n, nil
}

// plan divides the free masked positions into blocks, left to right, and the steps among the blocks in proportion to
// their masks, at least one each. A block has no more steps than masks. A picture is one block.
func (m *Masked) plan(seq *engine.Sequence, o engine.Options) ([]block, error) {
	// size: one pass over the sequence, whose cases share its variables.
	if err := check(seq, o); err != nil {
		return nil, err
	}
	if o.GuidanceImage != 0 && m.GuideImage == nil {
		return nil, &engine.UnsupportedError{What: fmt.Sprintf("guidance %g by a picture in a run over none", o.GuidanceImage)}
	}
	sched, err := m.schedule(o)
	if err != nil {
		return nil, err
	}
	mask := m.Model.Spec().Mask
	var blocks []block
	for _, s := range seq.Spans {
		answer := m.answer(seq, s, mask)
		length := answer.Len()
		if s.Modality == engine.Text && o.Block > 0 {
			length = o.Block
		}
		origin := m.origin(answer)
		for lo, hi := answer.Lo, 0; lo < answer.Hi; lo = hi {
			hi = min(origin+((lo-origin)/length+1)*length, answer.Hi)
			b := block{span: engine.Span{Lo: lo, Hi: hi, Modality: s.Modality}, answer: answer, sched: sched}
			for p := b.span.Lo; p < b.span.Hi; p++ {
				if seq.Tokens[p] == mask && !seq.Fixed[p] {
					b.masked++
				}
			}
			if b.masked > 0 {
				blocks = append(blocks, b)
			}
		}
	}
	total := 0
	for _, b := range blocks {
		total += b.masked
	}
	steps := o.Steps
	if steps == 0 {
		steps = total
	}
	if m.goOn(seq, blocks, steps) {
		return blocks, nil
	}
	done, spent := 0, 0
	for i := range blocks {
		b := &blocks[i]
		done += b.masked
		// Half-way cases round up, so that equal blocks get equal steps where these divide.
		upTo := int((int64(steps)*int64(done)*2 + int64(total)) / (2 * int64(total)))
		b.steps = max(upTo-spent, 1)
		spent = max(upTo, spent)
		if !m.Quirks.EveryStep {
			b.steps = min(b.steps, b.masked)
		}
		if m.BlockSteps > 0 {
			b.steps = m.BlockSteps
		}
		b.share(b.masked)
	}
	return blocks, nil
}

// share shares positions out among the passes of the plan, those that were made before included.
func (b *block) share(positions int) {
	b.quotas = b.sched.AppendQuotas(nil, positions, b.begun+b.steps)
	b.steps = len(b.quotas) - b.begun
	after := make([]int, len(b.quotas))
	for j, q := range b.quotas {
		positions -= q
		after[j] = positions
	}
	b.quotas, b.after = b.quotas[b.begun:], after[b.begun:]
}

// goOn plans the rest of a run whose one block an earlier run has begun, by a schedule by share.
func (m *Masked) goOn(seq *engine.Sequence, blocks []block, steps int) bool {
	if !m.GoesOn || m.Begun <= 0 || len(blocks) != 1 || m.BlockSteps > 0 || blocks[0].sched.Masked == nil {
		return false
	}
	b := blocks[0]
	free := 0
	for p := b.span.Lo; p < b.span.Hi; p++ {
		if !seq.Fixed[p] {
			free++
		}
	}
	b.begun, b.steps = m.Begun, min(steps, b.masked)
	if b.share(free); b.steps < 1 {
		return false
	}
	b.masked = free
	blocks[0] = b
	return true
}

// origin is the position that the blocks of an answer are counted from.
func (m *Masked) origin(answer engine.Span) int {
	if answer.Modality == engine.Text && m.Model.Spec().BlocksFromStart {
		return 0
	}
	return answer.Lo
}

// schedule is the run's schedule.
func (m *Masked) schedule(o engine.Options) (schedule.Schedule, error) {
	switch {
	case m.Schedule != nil:
		return *m.Schedule, nil
	case o.Schedule == "":
		return schedule.Find("uniform")
	}
	return schedule.Find(o.Schedule)
}

// answer is the part of span s that blocks divide.
func (m *Masked) answer(seq *engine.Sequence, s engine.Span, mask engine.Token) engine.Span {
	a := engine.Span{Lo: max(s.Lo, m.Answer.Lo), Hi: min(s.Hi, m.Answer.Hi), Modality: s.Modality}
	if s.Modality == engine.Image {
		return s // counts are of the whole picture
	}
	if m.Answer.Len() > 0 {
		a.Hi = max(a.Lo, a.Hi)
		return a
	}
	a = engine.Span{Lo: s.Hi, Hi: s.Hi, Modality: s.Modality}
	for p := s.Lo; p < s.Hi; p++ {
		if seq.Tokens[p] == mask && !seq.Fixed[p] {
			a.Lo, a.Hi = min(a.Lo, p), p+1
		}
	}
	return a
}

// maxSteps bounds the planned passes of a run; nothing sensible needs more.
const maxSteps = 1 << 20

// check refuses sequences that contradict themselves and options outside their range.
func check(seq *engine.Sequence, o engine.Options) error {
	n := len(seq.Tokens)
	if len(seq.Fixed) != n {
		return fmt.Errorf("sequence: %d tokens, %d fixed flags", n, len(seq.Fixed))
	}
	at := 0
	for _, s := range seq.Spans {
		if s.Lo != at || s.Hi < s.Lo || s.Hi > n {
			return fmt.Errorf("sequence: span [%d, %d) does not follow position %d of %d", s.Lo, s.Hi, at, n)
		}
		at = s.Hi
	}
	if at != n {
		return fmt.Errorf("sequence: spans end at %d of %d", at, n)
	}
	for _, x := range []struct {
		name     string
		value    float64
		min, max float64
	}{
		{"steps", float64(o.Steps), 0, maxSteps},
		{"block", float64(o.Block), 0, math.MaxInt32},
		{"temperature", o.Temperature, 0, 100},
		{"top_p", o.TopP, 0, 1},
		{"top_k", float64(o.TopK), 0, math.MaxInt32},
		{"guidance", o.Guidance, 0, 100},
		{"guidance_image", o.GuidanceImage, 0, 100},
		{"end_penalty", o.EndPenalty, 0, 1000},
		{"alternatives", float64(o.Alternatives), 0, 100},
	} {
		if !(x.value >= x.min && x.value <= x.max) {
			return &engine.ParamError{Name: x.name, Value: x.value, Min: x.min, Max: x.max}
		}
	}
	switch o.Cache {
	case "", engine.CacheNone, engine.CachePrefix, engine.CacheDual, engine.CacheLazy, engine.CacheConfident: // the last two are the model's own affair
		return nil
	}
	return &engine.UnsupportedError{What: fmt.Sprintf("cache %q", o.Cache), Have: "none, prefix, dual, lazy, confident"}
}
