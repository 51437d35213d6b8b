package evalset

import (
	"bufio"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"os"
	"path/filepath"
)

// Dump writes every outcome of a run to a folder, so that another judge can look at the same files: items.jsonl, one
// [Outcome] a line, and the pictures that were given (ID.given.png) and made (ID.png).
type Dump struct {
	dir  string
	file *os.File
	w    *bufio.Writer
}

// NewDump makes the folder and begins items.jsonl in it.
func NewDump(dir string) (*Dump, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(dir, "items.jsonl"))
	if err != nil {
		return nil, err
	}
	return &Dump{dir: dir, file: f, w: bufio.NewWriter(f)}, nil
}

// Add writes one outcome.
func (d *Dump) Add(o Outcome) error {
	line, err := json.Marshal(struct {
		Outcome
		Held bool `json:"held"` // no step wrote a position that was to be kept
	}{o, o.Answer.Held})
	if err != nil {
		return err
	}
	if _, err := d.w.Write(append(line, '\n')); err != nil {
		return err
	}
	for name, img := range map[string]*image.NRGBA{o.Item.ID + ".given.png": o.Answer.Given, o.Item.ID + ".png": o.Answer.Picture} {
		if img == nil {
			continue
		}
		if err := writePNG(filepath.Join(d.dir, name), img); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the files.
func (d *Dump) Close() error { return errors.Join(d.w.Flush(), d.file.Close()) }

func writePNG(path string, img image.Image) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(png.Encode(f, img), f.Close())
}
