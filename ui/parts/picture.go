package parts

import (
	"bytes"
	"fmt"
	"image"
	_ "image/gif"  // formats that can be opened
	_ "image/jpeg" // formats that can be opened
	_ "image/png"  // formats that can be opened
	"io"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/storage"
	_ "golang.org/x/image/bmp" // formats that can be opened
	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp" // formats that can be opened

	"unmask/engine"
	"unmask/ui/state"
)

// Limits of pictures that are opened, so that a hostile file cannot take the memory.
const (
	maxFile   = 64 << 20
	maxPixels = 40_000_000
	maxSide   = 1024 // a larger picture is made smaller: the engine sees less anyway
)

// Extensions are the names' ends of pictures that can be opened.
var Extensions = []string{".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp"}

// ReadPicture reads a picture from a file.
func ReadPicture(u fyne.URI) (state.Picture, error) {
	r, err := storage.Reader(u)
	if err != nil {
		return state.Picture{}, err
	}
	defer r.Close()
	img, err := Decode(r, u.Name())
	return state.Picture{Image: img, Name: u.Name()}, err
}

// Decode reads a picture of at most 64 MB and 40 million pixels, and makes it at most 1,024 pixels a side.
func Decode(r io.Reader, name string) (image.Image, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, &engine.InputError{Item: "picture", Reason: fmt.Sprintf("%s has more than %d MB", name, maxFile>>20)}
	}
	cfg, format, err := image.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, &engine.FormatError{Format: "picture", Path: name, Reason: "not a PNG, JPEG, GIF, BMP or WebP picture", Err: err}
	}
	if cfg.Width < 1 || cfg.Height < 1 || cfg.Width > maxPixels/cfg.Height {
		return nil, &engine.InputError{Item: "picture", Reason: fmt.Sprintf("%s is %d by %d pixels; at most %d million pixels can be opened", name, cfg.Width, cfg.Height, maxPixels/1_000_000)}
	}
	img, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, &engine.FormatError{Format: format, Path: name, Reason: "the picture breaks off or is damaged", Err: err}
	}
	return shrink(img), nil
}

func shrink(img image.Image) image.Image {
	b := img.Bounds()
	side := max(b.Dx(), b.Dy())
	out := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	if side > maxSide {
		out = image.NewNRGBA(image.Rect(0, 0, max(1, b.Dx()*maxSide/side), max(1, b.Dy()*maxSide/side)))
	}
	draw.CatmullRom.Scale(out, out.Bounds(), img, b, draw.Src, nil)
	return out
}

// AskPicture lets a person choose a picture.
func AskPicture(env Env, pane state.Pane) {
	d := dialog.NewFileOpen(func(r fyne.URIReadCloser, err error) {
		if err != nil {
			env.Dispatch(state.NotRead{Pane: pane, Err: err})
			return
		}
		if r == nil {
			return
		}
		defer r.Close()
		img, err := Decode(r, r.URI().Name())
		if err != nil {
			env.Dispatch(state.NotRead{Pane: pane, Err: err})
			return
		}
		env.Dispatch(state.Attach{Pane: pane, Picture: state.Picture{Image: img, Name: r.URI().Name()}})
	}, env.Window())
	d.SetFilter(storage.NewExtensionFileFilter(Extensions))
	d.Resize(fyne.NewSize(760, 520))
	d.Show()
}
