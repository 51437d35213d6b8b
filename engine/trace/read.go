package trace

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"

	"unmask/engine"
)

// Reader gives the events of a run file one by one. One goroutine at a time.
type Reader struct {
	Header  Header
	path    string
	lines   *bufio.Reader
	limit   int // bytes of a line
	total   int
	started *engine.Started
	check   *Checker
	reason  string
}

// NewReader reads the first line and the pictures of the started event. path is for messages.
func NewReader(r io.Reader, path string) (*Reader, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, bad(path, "", err, "is not compressed by gzip")
	}
	z.Multistream(false)
	d := &Reader{path: path, lines: bufio.NewReaderSize(z, 64<<10), limit: maxLine, check: NewChecker("run file", path)}
	b, err := d.line()
	if err != nil {
		return nil, bad(path, "first line", err, "can not be read")
	}
	var s start
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, bad(path, "first line", err, "is no header")
	}
	if s.Version < 1 || s.Version > Version {
		return nil, bad(path, "unmask_run", nil, "version %d, this program reads 1 to %d", s.Version, Version)
	}
	d.Header, d.started = s.Header, s.Started
	if err := d.check.Check(d.started); err != nil {
		return nil, err
	}
	if limit := 3 + len(s.Started.Job.Messages); s.Pictures < 0 || s.Pictures > limit {
		return nil, bad(path, "pictures", nil, "%d follow, at most %d are possible", s.Pictures, limit)
	}
	for range s.Pictures {
		l, err := d.next()
		if err != nil {
			return nil, err
		}
		if l.Picture == nil {
			return nil, bad(path, "pictures", nil, "%d should follow the first line, there are fewer", s.Pictures)
		}
		if err := d.attach(l.Picture); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// All yields the events in order, Started first. An error, if any, is the last pair; what came before it is sound. A file
// that was cut off ends with io.ErrUnexpectedEOF. Single use.
func (d *Reader) All() iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		if !yield(d.started, nil) {
			return
		}
		var final *image.NRGBA
		for {
			l, err := d.next()
			if err != nil {
				yield(nil, err)
				return
			}
			var ev engine.Event
			switch {
			case l.Step != nil:
				if err := d.check.Check(*l.Step); err != nil {
					yield(nil, err)
					return
				}
				ev = *l.Step
			case l.Preview != nil:
				img, err := decode(d.path, "preview", l.Preview.PNG)
				if err != nil {
					yield(nil, err)
					return
				}
				ev = &engine.Preview{Step: l.Preview.Step, Image: toNRGBA(img)}
			case l.Picture != nil && l.Picture.Role == roleFinished:
				img, err := decode(d.path, "picture", l.Picture.PNG)
				if err != nil {
					yield(nil, err)
					return
				}
				final = toNRGBA(img)
				continue
			case l.Finished != nil:
				if err := d.check.Check(l.Finished); err != nil {
					yield(nil, err)
					return
				}
				l.Finished.Image = final
				yield(l.Finished, nil)
				return
			case l.Ended != nil:
				d.reason = l.Ended.Reason
				return
			default:
				yield(nil, bad(d.path, fmt.Sprintf("line after step %d", d.check.steps), nil, "is of no known kind"))
				return
			}
			if !yield(ev, nil) {
				return
			}
		}
	}
}

// Reason is the message of the error that ended the run, once All has come to its end; "" when there was none.
func (d *Reader) Reason() string { return d.reason }

// Read reads a whole run file. When the file was cut off or is broken behind its first lines, the run up to there is
// returned together with the error.
func Read(r io.Reader, path string) (*Run, error) {
	d, err := NewReader(r, path)
	if err != nil {
		return nil, err
	}
	run := &Run{Header: d.Header}
	for ev, err := range d.All() {
		if err != nil {
			return run, err
		}
		switch ev := ev.(type) {
		case *engine.Started:
			run.Started = ev
		case engine.Step:
			run.Steps = append(run.Steps, ev)
		case *engine.Preview:
			run.Previews = append(run.Previews, ev)
		case *engine.Finished:
			run.Finished = ev
		}
	}
	run.Reason = d.Reason()
	return run, nil
}

