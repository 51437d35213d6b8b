package engine

import (
	"context"
	"image"
	"io"
	"iter"
	"time"
)

// Token is an id in a model's vocabulary. Image codes are tokens too: code + [ImageSpec].Offset.
type Token int32

// Modality says what the tokens of a [Span] stand for.
type Modality uint8

// The modalities.
const (
	Text Modality = iota
	Image
)

// String returns "text" or "image".
func (m Modality) String() string {
	if m == Image {
		return "image"
	}
	return "text"
}

// Span is the half-open range of positions [Lo, Hi) of one modality.
type Span struct {
	Lo       int      `json:"lo"`
	Hi       int      `json:"hi"`
	Modality Modality `json:"modality,omitempty"`
}

// Len is the number of positions in s.
func (s Span) Len() int { return s.Hi - s.Lo }

// Contains reports whether position p lies in s.
func (s Span) Contains(p int) bool { return p >= s.Lo && p < s.Hi }

// Sequence is x_t: prompt and answer, text and image codes, in one row. Positions are absolute.
type Sequence struct {
	Tokens []Token `json:"tokens"` // [L]; the mask token where still hidden
	Fixed  []bool  `json:"fixed"`  // [L]; true where no step may write: the prompt, the kept part of an image
	Spans  []Span  `json:"spans"`  // in order, covering [0, L)
}

// Clone returns a copy of s that shares nothing with it.
func (s *Sequence) Clone() *Sequence {
	return &Sequence{
		Tokens: append([]Token(nil), s.Tokens...),
		Fixed:  append([]bool(nil), s.Fixed...),
		Spans:  append([]Span(nil), s.Spans...),
	}
}

// Apply writes the changes of one step into s. Applying all steps of a run to its Started sequence gives the final one.
func (s *Sequence) Apply(changes []Change) {
	for _, c := range changes {
		s.Tokens[c.Pos] = c.To
	}
}

// IDRange is the half-open range of token ids [Lo, Hi). The zero value allows every id.
type IDRange struct{ Lo, Hi Token }

// All reports whether r is the zero value, which allows every id.
func (r IDRange) All() bool { return r.Lo == 0 && r.Hi == 0 }

// Contains reports whether id is allowed by r.
func (r IDRange) Contains(id Token) bool { return r.All() || id >= r.Lo && id < r.Hi }

// Denoiser predicts every masked position at once. One goroutine at a time.
type Denoiser interface {
	Spec() Spec
	// Forward evaluates the network once over in. It blocks, checks ctx between layers, and the result is valid until the
	// next Forward.
	Forward(ctx context.Context, in Input) (Logits, error)
	io.Closer
}

// Looker is implemented by denoisers that read pictures as vectors in place of tokens, see [Spec].Vectors.
type Looker interface {
	// Look replaces the pictures of later passes. It returns how many positions each takes in a sequence: the first
	// picture's are the tokens Vocab, Vocab+1 and so on, the next one's follow. It blocks and checks ctx between layers.
	Look(ctx context.Context, pictures []image.Image) ([]int, error)
}

// Input is what one forward pass sees. All rows share the absolute positions of the wanted and active tokens; a guided
// pass has two rows whose lengths may differ (dropped pads), see Lens.
type Input struct {
	Tokens []Token // rows one after the other, sum(Lens) long
	Lens   []int   // [B] length of each row; nil means one row of len(Tokens); B is at most 3
	Want   []int   // n positions of row 0 whose logits are needed, ascending; nil means every position
	// WantOther maps Want to row 1 when the rows are of different length: position Want[i] of row 0 is Want[i]+WantOther
	// of row 1. WantThird is the same for row 2.
	WantOther, WantThird int
	// Hide, when not nil, has sum(Lens) entries; a true entry is a pad that no other position attends to.
	Hide []bool
	// Active is the range of row positions to feed when keys and values outside it come from the cache; the zero Span
	// means everything is fed and the cache, if Keep is set, is filled.
	Active Span
	Keep   bool // keep keys and values of this pass for later Active passes
	// Until bounds the keys of an Active pass: positions in [Until, L) are not attended to. 0 means L.
	Until int
	// Block, when positive, makes attention block-causal: position q sees position k where block(k) <= block(q), with
	// block(i) = floor((i-Origin)/Block). Block diffusion runs so, see [Spec.Block]. Origin is a position of row 0 and is
	// shifted by WantOther in row 1.
	Block, Origin int
}

// Shift is where row r has position 0 of row 0, counted among the wanted and active positions: WantOther or WantThird.
func (in Input) Shift(r int) int { return [...]int{0, in.WantOther, in.WantThird}[r] }

// Rows is the number of rows in in.
func (in Input) Rows() int {
	if len(in.Lens) == 0 {
		return 1
	}
	return len(in.Lens)
}

// Logits stay on the device. Pick is what samplers need of them and is a few numbers a position instead of V.
type Logits interface {
	// Pick fills p with the candidate at each wanted position.
	Pick(o PickOptions, p *Prediction) error
	// Floats copies the logits of row `row` at the wanted positions, [n*V] row-major, for tests and the inspector.
	Floats(dst []float32, row int) error
}

// PickOptions say how candidates are chosen from logits.
type PickOptions struct {
	Temperature float64 // 0: argmax; else argmax(logit + T*Gumbel), the law of LLaDA's add_gumbel_noise
	Guidance    float64 // 0: off; logits = uncond + (1+g)*(cond-uncond)
	// GuidanceImage is how much the third row of a pass of three counts: logits = cond + g*(cond-row1) + gi*(cond-row2).
	// 0: there is no such row.
	GuidanceImage float64
	TopP          float64 // nucleus of the token draw; 0 or 1: off
	TopK          int     // candidates kept in the token draw; 0: off
	Allow         IDRange // candidates outside get -Inf: text ids, or image codes
	Ban           []Token // never chosen
	Top           int     // how many best candidates to keep a position in Prediction.Top; 0: none
	Seed          uint64  // noise is a function of (Seed, position, id), never of call order
}

