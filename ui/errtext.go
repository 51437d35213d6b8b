package ui

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"unmask/engine"
	"unmask/ui/figures"
	"unmask/ui/state"
)

// Explain turns an error into words for people: what happened, what it means, the numbers, and whether trying again can
// help. No other code writes prose about errors.
func Explain(err error) state.Trouble {
	if err == nil {
		return state.Trouble{}
	}
	t := explain(err)
	t.Details = err.Error()
	return t
}

// size: one case a kind of error.
func explain(err error) state.Trouble {
	var (
		format      *engine.FormatError
		unsupported *engine.UnsupportedError
		memory      *engine.MemoryError
		param       *engine.ParamError
		input       *engine.InputError
		internal    *engine.PanicError
		path        *fs.PathError
	)
	var told notice
	var said state.EngineNotice
	switch {
	case errors.As(err, &told):
		return state.Trouble{Title: "About the history", Meaning: string(told)}
	case errors.As(err, &said):
		return state.Trouble{Title: "About the engine", Meaning: string(said)}
	case errors.Is(err, context.Canceled):
		return state.Trouble{Title: "Stopped", Meaning: "What was unmasked until then is kept."}
	case errors.Is(err, engine.ErrNoModel):
		return state.Trouble{Title: "No model is loaded", Meaning: "Load the built-in model, which needs no network.", Retry: "Load the model"}
	case errors.Is(err, engine.ErrBusy):
		return state.Trouble{Title: "The model is busy", Meaning: "Another run uses it. This one can start when that one ends.", Retry: "Try again"}
	case errors.Is(err, engine.ErrWorkerLost):
		return state.Trouble{Title: "The engine stopped", Meaning: "Its process ended. The steps made until then are kept.", Retry: "Start it again"}
	case errors.Is(err, engine.ErrNoDevice):
		return state.Trouble{Title: "The device is not there", Meaning: "Run on the processor instead."}
	case errors.As(err, &memory):
		return state.Trouble{
			Title:   fmt.Sprintf("This needs %s more than is free", figures.Bytes(max(memory.Need-memory.Have, 0))),
			Meaning: "A shorter answer, or guidance off, needs less.",
			Facts:   [][2]string{{"needed", figures.Bytes(memory.Need)}, {"free", figures.Bytes(memory.Have)}},
		}
	case errors.As(err, &format):
		f := [][2]string{{"file", filepath.Base(format.Path)}}
		if format.Item != "" {
			f = append(f, [2]string{"item", format.Item})
		}
		if format.Reason != "" {
			f = append(f, [2]string{"found", format.Reason})
		}
		return state.Trouble{Title: filepath.Base(format.Path) + " cannot be read", Meaning: "The file is damaged or is not what its name says.", Facts: f, Retry: "Try again"}
	case errors.As(err, &param):
		t := state.Trouble{Title: "A setting is outside its range", Meaning: "Change it in Settings, or reset it.", Facts: [][2]string{{param.Name, trim(param.Value)}}}
		if param.Reason != "" {
			t.Facts = append(t.Facts, [2]string{"rule", param.Reason})
		} else {
			t.Facts = append(t.Facts, [2]string{"allowed", trim(param.Min) + " to " + trim(param.Max)})
		}
		return t
	case errors.As(err, &input):
		return state.Trouble{Title: "The " + input.Item + " cannot be used", Meaning: sentence(input.Reason)}
	case errors.As(err, &unsupported):
		t := state.Trouble{Title: sentence(unsupported.What + " is not supported"), Meaning: "This model or this version does not do it."}
		if unsupported.Have != "" {
			t.Facts = [][2]string{{"supported", unsupported.Have}}
		}
		return t
	case errors.Is(err, syscall.ENOSPC):
		return state.Trouble{Title: "The disk is full", Meaning: "What is shown is still in memory. Free some space; everything new is kept from then on."}
	case errors.Is(err, fs.ErrPermission):
		return state.Trouble{Title: "No permission", Meaning: "The system does not allow this file to be used."}
	case errors.As(err, &path):
		return state.Trouble{Title: filepath.Base(path.Path) + " cannot be opened", Meaning: sentence(path.Err.Error())}
	case errors.Is(err, state.ErrNotFound):
		return state.Trouble{Title: "It is not in the history any more", Meaning: "It may have been deleted in another window."}
	case errors.As(err, &internal):
		return state.Trouble{Title: "Something in Unmask broke", Meaning: "The steps made until then are kept. The details help to mend it.", Retry: "Try again"}
	default:
		return state.Trouble{Title: "That did not work", Meaning: sentence(err.Error()), Retry: "Try again"}
	}
}

// notice is something to tell a person that is written out already.
type notice string

// Error is the notice.
func (n notice) Error() string { return string(n) }

// sentence writes s with a capital and a full stop.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	r := []rune(s)
	s = strings.ToUpper(string(r[0])) + string(r[1:])
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

// trim writes a number without needless digits.
func trim(v float64) string { return fmt.Sprintf("%g", v) }
