package engine

import (
	"errors"
	"fmt"
)

// States that callers test with errors.Is.
var (
	ErrNoModel     = errors.New("no model is loaded")
	ErrBusy        = errors.New("the session is busy")
	ErrNoDevice    = errors.New("no such device")
	ErrWorkerLost  = errors.New("the worker process is gone")
	ErrUnsupported = errors.New("not supported")
)

// FormatError reports a broken file: which format, file and item, and what is wrong with both numbers in it.
type FormatError struct {
	Format string // "safetensors", "tokenizer.json", ...
	Path   string
	Item   string // tensor, key or field; may be empty
	Reason string
	Err    error
}

// Error names format, file, item and reason.
func (e *FormatError) Error() string {
	s := e.Format + ": " + e.Path
	if e.Item != "" {
		s += fmt.Sprintf(": %q", e.Item)
	}
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *FormatError) Unwrap() error { return e.Err }

// UnsupportedError reports something valid that this program does not do; Have says what it does.
type UnsupportedError struct{ What, Have string }

// Error says what is not supported and what is.
func (e *UnsupportedError) Error() string {
	if e.Have == "" {
		return e.What + " is not supported"
	}
	return e.What + " is not supported; have " + e.Have
}

// Is makes errors.Is(err, ErrUnsupported) true.
func (e *UnsupportedError) Is(target error) bool { return target == ErrUnsupported }

// MemoryError reports that something does not fit. Both numbers are bytes.
type MemoryError struct {
	What       string
	Need, Have int64
}

// Error gives both numbers.
func (e *MemoryError) Error() string {
	return fmt.Sprintf("%s needs %d bytes of memory, %d are free", e.What, e.Need, e.Have)
}

// ParamError reports a setting outside its range.
type ParamError struct {
	Name            string
	Value, Min, Max float64
	Reason          string // instead of the range, where the rule is not a range
}

// Error names the setting, its value and the allowed range.
func (e *ParamError) Error() string {
	if e.Reason != "" {
		return fmt.Sprintf("%s = %g: %s", e.Name, e.Value, e.Reason)
	}
	return fmt.Sprintf("%s = %g is outside [%g, %g]", e.Name, e.Value, e.Min, e.Max)
}

// InputError reports bad input from a person: a picture, a mask, a prompt, a flag.
type InputError struct {
	Item   string // "mask", "picture", "prompt", ...
	Reason string // with both numbers
}

// Error names the item and the reason.
func (e *InputError) Error() string { return e.Item + ": " + e.Reason }

// PanicError carries a panic out of a session.
type PanicError struct {
	Value any
	Stack []byte
}

// Error shows the panic's value.
func (e *PanicError) Error() string { return fmt.Sprintf("internal error: %v", e.Value) }
