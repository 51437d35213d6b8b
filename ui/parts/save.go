package parts

import (
	"image"
	"image/png"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/storage"

	"unmask/ui/state"
)

// Encoder writes a picture of a run with what made it.
type Encoder interface {
	EncodePicture(w fyne.URIWriteCloser, run string, img image.Image) error
}

// SavePicture lets a person choose where to write the picture of a run as PNG. Where env can, what made the picture is
// written into it.
func SavePicture(env Env, pane state.Pane, run, name string, img image.Image) {
	if img == nil {
		return
	}
	d := dialog.NewFileSave(func(w fyne.URIWriteCloser, err error) {
		if w == nil && err == nil {
			return
		}
		if err == nil {
			if e, ok := env.(Encoder); ok {
				err = e.EncodePicture(w, run, img)
			} else {
				err = png.Encode(w, img)
			}
			if e := w.Close(); err == nil {
				err = e
			}
		}
		if err != nil {
			env.Dispatch(state.NotRead{Pane: pane, Err: err})
		}
	}, env.Window())
	d.SetFilter(storage.NewExtensionFileFilter([]string{".png"}))
	d.SetFileName(name + ".png")
	d.Resize(fyne.NewSize(760, 520))
	d.Show()
}
