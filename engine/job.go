package engine

import (
	"context"
	"image"
	"io"
	"iter"
	"time"
)

// Task is the kind of a [Job].
type Task string

// The tasks.
const (
	Chat        Task = "chat"          // messages (and pictures attached to them) to an answer
	Infill      Task = "infill"        // Messages[0].Text with holes; each hole is filled, the rest is fixed
	TextToImage Task = "text_to_image" // Messages[0].Text to a picture
	Inpaint     Task = "inpaint"       // Image, Mask and Messages[0].Text to a picture
	Outpaint    Task = "outpaint"      // Image placed by Frame in a larger picture, the rest is imagined
	EditImage   Task = "edit"          // Image and Messages[0].Text, an instruction, to a picture of the same proportions
	Describe    Task = "describe"      // Image and Messages[0].Text (may be empty) to an answer
	// Joint is one document of a caption and a picture, completed together: Messages[0].Text with holes (or none), and
	// Image with Mask; without Mask the picture is fixed, without Image all of it is imagined. Words and cells take turns,
	// each in as many passes as its schedule says. Finished has both.
	Joint Task = "joint"
)

// Tasks lists all tasks in the order of the interface.
var Tasks = []Task{Chat, Infill, TextToImage, Inpaint, Outpaint, EditImage, Describe, Joint}

// Hole marks a stretch to fill in an [Infill] text: "___" is [Options].HoleLength masks, "___{5}" is five masks.
const Hole = "___"

// Message is one turn of a conversation. Role is "user", "assistant" or "system".
type Message struct {
	Role  string      `json:"role"`
	Text  string      `json:"text"`
	Image image.Image `json:"-"`
}

// Params are a sampler's own parameters by their names in its table row. Missing ones take the row's defaults.
type Params map[string]float64

// CacheMode says which keys and values are served from an earlier pass.
type CacheMode string

// The cache modes, arXiv:2505.22618.
const (
	CacheNone   CacheMode = "none"   // exact
	CachePrefix CacheMode = "prefix" // everything before the block, refreshed at block start
	CacheDual   CacheMode = "dual"   // everything outside the block, refreshed at block start
	// CacheLazy keeps what every layer adds to a position: the prompt's is computed anew every 25 passes, the answer's
	// every 7, and in between a quarter of the answer, where values have changed most (arXiv:2506.06295).
	CacheLazy CacheMode = "lazy"
	// CacheConfident computes everything anew in the first 30 % of the passes and every fifth pass after them, and in
	// between the tenth of the positions whose largest logit is smallest: ML-Cache of Lumina-DiMOO (arXiv:2510.06308).
	CacheConfident CacheMode = "confident"
)

// Options are all settings of a denoising run. The zero value of a field means "the preset's value" only where the
// field says so; [Session] fills such fields before the run and reports the result in Started.Job.
type Options struct {
	Length       int       `json:"length"`   // answer positions; 0: the model's default. Pictures: ignored
	Steps        int       `json:"steps"`    // forward passes over the whole answer; 0: the model's default
	Block        int       `json:"block"`    // block length; 0: one block. Pictures: one block
	Schedule     string    `json:"schedule"` // row of schedule.All; "": the task's default
	Sampler      string    `json:"sampler"`  // row of sample.All or the model's own process; "": the task's default
	Params       Params    `json:"params,omitempty"`
	Temperature  float64   `json:"temperature"` // of token choice; 0: argmax
	TopP         float64   `json:"top_p,omitempty"`
	TopK         int       `json:"top_k,omitempty"`
	Guidance     float64   `json:"guidance"` // 0: off
	Seed         uint64    `json:"seed"`
	Cache        CacheMode `json:"cache,omitempty"`       // "": none
	StopAtEnd    bool      `json:"stop_at_end"`           // end when an end token is committed and no mask is before it
	EndPenalty   float64   `json:"end_penalty,omitempty"` // subtracted from the end tokens' log-probability when candidates are ordered
	BanEnd       bool      `json:"ban_end,omitempty"`     // end tokens are never chosen
	Ban          []Token   `json:"ban,omitempty"`
	Think        bool      `json:"think,omitempty"` // ask for <think> reasoning before the answer
	HoleLength   int       `json:"hole_length,omitempty"`
	Previews     bool      `json:"previews,omitempty"`     // decode the picture after every step
	Alternatives int       `json:"alternatives,omitempty"` // best candidates kept a change
	// Watch keeps in every step what the model believed of the positions that the step looked at and left as they were,
	// with Alternatives candidates each: [Step].Looks. It changes no token.
	Watch bool `json:"watch,omitempty"`
	// BanWords are words that the answer may not hold, in any case of letters. A word of several tokens is kept out by not
	// letting its last missing token come.
	BanWords []string `json:"ban_words,omitempty"`
	// WantWords are words that the text is steered towards by a classifier; only models that are [Spec].Continuous.
	WantWords []string `json:"want_words,omitempty"`
	// GuidanceImage is how much the given picture counts in an EditImage, as Guidance is for the words; 0: off.
	GuidanceImage float64 `json:"guidance_image,omitempty"`
}

