// Package runtest makes deterministic recorded runs for tests of what shows runs. Nothing outside tests imports it.
package runtest

import (
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"time"

	"unmask/engine"
)

// Ids of the little vocabulary of these runs.
const (
	Mask engine.Token = 1000 // the mask token
	End  engine.Token = 1001 // the end token
	Code engine.Token = 2000 // picture code 0
)

// Letter is the text that Text unmasks, split into its tokens.
var Letter = split("Dear Mira, thank you for the lamp you sent. It stands on the desk by the window and makes a small " +
	"warm circle at night. I read there until late, and the cat has decided that the chair belongs to her.\n" +
	"When you visit, bring the green tea and the old songs; the garden will be wide awake here in May.")

// split cuts a text into words with the space before them, and marks on their own, as byte-level BPE does.
func split(s string) []string {
	var out []string
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			out = append(out, b.String())
			b.Reset()
		}
	}
	for _, r := range s {
		switch {
		case r == ' ':
			flush()
			b.WriteRune(r)
		case strings.ContainsRune(",.;:\n", r):
			flush()
			out = append(out, string(r))
		default:
			b.WriteRune(r)
		}
	}
	flush()
	return out
}

// Text is a run over the Letter, three blocks, the rest of the answer end tokens. It has one remask and one edit.
func Text() []engine.Event {
	prompt := split("Write a letter.")
	length := (len(Letter) + 12 + 2) / 3 * 3
	l := len(prompt) + length
	st := started(l, engine.Span{Lo: len(prompt), Hi: l}, prompt)
	st.Sequence.Spans = []engine.Span{{Lo: 0, Hi: l}}
	st.Job.Options.Block = length / 3
	words := slices.Clone(Letter)
	for len(words) < length {
		words = append(words, "")
	}
	b := &builder{rnd: rand.New(rand.NewPCG(7, 1)), started: st}
	for i := range 3 {
		lo := len(prompt) + i*length/3
		b.block(engine.Span{Lo: lo, Hi: lo + length/3}, 12, func(p int) (engine.Token, string) {
			w := words[p-len(prompt)]
			if w == "" {
				return End, ""
			}
			return engine.Token(10 + p), w
		}, nil)
	}
	b.remask(20, len(prompt)+4, len(prompt)+9)
	return b.events()
}

// Picture is a run over a grid of cols by rows cells, one block, with the picture after every step. size is its width and
// height in pixels.
func Picture(cols, rows, size, steps int) []engine.Event {
	prompt := split("a moon over hills")
	n := cols * rows
	l := len(prompt) + n
	st := started(l, engine.Span{Lo: len(prompt), Hi: l}, prompt)
	st.Grid = engine.Grid{Cols: cols, Rows: rows}
	sp := engine.Span{Lo: len(prompt), Hi: l, Modality: engine.Image}
	st.Sequence.Spans = []engine.Span{{Lo: 0, Hi: sp.Lo}, sp}
	st.Job.Task = engine.TextToImage
	full := Scene(size)
	b := &builder{rnd: rand.New(rand.NewPCG(3, 9)), started: st}
	b.block(sp, steps, func(p int) (engine.Token, string) { return Code + engine.Token(p%64), "" },
		func(masked func(p int) bool) *image.NRGBA { return cover(full, st.Grid, sp, masked) })
	return b.events()
}

// Scene is the picture that Picture unmasks: a moon over hills.
func Scene(size int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			u, v := float64(x)/float64(size), float64(y)/float64(size)
			c := color.NRGBA{uint8(20 + 40*v), uint8(30 + 60*v), uint8(70 + 60*v), 255}
			if d := math.Hypot(u-.66, v-.32); d < .2 && math.Hypot(u-.74, v-.28) > .17 {
				c = color.NRGBA{255, 225, 140, 255}
			}
			if v > .72+.08*math.Sin(7*u) {
				c = color.NRGBA{22, 110, 100, 255}
			}
			if v > .84+.05*math.Cos(9*u) {
				c = color.NRGBA{14, 80, 78, 255}
			}
			img.SetNRGBA(x, y, c)
		}
	}
	return img
}

// cover is full with the masked cells in the grey that a neutral code decodes to.
func cover(full *image.NRGBA, g engine.Grid, sp engine.Span, masked func(p int) bool) *image.NRGBA {
	img := &image.NRGBA{Pix: slices.Clone(full.Pix), Stride: full.Stride, Rect: full.Rect}
	w, h := full.Rect.Dx(), full.Rect.Dy()
	for p := sp.Lo; p < sp.Hi; p++ {
		if !masked(p) {
			continue
		}
		i := p - sp.Lo
		cx, cy := i%g.Cols, i/g.Cols
		for y := cy * h / g.Rows; y < (cy+1)*h/g.Rows; y++ {
			for x := cx * w / g.Cols; x < (cx+1)*w/g.Cols; x++ {
				img.SetNRGBA(x, y, color.NRGBA{120, 120, 120, 255})
			}
		}
	}
	return img
}

