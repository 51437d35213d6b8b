package trace

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"unmask/engine"
)

// Writer records the events of one run. What Write has returned from without error can be read back, even when the
// program is killed before Close. One goroutine at a time.
type Writer struct {
	header Header
	z      *gzip.Writer
	err    error // the first failure; later calls return it
	open   bool  // a started event was written
	file   *os.File
	path   string
}

// NewWriter records to w. program is the name and version of the program.
func NewWriter(w io.Writer, program string) *Writer {
	return &Writer{header: Header{Version: Version, Program: program, Created: time.Now().UTC().Truncate(time.Second)}, z: gzip.NewWriter(w)}
}

// Create records to the file path: to path.part at first, which Close renames, so that path never holds half a run. When
// the disk is full the part file is left with the steps that fit.
func Create(path, program string) (*Writer, error) {
	f, err := os.Create(path + ".part")
	if err != nil {
		return nil, fmt.Errorf("write run: %w", err)
	}
	w := NewWriter(f, program)
	w.file, w.path = f, path
	return w, nil
}

// Write records one event and flushes it. Previews are recorded as they are given. The first event must be Started.
func (w *Writer) Write(ev engine.Event) error {
	if w.err != nil {
		return w.err
	}
	switch ev := ev.(type) {
	case *engine.Started:
		w.err = w.started(ev)
	case engine.Step:
		finite(&ev)
		w.err = w.line(line{Step: &ev})
	case *engine.Preview:
		var b []byte
		if b, w.err = encode(ev.Image); w.err == nil {
			w.err = w.line(line{Preview: &preview{Step: ev.Step, PNG: b}})
		}
	case *engine.Finished:
		if ev.Image != nil {
			w.picture(roleFinished, ev.Image)
		}
		if w.err == nil {
			w.err = w.line(line{Finished: ev})
		}
	default:
		w.err = fmt.Errorf("write run: event %T is unknown", ev)
	}
	return w.flush()
}

// End records that the run ended without a finished event, for reason err.
func (w *Writer) End(err error) error {
	if w.err == nil {
		w.err = w.line(line{Ended: &ended{Reason: err.Error()}})
	}
	return w.flush()
}

// Close ends the file. It returns the first failure of any call; the file then keeps its name with .part.
func (w *Writer) Close() error {
	if err := w.z.Close(); w.err == nil && err != nil {
		w.err = fmt.Errorf("write run: %w", err)
	}
	if w.file == nil {
		return w.err
	}
	if w.err == nil {
		w.err = w.file.Sync()
	}
	if err := w.file.Close(); w.err == nil && err != nil {
		w.err = fmt.Errorf("write run: %w", err)
	}
	if w.err != nil {
		return fmt.Errorf("%w; the part that was written is in %s.part", w.err, w.path)
	}
	if err := os.Rename(w.path+".part", w.path); err != nil {
		w.err = fmt.Errorf("write run: %w", err)
	}
	return w.err
}

func (w *Writer) flush() error {
	if w.err == nil {
		if err := w.z.Flush(); err != nil {
			w.err = fmt.Errorf("write run: %w", err)
		}
	}
	return w.err
}

func (w *Writer) started(ev *engine.Started) error {
	if w.open {
		return errors.New("write run: started twice")
	}
	w.open = true
	type attached struct {
		role string
		img  image.Image
	}
	var all []attached
	if ev.Job.Image != nil {
		all = append(all, attached{roleImage, ev.Job.Image})
	}
	if ev.Job.Mask != nil {
		all = append(all, attached{roleMask, grey(ev.Job.Mask)})
	}
	if ev.Source != nil {
		all = append(all, attached{roleSource, ev.Source})
	}
	for i, m := range ev.Job.Messages {
		if m.Image != nil {
			all = append(all, attached{roleMessage + strconv.Itoa(i), m.Image})
		}
	}
	b, err := marshal(start{Header: w.header, Started: ev, Pictures: len(all)})
	if err != nil {
		return err
	}
	if _, err := w.z.Write(b); err != nil {
		return fmt.Errorf("write run: %w", err)
	}
	for _, a := range all {
		w.picture(a.role, a.img)
	}
	return w.err
}

func (w *Writer) picture(role string, img image.Image) {
	if w.err != nil {
		return
	}
	var b []byte
	if b, w.err = encode(img); w.err == nil {
		at := img.Bounds().Min
		w.err = w.line(line{Picture: &picture{Role: role, X: at.X, Y: at.Y, PNG: b}})
	}
}

func (w *Writer) line(l line) error {
	if !w.open {
		return errors.New("write run: the first event is not Started")
	}
	b, err := marshal(l)
	if err != nil {
		return err
	}
	if _, err := w.z.Write(b); err != nil {
		return fmt.Errorf("write run: %w", err)
	}
	return nil
}

// finite replaces numbers that JSON can not hold; changes and looks are copied when there is one.
func finite(s *engine.Step) {
	changes := slices.Clone(s.Changes)
	bad := false
	for i := range changes {
		c := &changes[i]
		bad = mended(&c.Prob, &c.Margin, &c.Entropy) || bad
	}
	if bad {
		s.Changes = changes
	}
	looks := slices.Clone(s.Looks)
	bad = false
	for i := range looks {
		l := &looks[i]
		bad = mended(&l.Prob, &l.Margin, &l.Entropy) || bad
	}
	if bad {
		s.Looks = looks
	}
}

// mended makes numbers that are none 0 and reports whether there were any.
func mended(numbers ...*float32) (any bool) {
	for _, x := range numbers {
		if v := float64(*x); math.IsNaN(v) || math.IsInf(v, 0) {
			*x, any = 0, true
		}
	}
	return any
}

// grey shows the mask as a grey picture, because PNG has no picture of alpha alone.
func grey(m *image.Alpha) *image.Gray { return &image.Gray{Pix: m.Pix, Stride: m.Stride, Rect: m.Rect} }

var encoder = png.Encoder{CompressionLevel: png.BestSpeed}

func encode(img image.Image) ([]byte, error) {
	var b bytes.Buffer
	if err := encoder.Encode(&b, img); err != nil {
		return nil, fmt.Errorf("write run: picture: %w", err)
	}
	return b.Bytes(), nil
}
