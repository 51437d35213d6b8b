package remote

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"unmask/engine"
)

// Version is the version of the frames. Both sides must have the same.
const Version = 2

const magic uint32 = 0xF5<<24 | 'U'<<16 | 'M'<<8 | 'W'

// kind says what a frame is.
type kind uint32

const (
	kindHello    kind = iota + 1 // both: hello
	kindProbe                    // to the worker: nothing
	kindLoad                     // to the worker: engine.ModelRef
	kindRun                      // to the worker: jobWire, pictures
	kindCancel                   // to the worker: nothing; call is the request to stop
	kindUnload                   // to the worker: nothing
	kindClose                    // to the worker: nothing; there is no answer
	kindProbed                   // Info; ends a probe
	kindProgress                 // progressWire
	kindLoaded                   // engine.Spec; ends a load
	kindUnloaded                 // nothing; ends an unload
	kindStarted                  // startedWire, pictures
	kindStep                     // binary
	kindPreview                  // previewWire, one picture
	kindFinished                 // finishedWire, a picture or none
	kindDone                     // nothing; ends a run
	kindFailed                   // errorWire; ends any request
	kindLast     = kindFailed
)

const (
	headSize = 20
	maxMeta  = 16 << 20
	maxBlob  = 4 * maxPixels
	// maxBanner is how much text a login may print before the worker's first frame.
	maxBanner = 4 << 10
	// firstRead bounds what is allocated for a length before its bytes have come.
	firstRead = 64 << 10
)

// frame is a message. meta and blob belong to the receiver.
type frame struct {
	kind kind
	call uint32
	meta []byte
	blob []byte
}

// bad reports a stream that is not in this protocol.
func bad(item, format string, args ...any) error {
	return &engine.FormatError{Format: "worker protocol", Path: "stream", Item: item, Reason: fmt.Sprintf(format, args...)}
}

// writer sends frames whole, from any goroutine.
type writer struct {
	mu  sync.Mutex
	w   *bufio.Writer
	err error // the first failure; later sends return it
}

func newWriter(w io.Writer) *writer { return &writer{w: bufio.NewWriterSize(w, 64<<10)} }

// send writes one frame and flushes it. parts are the blob.
func (w *writer) send(k kind, call uint32, meta []byte, parts ...[]byte) error {
	blob := 0
	for _, p := range parts {
		blob += len(p)
	}
	if len(meta) > maxMeta || blob > maxBlob {
		return bad("frame", "%d bytes and %d bytes of pixels, at most %d and %d are sent", len(meta), blob, maxMeta, maxBlob)
	}
	head := make([]byte, 0, headSize)
	for _, v := range []uint32{magic, uint32(k), call, uint32(len(meta)), uint32(blob)} {
		head = binary.BigEndian.AppendUint32(head, v)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range append([][]byte{head, meta}, parts...) {
		if w.err == nil {
			_, w.err = w.w.Write(p)
		}
	}
	if w.err == nil {
		w.err = w.w.Flush()
	}
	return w.err
}

// failed reports whether a send has failed on the stream.
func (w *writer) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err != nil
}

// reader takes frames apart. One goroutine at a time.
type reader struct{ r *bufio.Reader }

func newReader(r io.Reader) *reader { return &reader{bufio.NewReaderSize(r, 64<<10)} }

// skipBanner drops what a login prints before the first frame and returns it.
func (r *reader) skipBanner() (string, error) {
	var text []byte
	for {
		b, err := r.r.Peek(1)
		switch {
		case err != nil:
			return string(text), err
		case b[0] == byte(magic>>24):
			return string(text), nil
		case len(text) >= maxBanner:
			return string(text), bad("hello", "%d bytes of something else come first: %.60q", len(text), text)
		}
		text = append(text, b[0])
		if _, err := r.r.Discard(1); err != nil {
			return string(text), err
		}
	}
}

// next blocks until a frame has come whole. The error is io.EOF where the stream ends between two frames. A length that lies
// allocates no more than twice what has come.
func (r *reader) next() (frame, error) {
	var head [headSize]byte
	if _, err := io.ReadFull(r.r, head[:1]); err != nil {
		return frame{}, err
	}
	if _, err := io.ReadFull(r.r, head[1:]); err != nil {
		return frame{}, cut(err)
	}
	at := func(i int) uint32 { return binary.BigEndian.Uint32(head[4*i:]) }
	if at(0) != magic {
		return frame{}, bad("frame", "begins with %q, want %q", head[:4], binary.BigEndian.AppendUint32(nil, magic))
	}
	f := frame{kind: kind(at(1)), call: at(2)}
	meta, blob := at(3), at(4)
	switch {
	case f.kind < kindHello || f.kind > kindLast:
		return frame{}, bad("frame", "is of kind %d, want %d to %d", f.kind, kindHello, kindLast)
	case meta > maxMeta:
		return frame{}, bad("frame", "%d bytes long, at most %d are read", meta, maxMeta)
	case blob > maxBlob:
		return frame{}, bad("frame", "%d bytes of pixels, at most %d are read", blob, maxBlob)
	}
	var err error
	if f.meta, err = r.bytes(int(meta)); err != nil {
		return frame{}, err
	}
	f.blob, err = r.bytes(int(blob))
	return f, err
}

func (r *reader) bytes(n int) ([]byte, error) {
	if n <= firstRead {
		b := make([]byte, n)
		_, err := io.ReadFull(r.r, b)
		return b, cut(err)
	}
	var b bytes.Buffer
	b.Grow(firstRead)
	if _, err := io.CopyN(&b, r.r, int64(n)); err != nil {
		return nil, cut(err)
	}
	return b.Bytes(), nil
}

// cut is the error of a stream that ends within a frame.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