func started(l int, answer engine.Span, prompt []string) *engine.Started {
	st := &engine.Started{Answer: answer, Texts: make([]string, l)}
	st.Job = engine.Job{ID: "sample", Task: engine.Chat, Options: engine.Options{Seed: 31, Sampler: "low_confidence"}}
	st.Spec = engine.Spec{Name: "sample", Mask: Mask, End: []engine.Token{End}}
	st.Sequence = &engine.Sequence{Tokens: make([]engine.Token, l), Fixed: make([]bool, l)}
	for p := range l {
		if p < len(prompt) {
			st.Sequence.Tokens[p], st.Sequence.Fixed[p], st.Texts[p] = engine.Token(p), true, prompt[p]
			continue
		}
		st.Sequence.Tokens[p] = Mask
	}
	return st
}

// builder collects the steps of a run.
type builder struct {
	rnd      *rand.Rand
	started  *engine.Started
	steps    []engine.Step
	previews map[int]*image.NRGBA
}

// block unmasks span in n steps, surer tokens first within a step's random draw.
func (b *builder) block(span engine.Span, n int, token func(p int) (engine.Token, string), pic func(func(int) bool) *image.NRGBA) {
	order := b.rnd.Perm(span.Len())
	done := map[int]bool{}
	at := 0
	for i := range n {
		to := span.Len() * (i + 1) / n
		st := engine.Step{Index: len(b.steps), Block: span, NFE: len(b.steps) + 1, Forward: 60 * time.Millisecond, Select: time.Millisecond}
		for ; at < to; at++ {
			p := span.Lo + order[at]
			id, text := token(p)
			prob := float32(1 - math.Pow(b.rnd.Float64(), 1.4)*0.98)
			st.Changes = append(st.Changes, engine.Change{Pos: p, From: Mask, To: id, Kind: engine.Unmask, Prob: prob,
				Margin: prob * prob, Entropy: -2 * float32(math.Log(float64(prob))), Text: text,
				Top: []engine.Alternative{{Token: id, Text: text, Prob: prob}, {Token: id + 1, Text: " other", Prob: (1 - prob) / 2}}})
			done[p] = true
		}
		sort.Slice(st.Changes, func(a, c int) bool { return st.Changes[a].Pos < st.Changes[c].Pos })
		b.steps = append(b.steps, st)
		if pic != nil {
			if b.previews == nil {
				b.previews = map[int]*image.NRGBA{}
			}
			b.previews[st.Index] = pic(func(p int) bool { return !done[p] })
		}
	}
}

// remask inserts a step after step n (1 is the first) that masks position p again and edits position q, and one after it
// that writes p for good.
func (b *builder) remask(n, p, q int) {
	var at, edit engine.Change
	for _, s := range b.steps[:n] {
		for _, c := range s.Changes {
			if c.Pos == p {
				at = c
			}
			if c.Pos == q {
				edit = c
			}
		}
	}
	blk := b.steps[n-1].Block
	first := engine.Step{Block: blk, Forward: 60 * time.Millisecond, Changes: []engine.Change{
		{Pos: p, From: at.To, To: Mask, Kind: engine.Remask, Prob: at.Prob},
		{Pos: q, From: edit.To, To: edit.To + 1, Kind: engine.Edit, Prob: .91, Text: edit.Text},
	}}
	again := at
	again.Prob = .88
	second := engine.Step{Block: blk, Forward: 60 * time.Millisecond, Changes: []engine.Change{again}}
	b.steps = slices.Insert(b.steps, n, first, second)
}

// events puts indices and counts right and lists everything in order.
func (b *builder) events() []engine.Event {
	b.started.Steps = len(b.steps)
	masked := 0
	for _, f := range b.started.Sequence.Fixed {
		if !f {
			masked++
		}
	}
	seq := b.started.Sequence.Clone()
	out := []engine.Event{b.started}
	for i, s := range b.steps {
		for _, c := range s.Changes {
			switch c.Kind {
			case engine.Unmask:
				masked--
			case engine.Remask:
				masked++
			}
		}
		s.Index, s.NFE, s.Masked = i, i+1, masked
		seq.Apply(s.Changes)
		out = append(out, s)
		if img := b.previews[i]; img != nil {
			out = append(out, &engine.Preview{Step: i, Image: img})
		}
	}
	return append(out, &engine.Finished{Sequence: seq, Image: b.previews[len(b.steps)-1],
		Stats: engine.Stats{Steps: len(b.steps), NFE: len(b.steps)}})
}

// Both is a run over text and picture in one sequence, denoised together in one block: a picture of 16 by 16 cells and the Letter.
func Both() []engine.Event {
	text := len(Letter)
	n := 16 * 16
	l := text + n
	st := started(l, engine.Span{Lo: 0, Hi: l}, nil)
	st.Grid = engine.Grid{Cols: 16, Rows: 16}
	sp := engine.Span{Lo: text, Hi: l, Modality: engine.Image}
	st.Sequence.Spans = []engine.Span{{Lo: 0, Hi: text}, sp}
	full := Scene(64)
	b := &builder{rnd: rand.New(rand.NewPCG(5, 5)), started: st}
	b.block(engine.Span{Lo: 0, Hi: l}, 24, func(p int) (engine.Token, string) {
		if p < text {
			return engine.Token(10 + p), Letter[p]
		}
		return Code + engine.Token(p%64), ""
	}, func(masked func(p int) bool) *image.NRGBA { return cover(full, st.Grid, sp, masked) })
	return b.events()
}
