package state

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"unmask/engine"
)

// Adapter is a PEFT adapter of a known model, switched on or off.
type Adapter struct {
	Path string `json:"path"`
	Off  bool   `json:"off,omitempty"`
}

// KnownModel is a model on a person's list. Path "" is the built-in one, which is never on the list.
type KnownModel struct {
	Path     string    `json:"path"`            // absolute: a folder, or a GGUF file
	DType    string    `json:"dtype,omitempty"` // arithmetic asked for; "": the best that fits
	Adapters []Adapter `json:"adapters,omitempty"`
	Added    time.Time `json:"added,omitzero"`
}

// ID tells known models apart.
func (m KnownModel) ID() string { return m.Path }

// Ref names the model for a session, with the adapters that are on.
func (m KnownModel) Ref() engine.ModelRef {
	r := engine.ModelRef{Path: m.Path, DType: m.DType}
	for _, a := range m.Adapters {
		if !a.Off {
			r.Adapters = append(r.Adapters, a.Path)
		}
	}
	return r
}

// Known is the list of models, and which of them each task takes: a path, "" for the built-in one; a task that is not
// there takes the model that is loaded.
type Known struct {
	Models  []KnownModel           `json:"models"`
	Default map[engine.Task]string `json:"default,omitempty"`
}

// Machine is what models run on.
type Machine struct {
	Free int64 // bytes of memory; 0: unknown
	BF16 bool  // products of 16 bits are the faster ones
}

// Shelf keeps the list of models and looks at their files; app/shelf does. All methods block and may be called from any
// goroutine.
type Shelf interface {
	Read() (Known, error)
	Write(Known) error
	// Locate is the path to keep for a folder, or a file of it, that a person pointed at.
	Locate(path string) (string, error)
	// Describe says what a checkpoint is without loading it; with an error, as far as it is known.
	Describe(ctx context.Context, ref engine.ModelRef) (engine.Card, error)
	// Import copies or moves a model into the program's folder and returns where it is then.
	Import(ctx context.Context, path string, move bool, progress func(done, total int64)) (string, error)
	Machine() Machine
}

// Models is what the Models pane shows.
type Models struct {
	Known   Known
	Read    bool // the list is read; until then it is not written
	Err     error
	Machine Machine
	Cards   map[string]CardOf // by id; "" is the built-in model
	Chosen  string            // id of the row whose details are shown
	Own     bool              // with Chosen "": the embedded model is chosen, not what is loaded
	Query   string
	Import  Progress
}

// CardOf is what was found out about a model's files.
type CardOf struct {
	Card engine.Card
	Err  error
	Read bool
}

// Progress is work on bytes under way.
type Progress struct {
	On          bool
	ID          string
	Done, Total int64
	Began       time.Time
	Err         error // how the last one ended
}

// Left is the time that is left by the mean rate so far, 0 while it is not known.
func (p Progress) Left(now time.Time) time.Duration {
	spent := now.Sub(p.Began)
	if !p.On || p.Done <= 0 || p.Total <= p.Done || spent < 300*time.Millisecond {
		return 0
	}
	return time.Duration(float64(spent) * float64(p.Total-p.Done) / float64(p.Done))
}

// Row is one line of the Models pane.
type Row struct {
	KnownModel
	CardOf
	Name   string
	Status Status
	Type   string // arithmetic that it would be loaded with
	Need   int64  // bytes for Type, work included
}

// Status is how it stands with a model.
type Status uint8

// The states of a model, the first that applies.
const (
	Reading Status = iota // its files are being looked at
	LoadingNow
	InMemory
	Missing    // its files are gone
	Unreadable // its files cannot be read; the reason is the error
	TooLarge   // it does not fit in any type
	FitsRather // it fits in a smaller type than its own
	Fits
	SizeUnknown // the machine does not say what is free
)

var statusWords = [...]string{"Looking", "Loading", "Loaded", "Missing", "Not readable", "Too large", "Fits", "Fits", "Ready"}

// String is the status for people.
func (s Status) String() string { return statusWords[s] }

