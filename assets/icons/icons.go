// Package icons holds the program's own drawings: 27 symbols of 24 by 24, the program's icon and the mark of the window.
// All symbols are filled paths without transform, so that a reader that recolours fills draws them right.
package icons

import (
	"embed"
	"fmt"
)

//go:embed *.svg icon.png
var files embed.FS

// Names lists the symbols, without ".svg".
var Names = []string{
	"pane-chat", "pane-canvas", "pane-inpaint", "pane-compare", "brush", "eraser", "rect-mask", "lasso", "invert-mask",
	"snap-grid", "outpaint", "pin", "unpin", "remask", "branch", "run-on", "dice", "lock", "unlock", "heat-map", "order",
	"step-back", "step-forward", "live", "think", "fit-memory", "before-after",
}

// SVG returns the drawing of a symbol of Names or of "icon", "icon-small", "mark-dark", "mark-light". A name that is
// none of them is our bug and panics.
func SVG(name string) []byte {
	b, err := files.ReadFile(name + ".svg")
	if err != nil {
		panic(fmt.Sprintf("icon %q is unknown", name))
	}
	return b
}

// PNG returns the program's icon, 512 by 512.
func PNG() []byte {
	b, err := files.ReadFile("icon.png")
	if err != nil {
		panic(err)
	}
	return b
}
