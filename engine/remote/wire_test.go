package remote

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"io/fs"
	"math"
	"net"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"unmask/engine"
	"unmask/engine/enginetest"
)

// stepOf has every field of a step, numbers that JSON can not hold, and bytes that are not UTF-8.
func stepOf() engine.Step {
	return engine.Step{
		Index: 3, Block: engine.Span{Lo: 5, Hi: 9, Modality: engine.Image}, Masked: 7, NFE: 8, Forward: 9, Select: -10,
		Changes: []engine.Change{
			{Pos: 6, From: -1, To: math.MaxInt32, Kind: engine.Edit, Prob: 0.1, Margin: float32(math.Inf(1)), Entropy: -0, Text: "\xf0\x9f"},
			{Pos: 7, To: 2, Top: []engine.Alternative{{Token: 4, Prob: 1e-30, Text: "é"}, {}}},
		},
		Looks: []engine.Look{{Pos: 8, Token: 3, Prob: 0.5, Margin: 0.25, Entropy: 1, Text: "a", Top: []engine.Alternative{{Token: 3, Prob: 0.5}}}, {}},
	}
}

func TestStepForm(t *testing.T) {
	for _, s := range []engine.Step{{}, stepOf()} {
		b := appendStep(nil, s)
		got, err := parseStep(b)
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%+v, %v, want %+v", got, err, s)
		}
		for n := range b { // every way to cut it
			if _, err := parseStep(b[:n]); err == nil {
				t.Errorf("the first %d of %d bytes are a step", n, len(b))
			}
		}
		if _, err := parseStep(append(b, 0)); err == nil {
			t.Error("a byte too many is read")
		}
	}
	nan := stepOf()
	nan.Changes[0].Prob = float32(math.NaN())
	if got, err := parseStep(appendStep(nil, nan)); err != nil || !math.IsNaN(float64(got.Changes[0].Prob)) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestErrorsOnTheWire(t *testing.T) {
	for _, err := range []error{
		fmt.Errorf("load: %w", &engine.FormatError{Format: "safetensors", Path: "p", Item: "i", Reason: "3, want 4", Err: io.ErrUnexpectedEOF}),
		&engine.ParamError{Name: "x", Value: math.NaN(), Max: math.Inf(1)},
		&engine.MemoryError{What: "it", Need: 4, Have: 3},
		&engine.UnsupportedError{What: "a", Have: "b"},
		&engine.InputError{Item: "a", Reason: "b"},
		&engine.PanicError{Value: "v", Stack: []byte("s")},
		&fs.PathError{Op: "open", Path: "p", Err: syscall.ENOSPC},
		fmt.Errorf("run: %w", context.Canceled),
		engine.ErrNoModel,
	} {
		var w errorWire
		sent := wireError(err)
		b := new(bytes.Buffer)
		s := &server{out: newWriter(b), cancel: func() {}}
		s.end(kindFailed, 1, sent)
		f, readErr := newReader(b).next()
		if readErr != nil {
			t.Fatal(readErr)
		}
		if err := parse(f.meta, &w); err != nil {
			t.Fatal(err)
		}
		got := w.err()
		if got.Error() != err.Error() {
			t.Errorf("%q, want %q", got, err)
		}
		if again := wireError(got); fmt.Sprint(again) != fmt.Sprint(w) && !reflect.DeepEqual(again, w) {
			t.Errorf("%T: %+v, want %+v", err, again, w)
		}
		for _, st := range states {
			if errors.Is(err, st.err) != errors.Is(got, st.err) {
				t.Errorf("%v is %v: %v", got, st.err, !errors.Is(err, st.err))
			}
		}
	}
}