// Rows are the lines of the Models pane: the built-in model, then the list, as far as the query finds them.
func (s *State) Rows() []Row {
	var out []Row
	for _, m := range append([]KnownModel{{}}, s.known()...) {
		r := s.RowOf(m)
		text := strings.ToLower(r.Name + " " + r.Path + " " + r.Card.Family)
		if strings.Contains(text, strings.ToLower(strings.TrimSpace(s.Models.Query))) {
			out = append(out, r)
		}
	}
	return out
}

// ChosenRow is the row whose details are shown: the chosen one, else the loaded one.
func (s *State) ChosenRow() Row {
	id := s.Models.Chosen
	if id == "" && !s.Models.Own && s.Model.Loaded {
		id = s.Model.ID
	}
	return s.RowOf(s.byID(id))
}

// RowOf works out how it stands with a model.
func (s *State) RowOf(m KnownModel) Row {
	r := Row{KnownModel: m, CardOf: s.Models.Cards[m.ID()]}
	r.Name = r.Card.Name
	if r.Name == "" {
		r.Name = filepath.Base(m.Path)
		if m.Path == "" {
			r.Name = "Built-in model"
		}
	}
	free := s.Room()
	var fits bool
	r.Type, r.Need, fits = choose(r.Card, m.DType, s.Models.Machine, free)
	switch {
	case s.Load.On && s.Load.ID == m.ID():
		r.Status = LoadingNow
	case s.Model.Loaded && s.Model.ID == m.ID():
		r.Status = InMemory
	case !r.Read:
		r.Status = Reading
	case errors.Is(r.Err, fs.ErrNotExist) && r.Card.Disk == 0:
		r.Status = Missing
	case r.Err != nil:
		r.Status = Unreadable
	case free <= 0:
		r.Status = SizeUnknown
	case !fits:
		r.Status = TooLarge
	case r.Type != own(r.Card, s.Models.Machine) && m.DType == "":
		r.Status = FitsRather
	default:
		r.Status = Fits
	}
	return r
}

// own is the type that a model runs in where there is room.
func own(c engine.Card, on Machine) string {
	if on.BF16 && (c.Stored == "bf16" || c.Stored == "f16") {
		return "bf16"
	}
	return "f32"
}

// choose is the type to load a model with, asked for or the widest that fits from its own on, and what it needs then.
func choose(c engine.Card, asked string, on Machine, free int64) (as string, need int64, fits bool) {
	if len(c.Need) == 0 {
		return asked, 0, false
	}
	list := engine.Types[slices.Index(engine.Types, own(c, on)):]
	if asked != "" {
		list = []string{asked}
	}
	for _, as = range list {
		need = c.Need[as] + c.Work
		if fits = free <= 0 || need <= free; fits {
			return as, need, true
		}
	}
	return as, need, false
}

// setKnown changes the list and keeps it.
func (s *State) setKnown(f func(k *Known)) []Cmd {
	k := Known{Models: slices.Clone(s.Models.Known.Models), Default: maps.Clone(s.Models.Known.Default)}
	if k.Default == nil {
		k.Default = map[engine.Task]string{}
	}
	f(&k)
	s.Models.Known = k
	if !s.Models.Read {
		return nil // a list that could not be read is not written over
	}
	return []Cmd{KeepShelf{k}}
}

// find is the index of a model in the list, or -1.
func (k Known) find(id string) int {
	return slices.IndexFunc(k.Models, func(m KnownModel) bool { return m.ID() == id })
}

// DefaultOf are the tasks that a model was given.
func (k Known) DefaultOf(id string) (tasks []engine.Task) {
	for _, t := range engine.Tasks {
		if d, ok := k.Default[t]; ok && d == id {
			tasks = append(tasks, t)
		}
	}
	return tasks
}

// Room is the memory that loading another model may take: what is free, and what the loaded one gives back. 0: unknown.
func (s *State) Room() int64 {
	free := s.Models.Machine.Free
	if free > 0 && s.Model.Loaded {
		free += s.Model.Spec.Bytes
	}
	return free
}
