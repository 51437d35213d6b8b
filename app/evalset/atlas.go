package evalset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"io"
	"io/fs"
	"slices"

	"golang.org/x/image/webp"

	"unmask/engine"
)

// AtlasFile lists the stickers that scenes are rendered with and pictures are compared with.
const AtlasFile = "stickers.json"

// maxSheetBytes and maxSheetPixels bound a sheet of stickers.
const (
	maxSheetBytes  = 8 << 20
	maxSheetPixels = 1 << 24
)

// Atlas holds the sticker of every concept, drawn anew at every size that a layout has: what the world looks like, without
// a network in between.
type Atlas struct {
	world *World
	tiles map[int][]*image.NRGBA // by side in cells, then by concept; colours are premultiplied
}

// sheets is stickers.json: tiles in rows of Columns, in the order of Names; Sheets names a WebP file for every side in
// cells.
type sheets struct {
	Columns int            `json:"columns"`
	Names   []string       `json:"names"`
	Sheets  map[int]string `json:"sheets"`
}

// OpenAtlas reads the stickers of w from a folder. name is the folder's, for errors.
func OpenAtlas(folder fs.FS, name string, w *World) (*Atlas, error) {
	bad := func(item, format string, args ...any) error {
		return &engine.FormatError{Format: "stickers", Path: name, Item: item, Reason: fmt.Sprintf(format, args...)}
	}
	data, err := readSome(folder, AtlasFile, maxWorldBytes)
	if err != nil {
		return nil, err
	}
	var s sheets
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, bad(AtlasFile, "%v", err)
	}
	if s.Columns < 1 || s.Columns > maxConcepts || len(s.Names) > maxConcepts {
		return nil, bad(AtlasFile, "%d columns, %d names", s.Columns, len(s.Names))
	}
	a := &Atlas{world: w, tiles: map[int][]*image.NRGBA{}}
	for _, l := range w.Layouts {
		for _, slot := range l.Slots {
			if a.tiles[slot.Side] != nil {
				continue
			}
			file := s.Sheets[slot.Side]
			if file == "" {
				return nil, bad(AtlasFile, "no sheet of stickers of %d cells, which layout %s has", slot.Side, l.Name)
			}
			sheet, err := readSheet(folder, file)
			if err != nil {
				return nil, bad(file, "%v", err)
			}
			px := slot.Side * w.CellPx
			for _, c := range w.Concepts {
				i := slices.Index(s.Names, c.Name)
				r := image.Rect(0, 0, px, px).Add(image.Pt(i%s.Columns*px, i/s.Columns*px))
				if i < 0 || !r.In(sheet.Rect) {
					return nil, bad(file, "no sticker of %q with %d pixels a side", c.Name, px)
				}
				a.tiles[slot.Side] = append(a.tiles[slot.Side], sheet.SubImage(r).(*image.NRGBA))
			}
		}
	}
	return a, nil
}

func readSome(folder fs.FS, name string, limit int64) ([]byte, error) {
	f, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", name, limit)
	}
	return data, err
}

func readSheet(folder fs.FS, name string) (*image.NRGBA, error) {
	data, err := readSome(folder, name, maxSheetBytes)
	if err != nil {
		return nil, err
	}
	c, err := webp.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if c.Width < 1 || c.Height < 1 || c.Width*c.Height > maxSheetPixels {
		return nil, fmt.Errorf("%d x %d pixels, at most %d are read", c.Width, c.Height, maxSheetPixels)
	}
	img, err := webp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	n, ok := img.(*image.NRGBA)
	if !ok {
		return nil, fmt.Errorf("its pixels are %T; it must be lossless and transparent", img)
	}
	return n, nil
}

// Render draws a scene at the size of a decoded picture.
func (a *Atlas) Render(s Scene) *image.NRGBA {
	w := a.world
	img := image.NewNRGBA(image.Rect(0, 0, w.PicturePx, w.PicturePx))
	bg := w.Backgrounds[w.background(s.Background)].RGB
	for i := 0; i < len(img.Pix); i += 4 {
		img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = bg[0], bg[1], bg[2], 255
	}
	for _, st := range w.Stickers(s) {
		tile := a.tiles[st.Slot.Side][w.index[st.Name]]
		px := st.Slot.Side * w.CellPx
		for y := range px {
			for x := range px {
				p := tile.Pix[tile.PixOffset(tile.Rect.Min.X+x, tile.Rect.Min.Y+y):]
				v := img.Pix[img.PixOffset(st.Slot.Column*w.CellPx+x, st.Slot.Row*w.CellPx+y):]
				over(v, p)
			}
		}
	}
	return img
}

// over puts the premultiplied pixel p over v.
func over(v, p []byte) {
	left := 255 - uint32(p[3])
	for k := range 3 {
		v[k] = byte(min(255, uint32(p[k])+(uint32(v[k])*left+127)/255))
	}
}

// field is the square of a slot in pixels.
func (w *World) field(s Slot) image.Rectangle {
	n := w.CellPx
	return image.Rect(s.Column*n, s.Row*n, (s.Column+s.Side)*n, (s.Row+s.Side)*n)
}
