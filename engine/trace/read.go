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
	tokens  []engine.Token // state, to check steps against
	fixed   []bool
	steps   int
	reason  string
}

// NewReader reads the first line and the pictures of the started event. path is for messages.
func NewReader(r io.Reader, path string) (*Reader, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, bad(path, "", err, "is not compressed by gzip")
	}
	z.Multistream(false)
	d := &Reader{path: path, lines: bufio.NewReaderSize(z, 64<<10), limit: maxLine}
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
	if err := d.checkStarted(); err != nil {
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
				if err := d.checkStep(l.Step); err != nil {
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
				if err := d.checkFinished(l.Finished); err != nil {
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
				yield(nil, bad(d.path, fmt.Sprintf("line after step %d", d.steps), nil, "is of no known kind"))
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
		return line{}, bad(d.path, fmt.Sprintf("after step %d", d.steps), err, "the file is cut off or broken")
	}
	var l line
	if err := json.Unmarshal(b, &l); err != nil {
		return line{}, bad(d.path, fmt.Sprintf("line after step %d", d.steps), err, "is no JSON object of a run")
	}
	return l, nil
}

// checkStarted refuses a first event whose parts contradict each other.
func (d *Reader) checkStarted() error {
	s := d.started
	if s == nil || s.Sequence == nil {
		return bad(d.path, "started", nil, "is missing")
	}
	q := s.Sequence
	n := len(q.Tokens)
	if n == 0 || n > maxLength || len(q.Fixed) != n || len(s.Texts) != n && len(s.Texts) != 0 {
		return bad(d.path, "sequence", nil, "%d tokens, %d fixed, %d texts; want as many of each, 1 to %d", n, len(q.Fixed), len(s.Texts), maxLength)
	}
	at := 0
	for _, p := range q.Spans {
		if p.Lo != at || p.Hi <= p.Lo || p.Modality > engine.Image {
			return bad(d.path, "spans", nil, "[%d, %d) of modality %d follows position %d", p.Lo, p.Hi, p.Modality, at)
		}
		at = p.Hi
	}
	if at != n {
		return bad(d.path, "spans", nil, "cover %d of %d positions", at, n)
	}
	if s.Answer.Lo < 0 || s.Answer.Hi < s.Answer.Lo || s.Answer.Hi > n {
		return bad(d.path, "answer", nil, "[%d, %d) is outside the %d positions", s.Answer.Lo, s.Answer.Hi, n)
	}
	if g := s.Grid; g.Cols < 0 || g.Rows < 0 || g.Cols > n || g.Rows > n || g.Cols*g.Rows > n {
		return bad(d.path, "grid", nil, "%d x %d cells of %d positions", g.Cols, g.Rows, n)
	}
	for i, t := range q.Tokens {
		most := s.Spec.Vocab
		if s.Spec.Vectors && q.Fixed[i] {
			most += n // the vectors of pictures
		}
		if t < 0 || s.Spec.Vocab > 0 && int(t) >= most {
			return bad(d.path, "tokens", nil, "token %d at position %d, the vocabulary has %d", t, i, s.Spec.Vocab)
		}
	}
	d.tokens = append([]engine.Token(nil), q.Tokens...)
	d.fixed = q.Fixed
	return nil
}

// checkStep refuses changes that do not fit the sequence as it is then.
func (d *Reader) checkStep(s *engine.Step) error {
	item := fmt.Sprintf("step %d", d.steps+1)
	if n := len(d.tokens); s.Block.Lo < 0 || s.Block.Hi < s.Block.Lo || s.Block.Hi > n || s.Masked < 0 || s.Masked > n {
		return bad(d.path, item, nil, "block [%d, %d) and %d masked of %d positions", s.Block.Lo, s.Block.Hi, s.Masked, n)
	}
	for _, c := range s.Changes {
		switch {
		case c.Pos < 0 || c.Pos >= len(d.tokens):
			return bad(d.path, item, nil, "changes position %d of %d", c.Pos, len(d.tokens))
		case d.fixed[c.Pos]:
			return bad(d.path, item, nil, "changes the fixed position %d", c.Pos)
		case c.From != d.tokens[c.Pos]:
			return bad(d.path, item, nil, "position %d: token %d is there, not %d", c.Pos, d.tokens[c.Pos], c.From)
		case c.To < 0 || d.started.Spec.Vocab > 0 && int(c.To) >= d.started.Spec.Vocab:
			return bad(d.path, item, nil, "position %d: token %d, the vocabulary has %d", c.Pos, c.To, d.started.Spec.Vocab)
		case c.Kind > engine.Edit:
			return bad(d.path, item, nil, "position %d: change of kind %d, want 0 to %d", c.Pos, c.Kind, engine.Edit)
		}
		d.tokens[c.Pos] = c.To
	}
	d.steps++
	return nil
}

// checkFinished compares the last sequence with what the steps made of the first.
func (d *Reader) checkFinished(f *engine.Finished) error {
	if f.Sequence == nil || len(f.Sequence.Tokens) != len(d.tokens) || len(f.Sequence.Fixed) != len(d.tokens) {
		return bad(d.path, "finished", nil, "its sequence has not the %d positions of the first", len(d.tokens))
	}
	for i, t := range f.Sequence.Tokens {
		if t != d.tokens[i] {
			return bad(d.path, "finished", nil, "token %d at position %d, the steps made it %d", t, i, d.tokens[i])
		}
	}
	return nil
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