// Prediction is the candidate x_0 at each wanted position. The slices are reused by the next Pick.
type Prediction struct {
	Pos     []int     // [n] absolute, ascending
	Token   []Token   // [n]
	Prob    []float32 // [n] probability of Token without noise and temperature, in [0, 1]
	Margin  []float32 // [n] first minus second probability
	Entropy []float32 // [n] nats
	Top     [][]Alternative
}

// Alternative is one of the best candidates at a position.
type Alternative struct {
	Token Token   `json:"token"`
	Text  string  `json:"text,omitempty"`
	Prob  float32 `json:"prob"`
}

// Resize makes the slices of p hold n entries, reusing their memory.
func (p *Prediction) Resize(n int) {
	if cap(p.Pos) < n {
		p.Pos = make([]int, n)
		p.Token = make([]Token, n)
		p.Prob = make([]float32, n)
		p.Margin = make([]float32, n)
		p.Entropy = make([]float32, n)
	}
	p.Pos, p.Token, p.Prob = p.Pos[:n], p.Token[:n], p.Prob[:n]
	p.Margin, p.Entropy = p.Margin[:n], p.Entropy[:n]
	p.Top = p.Top[:0]
}

// Noise gives the uniform random numbers of a step's selection. The number is a function of seed, step and position,
// never of call order, so a run can be resumed, replayed, and fed with recorded noise.
type Noise interface {
	// Uniform returns u in (0, 1) for an absolute position.
	Uniform(pos int) float64
}

// Sampler decides what one step changes. Select is pure: same View and Prediction, same Decision.
type Sampler interface {
	Select(v View, p *Prediction, d *Decision)
}

// Reviewer is implemented by samplers that remask or edit: the Prediction then covers the block's committed positions
// too.
type Reviewer interface{ ReviewsCommitted() bool }

// Counter is implemented by samplers that count by a rule of their own: a run may then take fewer passes than planned, and
// more where masks are left after the plan.
type Counter interface{ CountsItself() bool }

// Polisher is implemented by samplers that may go on after a block's last mask is gone: up to ExtraPasses more passes, as
// long as each changes something.
type Polisher interface{ ExtraPasses() int }

// View is what a sampler may know about the run.
type View struct {
	Step, Steps int // within the block; Step >= Steps in the passes of a Counter beyond the plan
	Block       Span
	Quota       int     // how many the schedule asks to unmask now
	Masked      int     // how many are masked in the block
	Initial     int     // how many were masked in the block when it began
	Rate        float64 // chance of a masked position to be unmasked now: 1 - share after the step / share before it; 1 in the last
	Left        int     // MMaDA's count: float32 floor of the schedule's share after this step times all positions of the block, fixed ones too; may be -1
	Committed   []bool  // [n] of the Prediction: true where the position holds a token already
	Current     []Token // [n] token that stands there now
	Noise       Noise
}

// Decision lists what to change, as indices into the Prediction. The slices are reused by the loop.
type Decision struct{ Unmask, Remask, Edit []int }

// Reset empties d and keeps its memory.
func (d *Decision) Reset() { d.Unmask, d.Remask, d.Edit = d.Unmask[:0], d.Remask[:0], d.Edit[:0] }

// Process turns a masked sequence into a finished one, in place, yielding after every forward pass. denoise.Masked is
// the usual one; a family with another process (uniform noise, embedding diffusion) brings its own.
//
// The iterator is single use; the error, if any, is the last pair; nothing is yielded after it; slices in a Step belong
// to the receiver.
type Process interface {
	Steps(ctx context.Context, seq *Sequence, o Options) iter.Seq2[Step, error]
}

// Step is one forward pass and what it changed.
type Step struct {
	Index   int           `json:"index"` // over the whole run
	Block   Span          `json:"block"`
	Changes []Change      `json:"changes"` // by position
	Masked  int           `json:"masked"`  // left after the step, in the whole sequence
	NFE     int           `json:"nfe"`     // forward passes so far, guided passes count 2, by a picture too 3
	Forward time.Duration `json:"forward"`
	Select  time.Duration `json:"select"`
	Looks   []Look        `json:"looks,omitempty"` // by position, when Options.Watch
}

// ChangeKind says what happened at a position.
type ChangeKind uint8

// The kinds of change.
const (
	Unmask ChangeKind = iota // mask to token
	Remask                   // token to mask
	Edit                     // committed token to another token
)

// String returns "unmask", "remask" or "edit".
func (k ChangeKind) String() string { return [...]string{"unmask", "remask", "edit"}[k] }

// Change is what a step did at one position.
type Change struct {
	Pos     int           `json:"pos"`
	From    Token         `json:"from"`
	To      Token         `json:"to"`
	Kind    ChangeKind    `json:"kind,omitempty"`
	Prob    float32       `json:"prob"`    // of To, without noise, in [0, 1]
	Margin  float32       `json:"margin"`  // first minus second probability
	Entropy float32       `json:"entropy"` // nats
	Text    string        `json:"text,omitempty"`
	Top     []Alternative `json:"top,omitempty"` // best first, when Options.Alternatives > 0
}

// Tokenizer turns text into tokens and back. Safe for concurrent use.
type Tokenizer interface {
	AppendTokens(dst []Token, text string) []Token
	AppendText(dst []byte, ids ...Token) []byte
	// Special returns the id of a role ("mask", "eos", "eot", "soi", "eoi", ...) or of an added token's content.
	Special(name string) (Token, bool)
	Size() int
}