// Job is a complete request: saving it saves the experiment.
type Job struct {
	ID       string          `json:"id"`
	Task     Task            `json:"task"`
	Messages []Message       `json:"messages"`
	Image    image.Image     `json:"-"`              // Inpaint, Outpaint, EditImage, Describe, Joint
	Mask     *image.Alpha    `json:"-"`              // Inpaint, Joint: opaque where to repaint, in the coordinates of Image
	Frame    image.Rectangle `json:"frame,omitzero"` // Outpaint: the new picture's bounds in the coordinates of Image; TextToImage: its size, see [ImageSpec].Free
	Options  Options         `json:"options"`
	Words    []Word          `json:"words,omitempty"` // fixed in the answer; tasks that write text
	From     *From           `json:"from,omitempty"`  // state to go on from; nil: masks
}

// Event is [Started], [Step], [Preview] or [Finished]; the set is closed.
type Event interface{ event() }

// Started is the first event of a run.
type Started struct {
	Job      Job       `json:"job"` // with every default filled in
	Spec     Spec      `json:"spec"`
	Sequence *Sequence `json:"sequence"` // before the first step
	Texts    []string  `json:"texts"`    // [L] text of each token of Sequence; "" for masks and image codes
	Answer   Span      `json:"answer"`   // the positions that the run writes
	Grid     Grid      `json:"grid,omitzero"`
	Steps    int       `json:"steps"` // planned forward passes; fewer may be made
	// Source is the picture that a run over a given picture started from, as the engine sees it (cropped, resized).
	Source image.Image `json:"-"`
}

// Grid is the layout of the image codes of an image span, row-major from its Lo.
type Grid struct {
	Cols int `json:"cols"`
	Rows int `json:"rows"`
}

// Preview is the picture after a step. Masked cells decode to a neutral code.
type Preview struct {
	Step  int
	Image *image.NRGBA
}

// Finished is the last event of a run that was not cancelled and did not fail.
type Finished struct {
	Sequence *Sequence    `json:"sequence"`
	Text     string       `json:"text,omitempty"`  // the answer without special tokens and without the thinking part
	Think    string       `json:"think,omitempty"` // what stood between <think> and </think>
	Image    *image.NRGBA `json:"-"`
	Stats    Stats        `json:"stats"`
}

// Stats are the figures of a finished run.
type Stats struct {
	Steps   int           `json:"steps"`
	NFE     int           `json:"nfe"`
	Tokens  int           `json:"tokens"` // unmasked, end padding left out
	Wall    time.Duration `json:"wall"`
	Forward time.Duration `json:"forward"`
	Select  time.Duration `json:"select"`
	Decode  time.Duration `json:"decode"`
}

// TokensPerSecond is Tokens by Wall, or 0.
func (s Stats) TokensPerSecond() float64 {
	if s.Wall <= 0 {
		return 0
	}
	return float64(s.Tokens) / s.Wall.Seconds()
}

func (*Started) event()  {}
func (Step) event()      {}
func (*Preview) event()  {}
func (*Finished) event() {}

