package export

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"time"

	"unmask/ui/run"
)

// PNG writes the animation of r as an animated PNG (APNG 1.0, W3C PNG third edition), endless and without loss. Programs
// that know no animations show the end of the run.
func PNG(w io.Writer, r *run.Run, o Options) error {
	// size: one loop over frames around the chunks that it writes.
	if r == nil || r.Started() == nil {
		return ErrEmpty
	}
	still, err := Still(r, r.Len(), o)
	if err != nil {
		return err
	}
	var a apng
	head, data, err := a.encode(still)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	var last *image.RGBA
	var control []byte // of the frame that is open: its delay may grow
	var frame []byte
	n := 0
	flush := func() {
		if control != nil {
			writeChunk(&body, "fcTL", control)
			writeChunk(&body, "fdAT", binary.BigEndian.AppendUint32(nil, a.next()), frame)
		}
	}
	var delay time.Duration
	for f, err := range Frames(r, o) {
		if err != nil {
			return err
		}
		rect := f.Image.Rect
		if last != nil {
			if rect = changed(last, f.Image); rect.Empty() {
				delay += f.Delay
				putDelay(control, delay)
				continue
			}
		}
		flush()
		delay = f.Delay
		control = a.control(rect, delay)
		if _, frame, err = a.encode(f.Image.SubImage(rect)); err != nil {
			return err
		}
		n++
		if last == nil {
			last = image.NewRGBA(f.Image.Rect)
		}
		copy(last.Pix, f.Image.Pix)
	}
	flush()
	b := bufio.NewWriter(w)
	b.WriteString("\x89PNG\r\n\x1a\n")
	writeChunk(b, "IHDR", head)
	writeChunk(b, "acTL", binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(n)), 0))
	writeChunk(b, "IDAT", data)
	if _, err := b.Write(body.Bytes()); err != nil {
		return err
	}
	writeChunk(b, "IEND")
	return b.Flush()
}

// apng numbers the chunks of an animation.
type apng struct {
	enc      png.Encoder
	sequence uint32
}

func (a *apng) next() uint32 { a.sequence++; return a.sequence - 1 }

// control is the fcTL chunk of a frame that covers rect; what was there before is kept around it.
func (a *apng) control(rect image.Rectangle, delay time.Duration) []byte {
	b := binary.BigEndian.AppendUint32(nil, a.next())
	for _, v := range []int{rect.Dx(), rect.Dy(), rect.Min.X, rect.Min.Y} {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	b = append(b, 0, 0, 0, 0, 0, 0) // delay, then APNG_DISPOSE_OP_NONE and APNG_BLEND_OP_SOURCE
	putDelay(b, delay)
	return b
}

func putDelay(control []byte, d time.Duration) {
	binary.BigEndian.PutUint16(control[20:], uint16(min(d.Milliseconds(), 65535)))
	binary.BigEndian.PutUint16(control[22:], 1000)
}

// encode is the header and the joined data of img as a PNG. All frames are opaque, so all have one colour type.
func (a *apng) encode(img image.Image) (head, data []byte, err error) {
	var b bytes.Buffer
	if err := a.enc.Encode(&b, img); err != nil {
		return nil, nil, err
	}
	for p := b.Bytes()[8:]; len(p) >= 12; {
		n := int(binary.BigEndian.Uint32(p))
		switch kind := string(p[4:8]); kind {
		case "IHDR":
			head = p[8 : 8+n]
		case "IDAT":
			data = append(data, p[8:8+n]...)
		case "IEND":
		default:
			return nil, nil, fmt.Errorf("PNG chunk %s in a plain frame", kind)
		}
		p = p[12+n:]
	}
	return head, data, nil
}

// writeChunk writes one chunk; a writer's error is met again at its flush.
func writeChunk(w io.Writer, kind string, data ...[]byte) {
	n := 0
	for _, d := range data {
		n += len(d)
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(n))
	b = append(b, kind...)
	for _, d := range data {
		b = append(b, d...)
	}
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
	_, _ = w.Write(b)
}
