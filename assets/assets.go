// Package assets embeds the default model. Symbols and the program's icon are in assets/icons.
package assets

import (
	"embed"
	"io/fs"
)

// The recipe beside the model is not embedded.
//
//go:embed tiny/[a-qs-zA-Z]*
var files embed.FS

// Model is the embedded checkpoint, laid out as a released MMaDA: config.json, tokenizer.json, the weights, and the image
// tokenizer in vq/.
func Model() fs.FS {
	sub, err := fs.Sub(files, "tiny")
	if err != nil {
		panic(err) // the name is valid
	}
	return sub
}
