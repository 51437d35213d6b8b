package models

import (
	"fmt"
	"strings"

	"unmask/engine"
	"unmask/ui/figures"
	"unmask/ui/state"
)

// taskWords are what the tasks are called on this pane.
var taskWords = map[engine.Task]string{
	engine.Chat: "chat", engine.Infill: "infill", engine.TextToImage: "draw", engine.Inpaint: "inpaint",
	engine.Outpaint: "outpaint", engine.Describe: "describe", engine.EditImage: "edit", engine.Joint: "joint",
}

// tasksOf writes what a model can do: "chat · infill · describe".
func tasksOf(tasks []engine.Task) string {
	var w []string
	for _, t := range engine.Tasks {
		for _, have := range tasks {
			if t == have {
				w = append(w, taskWords[t])
			}
		}
	}
	return strings.Join(w, " · ")
}

// params writes a number of parameters: "8.02 B", "596 M".
func params(n int64) string {
	f := func(x float64, unit string) string {
		digits := 2
		if x >= 100 {
			digits = 0
		} else if x >= 10 {
			digits = 1
		}
		return fmt.Sprintf("%.*f %s", digits, x, unit)
	}
	switch {
	case n <= 0:
		return figures.Unknown
	case n >= 1e9:
		return f(float64(n)/1e9, "B")
	case n >= 1e6:
		return f(float64(n)/1e6, "M")
	}
	return f(float64(n)/1e3, "k")
}

// typeWords are the arithmetics for people.
var typeWords = map[string]string{"f32": "f32", "bf16": "bf16", "i8": "8 bit", "i4": "4 bit"}

// familyTitle is what a family is called.
func familyTitle(family string) string {
	for _, r := range engine.Releases {
		if r.Family == family {
			return r.Title
		}
	}
	return family
}

// explain says in one sentence what a status means and what to do.
func explain(r state.Row) string {
	switch r.Status {
	case state.Missing:
		return "Its files are not there any more. Put them back, or take the model off the list and add it where it is now."
	case state.Unreadable:
		return "A model needs its whole folder as it was published: weights, config.json and tokenizer.json belong together. Mend the folder and look at it again."
	case state.TooLarge:
		if r.DType != "" {
			return fmt.Sprintf("As %s it needs more memory than is free. Choose a smaller type, or close other programs.", typeWords[r.DType])
		}
		return "It does not fit even at 4 bits. Close other programs, or run it on another machine."
	case state.FitsRather:
		return fmt.Sprintf("At its own precision it does not fit, so it is loaded as %s.", typeWords[r.Type])
	case state.Reading:
		return "Its files are being looked at."
	}
	return ""
}