// TestFalseLengths: a head that promises much costs little.
func TestFalseLengths(t *testing.T) {
	head := func(v ...uint32) []byte {
		var b []byte
		for _, x := range v {
			b = binary.BigEndian.AppendUint32(b, x)
		}
		return b
	}
	for name, b := range map[string][]byte{
		"meta over": head(magic, uint32(kindRun), 1, maxMeta+1, 0),
		"blob over": head(magic, uint32(kindRun), 1, 0, maxBlob+1),
		"cut":       head(magic, uint32(kindRun), 1, maxMeta, maxBlob),
		"cut blob":  append(head(magic, uint32(kindRun), 1, 2, maxBlob), "{} "...),
		"no kind":   head(magic, 0, 1, 0, 0),
		"high kind": head(magic, uint32(kindLast)+1, 1, 0, 0),
		"no magic":  head(magic+1, uint32(kindRun), 1, 0, 0),
		"half head": head(magic, 1),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := newReader(bytes.NewReader(b)).next()
		runtime.ReadMemStats(&after)
		if err == nil || err == io.EOF {
			t.Errorf("%s: %v", name, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
	}
	for name, meta := range map[string]string{
		"large":    `{"messages": [], "pictures": [{"role": "image", "w": 32768, "h": 2048}]}`,
		"too wide": `{"messages": [], "pictures": [{"role": "image", "w": 32769, "h": 1}]}`,
		"overflow": `{"messages": [], "pictures": [{"role": "image", "w": 4294967296, "h": 4294967296}]}`,
		"negative": `{"messages": [], "pictures": [{"role": "image", "w": -1, "h": -4}]}`,
		"far":      `{"messages": [], "pictures": [{"role": "image", "w": 1, "h": 1, "x": 9223372036854775807}]}`,
		"known":    `{"messages": [], "pictures": [{"role": "image", "known": 1}]}`,
		"message":  `{"messages": [], "pictures": [{"role": "message", "index": 0, "w": 1, "h": 1}]}`,
		"mask":     `{"messages": [], "pictures": [{"role": "mask", "w": 1, "h": 1}]}`,
		"too many": `{"messages": [], "pictures": []}`,
		"no JSON":  `{`,
	} {
		if _, _, err := parseRun(frame{kind: kindRun, meta: []byte(meta), blob: make([]byte, 4)}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// stuck loads until it is cancelled.
type stuck struct{ enginetest.Session }

func (s *stuck) Load(ctx context.Context, _ engine.ModelRef, progress func(done, total int64)) (engine.Spec, error) {
	progress(1, 2)
	<-ctx.Done()
	return engine.Spec{}, ctx.Err()
}

// serveOn serves a session whose loads are stuck on one end of a pipe and returns the other.
func serveOn(t *testing.T) (client net.Conn, ended chan error) {
	t.Helper()
	client, side := net.Pipe()
	ended = make(chan error, 1)
	go func() { // received from ended by the test
		ended <- Server{New: func() engine.Session { return &stuck{} }, Program: "test"}.Serve(t.Context(), side)
		side.Close()
	}()
	t.Cleanup(func() { client.Close() })
	return client, ended
}

// TestServerEnds: a worker ends with its client, whatever it is doing, and says what it could not read.
func TestServerEnds(t *testing.T) {
	loading := func(t *testing.T, c net.Conn) (*writer, func(k kind, call uint32) frame) {
		w, r := newWriter(c), newReader(c)
		want := func(k kind, call uint32) frame {
			t.Helper()
			f, err := r.next()
			if err != nil || f.kind != k || f.call != call {
				t.Fatalf("kind %d of request %d, %v; want kind %d of %d", f.kind, f.call, err, k, call)
			}
			return f
		}
		if err := w.send(kindHello, 0, fmt.Appendf(nil, `{"version": %d}`, Version)); err != nil {
			t.Fatal(err)
		}
		want(kindHello, 0)
		if err := w.send(kindLoad, 1, []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		want(kindProgress, 1)
		return w, want
	}
	t.Run("client gone in a load", func(t *testing.T) {
		c, ended := serveOn(t)
		loading(t, c)
		c.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Run("two requests at once", func(t *testing.T) {
		c, ended := serveOn(t)
		w, want := loading(t, c)
		if err := w.send(kindLoad, 2, []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		if f := want(kindFailed, 2); !strings.Contains(string(f.meta), `"busy"`) {
			t.Errorf("answer %s", f.meta)
		}
		for _, call := range []uint32{7, 1} { // there is no request 7
			if err := w.send(kindCancel, call, nil); err != nil {
				t.Fatal(err)
			}
		}
		if f := want(kindFailed, 1); !strings.Contains(string(f.meta), `"canceled"`) {
			t.Errorf("answer %s", f.meta)
		}
		if err := w.send(kindClose, 0, nil); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for name, b := range map[string]string{"garbage": "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			c, ended := serveOn(t)
			if b != "" {
				if _, err := c.Write([]byte(b)[:headSize]); err != nil {
					t.Fatal(err)
				}
			}
			c.Close()
			if err := <-ended; (err != nil) != (b != "") {
				t.Errorf("ended with %v", err)
			}
		})
	}
	t.Run("version", func(t *testing.T) {
		c, ended := serveOn(t)
		go newWriter(c).send(kindHello, 0, fmt.Appendf(nil, `{"version": %d}`, Version+1)) // ends when the server reads it
		if f, err := newReader(c).next(); err != nil || !strings.Contains(string(f.meta), fmt.Sprintf(`"version":%d`, Version)) {
			t.Errorf("answer %s, %v", f.meta, err)
		}
		var v *VersionError
		if err := <-ended; !errors.As(err, &v) {
			t.Errorf("ended with %v", err)
		}
	})
}

// frames is a stream with one frame of every kind.
func frames(t testing.TB) []byte {
	var b bytes.Buffer
	w := newWriter(&b)
	img := image.NewNRGBA(image.Rect(1, 2, 3, 4))
	s := &enginetest.Session{}
	if _, err := s.Load(t.Context(), engine.ModelRef{}, nil); err != nil {
		t.Fatal(err)
	}
	job := engine.Job{Task: engine.Describe, Image: img, Mask: image.NewAlpha(img.Rect), Messages: []engine.Message{{Text: "a", Image: img}}, Options: engine.Options{Steps: 2, Length: 4}}
	for _, err := range []error{
		w.send(kindHello, 0, []byte(`{"version":1,"program":"p"}`)), w.send(kindLoad, 1, []byte(`{"path":""}`)), w.send(kindProgress, 1, []byte(`{"done":1,"total":2}`)),
		sendRun(w, 2, job), w.send(kindFailed, 2, []byte(`{"text":"x","is":["busy"],"param":{"Name":"a"}}`)), sendEvent(w, 2, stepOf(), nil),
		sendEvent(w, 2, &engine.Preview{Step: 1, Image: img}, nil),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for ev, err := range s.Run(t.Context(), job) {
		if err != nil {
			t.Fatal(err)
		}
		if err := sendEvent(w, 2, ev, nil); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// FuzzFrames reads any bytes as frames, and the bodies of those that are some; what is read can be sent and read again.
func FuzzFrames(f *testing.F) {
	all := frames(f)
	f.Add(all)
	r := newReader(bytes.NewReader(all))
	for { // each alone
		fr, err := r.next()
		if err != nil {
			break
		}
		var b bytes.Buffer
		if err := newWriter(&b).send(fr.kind, fr.call, fr.meta, fr.blob); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := newReader(bytes.NewReader(b))
		for {
			fr, err := in.next()
			if err != nil {
				return
			}
			switch fr.kind {
			case kindRun:
				if job, _, err := parseRun(fr); err == nil {
					roundTrip(t, func(w *writer) error { return sendRun(w, 1, job) })
				}
			case kindFailed:
				var w errorWire
				if parse(fr.meta, &w) == nil {
					_ = w.err().Error()
				}
			default:
				if ev, err := parseEvent(fr, nil); err == nil {
					roundTrip(t, func(w *writer) error { return sendEvent(w, 1, ev, nil) })
				}
			}
		}
	})
}

func roundTrip(t *testing.T, send func(w *writer) error) {
	t.Helper()
	var a bytes.Buffer
	if err := send(newWriter(&a)); err != nil {
		t.Fatal(err)
	}
	f, err := newReader(&a).next()
	if err != nil {
		t.Fatal(err)
	}
	if f.kind == kindRun {
		_, _, err = parseRun(f)
	} else {
		_, err = parseEvent(f, nil)
	}
	if err != nil {
		t.Error(err)
	}
}
