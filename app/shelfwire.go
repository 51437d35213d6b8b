package main

import (
	"context"
	"strings"

	"unmask/app/shelf"
	"unmask/assets"
	"unmask/engine"
	"unmask/engine/cpu"
	"unmask/engine/local"
	"unmask/ui/state"
)

// modelShelf is the list of models of the data folder, with what is found out about their files and this machine. It
// implements state.Shelf.
type modelShelf struct {
	*shelf.Shelf
	kernels string
}

var _ state.Shelf = modelShelf{}

func (c *call) shelf() modelShelf { return modelShelf{shelf.Open(c.cfg.DataDir), c.cfg.Kernels} }

// Locate implements state.Shelf.
func (modelShelf) Locate(path string) (string, error) { return shelf.Locate(path) }

// Describe implements state.Shelf.
func (modelShelf) Describe(ctx context.Context, ref engine.ModelRef) (engine.Card, error) {
	card, err := local.Describe(ctx, assets.Model(), ref)
	if ref.Path == "" && card.Licence == "" {
		card.Licence = "mit" // its card, which is not in the program, says that of this repository
	}
	return card, err
}

// Machine implements state.Shelf.
func (s modelShelf) Machine() state.Machine {
	be, err := cpu.New(cpu.Options{Kernels: s.kernels, Threads: 1})
	if err != nil {
		return state.Machine{}
	}
	defer be.Close()
	d := be.Device()
	return state.Machine{Free: d.Memory, BF16: strings.HasSuffix(d.Kernels, "bf16") || d.Kernels == "amx"}
}
