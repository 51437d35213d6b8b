package remote

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"unmask/engine"
	"unmask/engine/enginetest"
)

// The test binary is the worker too: "worker MODE [ARG]".
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "worker" {
		if err := beWorker(os.Args[2], append(os.Args[3:], "")[0]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// duplex is the two standard streams.
type duplex struct {
	io.Reader
	io.Writer
}

func beWorker(mode, arg string) error {
	var rw io.ReadWriter = duplex{os.Stdin, os.Stdout}
	mode, onSocket := strings.CutPrefix(mode, "socket-")
	if onSocket {
		rw = os.NewFile(SocketFD, "socket")
	}
	s := &enginetest.Session{}
	wrap := func() engine.Session { return s }
	switch mode {
	case "serve":
	case "slow":
		s.Delay = 20 * time.Millisecond
	case "banner":
		fmt.Print("Welcome to the machine.\nToday is a good day.\n")
	case "noise":
		fmt.Print(strings.Repeat("no frames here\n", 1000))
		_, err := io.Copy(io.Discard, rw)
		return err
	case "silent":
		_, err := io.Copy(io.Discard, rw)
		return err
	case "talk": // last words
		for i := range 30 {
			fmt.Fprintf(os.Stderr, "line %d\n", i)
		}
		os.Exit(7)
	case "version":
		return newWriter(rw).send(kindHello, 0, []byte(`{"version": 99, "program": "unmask 9"}`))
	case "garbage", "oversized":
		return badAnswer(rw, mode)
	case "die", "die-once": // at the step of arg[0], once when the file arg[1:] is not there
		wrap = func() engine.Session { return &mortal{Session: s, at: int(arg[0] - '0'), file: arg[1:]} }
	case "deaf":
		s.Delay = time.Millisecond
		wrap = func() engine.Session { return &deaf{s} }
	case "other": // answers in other words when the file arg is there
		answer := "a b c d e f g h i j k l m n o p q r s t u v w"
		if _, err := os.Stat(arg); err == nil {
			answer = strings.Repeat("z ", 20)
		}
		wrap = func() engine.Session {
			return &mortal{Session: &enginetest.Session{Answers: map[string]string{"hello": answer}}, at: 3, file: arg}
		}
	default:
		return fmt.Errorf("no mode %q", mode)
	}
	return Server{
		New: wrap, Program: "test",
		Probe: func(context.Context) (Info, error) {
			return Info{Program: "test", Process: os.Getpid(), Device: "cpu"}, nil
		},
		Log: slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}.Serve(context.Background(), rw)
}

// badAnswer says hello and answers the first request with bytes that are no frame, or one that is far too long.
func badAnswer(rw io.ReadWriter, mode string) error {
	in, out := newReader(rw), newWriter(rw)
	if _, err := in.next(); err != nil {
		return err
	}
	if err := out.send(kindHello, 0, []byte(fmt.Sprintf(`{"version": %d}`, Version))); err != nil {
		return err
	}
	if _, err := in.next(); err != nil {
		return err
	}
	b := []byte("this is no frame, it is longer than a head though")
	if mode == "oversized" {
		b = b[:0]
		for _, v := range []uint32{magic, uint32(kindProgress), 1, 0xFFFFFFFF, 0xFFFFFFFF} {
			b = binary.BigEndian.AppendUint32(b, v)
		}
	}
	if _, err := rw.Write(b); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, rw)
	return err
}

// mortal ends the process at a step: always, or when file is named and not there yet.
type mortal struct {
	engine.Session
	at   int
	file string
}

func (m *mortal) Run(ctx context.Context, job engine.Job) iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		for ev, err := range m.Session.Run(ctx, job) {
			if s, ok := ev.(engine.Step); ok && s.Index+1 >= m.at {
				_, statErr := os.Stat(m.file)
				if m.file == "" || statErr != nil {
					if m.file != "" {
						os.WriteFile(m.file, nil, 0o600)
					}
					fmt.Fprintln(os.Stderr, "out of luck")
					os.Exit(3)
				}
			}
			if !yield(ev, err) {
				return
			}
		}
	}
}

// deaf does not hear that it is cancelled and goes on for a minute.
type deaf struct{ *enginetest.Session }

func (d *deaf) Run(ctx context.Context, job engine.Job) iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		for ev, err := range d.Session.Run(context.WithoutCancel(ctx), job) {
			if !yield(ev, err) {
				return
			}
			if _, ok := ev.(engine.Step); ok {
				time.Sleep(time.Minute)
			}
		}
	}
}

// open makes a session whose worker is this binary in a mode.
func open(t testing.TB, change func(c *Config), mode ...string) *Session {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Command: append([]string{self, "worker"}, mode...), Program: "test client", Socket: strings.HasPrefix(mode[0], "socket-")}
	if c.Socket && !HaveSocket {
		t.Skipf("%s hands no sockets to workers", runtime.GOOS)
	}
	if change != nil {
		change(&c)
	}
	s := New(c)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func loadedSession(t testing.TB, s *Session) *Session {
	t.Helper()
	if _, err := s.Load(t.Context(), engine.ModelRef{}, nil); err != nil {
		t.Fatal(err)
	}
	return s
}
