package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"syscall"

	"unmask/engine"
)

// LostError says that the worker is gone, or is none. errors.Is finds [engine.ErrWorkerLost] in it, and its cause.
type LostError struct {
	Reason string   // how it ended: "exit status 2", "signal: killed"
	Stderr []string // the last lines that it wrote, at most twenty
	Err    error    // what the client saw of it; may be nil
}

// Error has the reason on its first line and the worker's last lines below it.
func (e *LostError) Error() string {
	s := engine.ErrWorkerLost.Error()
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if len(e.Stderr) > 0 {
		s += "; its last lines:\n\t" + strings.Join(e.Stderr, "\n\t")
	}
	return s
}

// Unwrap returns [engine.ErrWorkerLost] and the cause.
func (e *LostError) Unwrap() []error {
	if e.Err == nil {
		return []error{engine.ErrWorkerLost}
	}
	return []error{engine.ErrWorkerLost, e.Err}
}

// VersionError says that the worker is of another version of the program.
type VersionError struct {
	Program    string // the worker's name and version
	Have, Want int    // version of the frames: the worker's, ours
}

// Error gives both versions.
func (e *VersionError) Error() string {
	return fmt.Sprintf("the worker %.60q speaks version %d of the protocol, this program version %d", e.Program, e.Have, e.Want)
}

// states are the errors that keep their identity across the stream, by their names there.
var states = []struct {
	name string
	err  error
}{
	{"canceled", context.Canceled},
	{"deadline", context.DeadlineExceeded},
	{"no_model", engine.ErrNoModel},
	{"busy", engine.ErrBusy},
	{"no_device", engine.ErrNoDevice},
	{"unsupported", engine.ErrUnsupported},
	{"not_exist", fs.ErrNotExist},
	{"permission", fs.ErrPermission},
	{"disk_full", syscall.ENOSPC},
}

// errorWire is an error in a frame: its text, the states that it is, and the facts of the engine's error types.
type errorWire struct {
	Text        string                   `json:"text"`
	Is          []string                 `json:"is,omitempty"`
	Format      *formatWire              `json:"format,omitempty"`
	Unsupported *engine.UnsupportedError `json:"unsupported,omitempty"`
	Memory      *engine.MemoryError      `json:"memory,omitempty"`
	Param       *paramWire               `json:"param,omitempty"`
	Input       *engine.InputError       `json:"input,omitempty"`
	Panic       *panicWire               `json:"panic,omitempty"`
	Path        *pathWire                `json:"path,omitempty"`
}

type formatWire struct{ Format, Path, Item, Reason, Cause string }

// paramWire has its numbers as bits, because they may be what JSON has no word for.
type paramWire struct {
	Name            string
	Value, Min, Max uint64
	Reason          string
}

type panicWire struct{ Value, Stack string }

type pathWire struct{ Op, Path, Cause string }

func wireError(err error) errorWire {
	w := errorWire{Text: err.Error()}
	for _, s := range states {
		if errors.Is(err, s.err) {
			w.Is = append(w.Is, s.name)
		}
	}
	var (
		format *engine.FormatError
		param  *engine.ParamError
		inside *engine.PanicError
		path   *fs.PathError
	)
	if errors.As(err, &format) {
		w.Format = &formatWire{format.Format, format.Path, format.Item, format.Reason, text(format.Err)}
	}
	if errors.As(err, &param) {
		bits := math.Float64bits
		w.Param = &paramWire{param.Name, bits(param.Value), bits(param.Min), bits(param.Max), param.Reason}
	}
	if errors.As(err, &inside) {
		w.Panic = &panicWire{fmt.Sprint(inside.Value), string(inside.Stack)}
	}
	if errors.As(err, &path) {
		w.Path = &pathWire{path.Op, path.Path, text(path.Err)}
	}
	errors.As(err, &w.Unsupported)
	errors.As(err, &w.Memory)
	errors.As(err, &w.Input)
	return w
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func cause(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}

// workerError is an error that a worker reported.
type workerError struct {
	text   string
	causes []error
}

func (e *workerError) Error() string   { return e.text }
func (e *workerError) Unwrap() []error { return e.causes }

// err is the error that w stands for: errors.Is and errors.As find in it what they found in the worker.
func (w errorWire) err() error {
	e := &workerError{text: w.Text}
	for _, s := range states {
		for _, name := range w.Is {
			if name == s.name {
				e.causes = append(e.causes, s.err)
			}
		}
	}
	if f := w.Format; f != nil {
		e.causes = append(e.causes, &engine.FormatError{Format: f.Format, Path: f.Path, Item: f.Item, Reason: f.Reason, Err: cause(f.Cause)})
	}
	if p := w.Param; p != nil {
		float := math.Float64frombits
		e.causes = append(e.causes, &engine.ParamError{Name: p.Name, Value: float(p.Value), Min: float(p.Min), Max: float(p.Max), Reason: p.Reason})
	}
	if p := w.Panic; p != nil {
		e.causes = append(e.causes, &engine.PanicError{Value: p.Value, Stack: []byte(p.Stack)})
	}
	if p := w.Path; p != nil {
		e.causes = append(e.causes, &fs.PathError{Op: p.Op, Path: p.Path, Err: errors.New(p.Cause)})
	}
	if w.Unsupported != nil {
		e.causes = append(e.causes, w.Unsupported)
	}
	if w.Memory != nil {
		e.causes = append(e.causes, w.Memory)
	}
	if w.Input != nil {
		e.causes = append(e.causes, w.Input)
	}
	return e
}