// ReadFile reads a run file or a PNG that carries a run.
func ReadFile(path string) (*Run, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	defer f.Close()
	b := bufio.NewReader(f)
	if head, _ := b.Peek(len(pngSignature)); string(head) == pngSignature {
		return readPNG(b, path)
	}
	return Read(b, path)
}

// line reads up to the next line feed within the limits.
func (d *Reader) line() ([]byte, error) {
	var b []byte
	for {
		part, err := d.lines.ReadSlice('\n')
		d.total += len(part)
		if len(b)+len(part) > d.limit {
			return nil, fmt.Errorf("a line is over %d bytes long", d.limit)
		}
		if d.total > maxTotal {
			return nil, fmt.Errorf("the run is over %d bytes long", maxTotal)
		}
		b = append(b, part...)
		switch {
		case err == nil:
			return b, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF // a whole run ends with a line that is read as its last
		default:
			return nil, err
		}
	}
}

func (d *Reader) next() (line, error) {
	b, err := d.line()
	if err != nil {
		return line{}, bad(d.path, fmt.Sprintf("after step %d", d.check.steps), err, "the file is cut off or broken")
	}
	var l line
	if err := json.Unmarshal(b, &l); err != nil {
		return line{}, bad(d.path, fmt.Sprintf("line after step %d", d.check.steps), err, "is no JSON object of a run")
	}
	return l, nil
}

// attach puts a picture of the started event in its place.
func (d *Reader) attach(p *picture) error {
	img, err := decode(d.path, p.Role, p.PNG)
	if err != nil {
		return err
	}
	const far = 1 << 24
	if p.X < -far || p.X > far || p.Y < -far || p.Y > far {
		return bad(d.path, p.Role, nil, "lies at (%d, %d), more than %d away", p.X, p.Y, far)
	}
	n := toNRGBA(img)
	n.Rect = n.Rect.Add(image.Pt(p.X, p.Y))
	switch number, isMessage := strings.CutPrefix(p.Role, roleMessage); {
	case p.Role == roleImage:
		d.started.Job.Image = n
	case p.Role == roleSource:
		d.started.Source = n
	case p.Role == roleMask:
		g, ok := img.(*image.Gray)
		if !ok {
			return bad(d.path, p.Role, nil, "is not a grey picture")
		}
		d.started.Job.Mask = &image.Alpha{Pix: g.Pix, Stride: g.Stride, Rect: g.Rect.Add(image.Pt(p.X, p.Y))}
	case isMessage:
		i, err := strconv.Atoi(number)
		if err != nil || i < 0 || i >= len(d.started.Job.Messages) {
			return bad(d.path, p.Role, nil, "there are %d messages", len(d.started.Job.Messages))
		}
		d.started.Job.Messages[i].Image = n
	default:
		return bad(d.path, p.Role, nil, "is of no known role")
	}
	return nil
}

// decode decodes a PNG after a look at its size.
func decode(path, item string, data []byte) (image.Image, error) {
	c, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, bad(path, item, err, "is no picture")
	}
	if c.Width <= 0 || c.Height <= 0 || c.Width > maxPixels/c.Height {
		return nil, bad(path, item, nil, "%d x %d pixels, at most %d are read", c.Width, c.Height, maxPixels)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, bad(path, item, err, "is no picture")
	}
	return img, nil
}

func toNRGBA(img image.Image) *image.NRGBA {
	if n, ok := img.(*image.NRGBA); ok {
		return n
	}
	n := image.NewNRGBA(img.Bounds())
	draw.Draw(n, n.Rect, img, img.Bounds().Min, draw.Src)
	return n
}