// ModelRef names a model and how to hold it. Path "" is the embedded model.
type ModelRef struct {
	Path    string `json:"path"`
	DType   string `json:"dtype,omitempty"`   // arithmetic: "f32", "bf16", "i8", "i4"; "": the fastest of the first two
	Threads int    `json:"threads,omitempty"` // 0: all cores
	// Adapters are folders of PEFT adapters that are laid over the model, all together.
	Adapters []string `json:"adapters,omitempty"`
}

// Spec describes a loaded model.
type Spec struct {
	Name   string `json:"name"`
	Family string `json:"family"` // row of models.All: "llada", "mmada"
	Hash   string `json:"hash"`   // sha256 of the weights, hex
	Params int64  `json:"params"`
	Bytes  int64  `json:"bytes"` // held in memory
	DType  string `json:"dtype"` // arithmetic
	Device string `json:"device"`
	Layers int    `json:"layers"`
	Width  int    `json:"width"`
	Heads  int    `json:"heads"`
	Vocab  int    `json:"vocab"`
	MaxLen int    `json:"max_len"`
	// Block is the block length that a block-diffusion model was trained with: its passes set [Input].Block to the run's
	// block length, which is Block unless the run says otherwise. 0: attention is full.
	Block int `json:"block,omitempty"`
	// BlocksFromStart counts the blocks of such a model from position 0, so that a prompt may end within one; else they
	// begin with the answer.
	BlocksFromStart bool `json:"blocks_from_start,omitempty"`
	// PromptFirst says that the model was trained with a prompt that does not see the answer. Its passes are made so, and
	// any cache mode keeps the prompt's keys and values alone, which changes nothing.
	PromptFirst bool `json:"prompt_first,omitempty"`
	// Vectors says that pictures are read as vectors: the denoiser is a [Looker].
	Vectors bool `json:"vectors,omitempty"`
	// Process is the model's own reverse process, a row of sample.Processes; "": it has none.
	Process string `json:"process,omitempty"`
	// Continuous says that the model denoises embeddings of words: Process is all it runs by, and Mask, the id beyond its
	// words, stands for noise.
	Continuous bool `json:"continuous,omitempty"`
	// Doubts say what may be wrong with the checkpoint or how it is read, found when it was loaded.
	Doubts     []Doubt           `json:"doubts,omitempty"`
	Ban        []Token           `json:"ban,omitempty"` // never chosen
	Mask       Token             `json:"mask"`
	End        []Token           `json:"end"` // tokens that end an answer
	Tasks      []Task            `json:"tasks"`
	Image      *ImageSpec        `json:"image,omitempty"`
	ThinkStyle string            `json:"think_style,omitempty"` // how thinking is asked for: a sentence before the question, or "chat template"; "": it can not be
	Defaults   map[Task]Options  `json:"defaults,omitempty"`
	Examples   map[Task][]string `json:"examples,omitempty"` // prompts that the model can do, for empty panes
}

// Can reports whether the model does task t.
func (s Spec) Can(t Task) bool {
	for _, x := range s.Tasks {
		if x == t {
			return true
		}
	}
	return false
}

// ImageSpec describes a model's image tokens.
type ImageSpec struct {
	Grid     Grid  `json:"grid"`
	Width    int   `json:"width"`  // of a decoded picture, pixels
	Height   int   `json:"height"` // of a decoded picture, pixels
	Offset   Token `json:"offset"` // token of code 0
	Codebook int   `json:"codebook"`
	// Free says that pictures of other grids may be drawn: a TextToImage job may set Frame, and what is made from a given
	// picture has its proportions.
	Free bool `json:"free,omitempty"`
}

// Session owns one loaded model on one device. A second Run waits for the first. All methods may be called from any
// goroutine and block.
type Session interface {
	// Load replaces the model. progress may be nil; it is called with bytes done and in all.
	Load(ctx context.Context, ref ModelRef, progress func(done, total int64)) (Spec, error)
	// Run denoises one job on the caller's goroutine. Single use; the error, if any, is the last pair.
	Run(ctx context.Context, job Job) iter.Seq2[Event, error]
	io.Closer
}
