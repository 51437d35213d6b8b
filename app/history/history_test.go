package history

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"unmask/app/history/column"
	"unmask/engine"
	"unmask/ui/state"
	"unmask/ui/state/historytest"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func open(t *testing.T, dir string) *DB {
	t.Helper()
	h, err := Open(t.Context(), dir, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// begin starts a run of three positions in session "s".
func begin(t *testing.T, h state.History, id string) {
	t.Helper()
	st := &engine.Started{
		Job:      engine.Job{ID: id, Task: engine.Chat, Messages: []engine.Message{{Role: "user", Text: "Grüße an ÅSA"}}},
		Sequence: &engine.Sequence{Tokens: []engine.Token{1, 2, 2}},
	}
	if err := h.StartRun(t.Context(), state.Run{ID: id, Session: "s", Created: time.Now()}, st); err != nil {
		t.Fatal(err)
	}
}

func TestDBKeepsTheLaws(t *testing.T) {
	historytest.Laws(t, func(t *testing.T) (state.History, func() state.History) {
		dir := t.TempDir()
		return open(t, dir), func() state.History { return open(t, dir) }
	})
}

func TestMemoryKeepsWhatItCan(t *testing.T) {
	h, err := OpenMemory(t.Context(), errors.New("no place"))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if !strings.Contains(h.Notice(), "no place") {
		t.Errorf("notice is %q", h.Notice())
	}
	if err := h.PutSession(t.Context(), state.Session{ID: "s", Pane: state.PaneChat}); err != nil {
		t.Fatal(err)
	}
	begin(t, h, "r")
	if rec, err := h.Record(t.Context(), "r"); err != nil || rec.Run.State != state.Running {
		t.Errorf("record is %+v, %v", rec.Run, err)
	}
}

// TestKilledProcessLosesNothing kills a writer at a moment it does not choose and looks for everything that it had
// reported as kept.
func TestKilledProcessLosesNothing(t *testing.T) {
	if dir := os.Getenv("HISTORY_TEST_WRITER"); dir != "" {
		writeForever(t, dir)
		return
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledProcessLosesNothing$")
	cmd.Env = append(os.Environ(), "HISTORY_TEST_WRITER="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kept := 0
	for sc := bufio.NewScanner(out); sc.Scan(); {
		if _, err := fmt.Sscanf(sc.Text(), "kept %d", &kept); err == nil && kept == 25 {
			cmd.Process.Kill()
		}
	}
	cmd.Wait()
	if kept < 25 {
		t.Fatalf("the writer kept %d steps before it ended", kept)
	}
	h := open(t, dir)
	if h.Notice() != "" {
		t.Errorf("notice after a kill: %s", h.Notice())
	}
	rec, err := h.Record(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	if rec.Run.State != state.Interrupted || len(rec.Steps) < kept || len(rec.Previews) < kept {
		t.Errorf("run is %s with %d steps and %d previews, %d were reported as kept", rec.Run.State, len(rec.Steps), len(rec.Previews), kept)
	}
	for i, s := range rec.Steps {
		if s.Index != i {
			t.Fatalf("step %d has index %d", i, s.Index)
		}
	}
}

func writeForever(t *testing.T, dir string) {
	h := open(t, dir)
	begin(t, h, "r")
	for i := 0; i < 100000; i++ {
		err := h.AppendSteps(t.Context(), "r", []engine.Step{{Index: i}}, []*engine.Preview{{Step: i, Image: historytest.Picture(32, 32, uint8(i))}})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("kept %d\n", i+1)
	}
}

func TestRunOfALivingProcessIsNotInterrupted(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir)
	begin(t, h, "r")
	if _, err := h.db.ExecContext(t.Context(), "UPDATE runs SET owner = ?", os.Getppid()); err != nil {
		t.Fatal(err)
	}
	if rec, err := open(t, dir).Record(t.Context(), "r"); err != nil || rec.Run.State != state.Running {
		t.Errorf("state is %q, %v", rec.Run.State, err)
	}
}

func TestDamagedFileIsMovedAside(t *testing.T) {
	whole := func(t *testing.T) []byte {
		dir := t.TempDir()
		h := open(t, dir)
		for i := range 200 {
			begin(t, h, fmt.Sprint(i))
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, FileName))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}(t)
	for name, b := range map[string][]byte{
		"no database": []byte("this is a letter, not a database, and it is longer than a header of one hundred bytes, as letters often are"),
		"truncated":   whole[:len(whole)/2],
		"overwritten": append(append([]byte{}, whole[:4096]...), bytes.Repeat([]byte{0xA5}, len(whole)-4096)...),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, FileName), b, 0o600); err != nil {
				t.Fatal(err)
			}
			h := open(t, dir)
			begin(t, h, "new")
			aside, err := filepath.Glob(filepath.Join(dir, "history-damaged-*.db"))
			if err != nil || len(aside) != 1 || !strings.Contains(h.Notice(), aside[0]) {
				t.Fatalf("moved to %v, %v; notice %q", aside, err, h.Notice())
			}
			if kept, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(kept, b) {
				t.Errorf("the damaged file was changed: %d bytes of %d, %v", len(kept), len(b), err)
			}
		})
	}
}

func TestNewerFileIsRefusedAndLeftAlone(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir)
	if _, err := h.db.ExecContext(t.Context(), "PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	h.Close()
	if _, err := Open(t.Context(), dir, quiet()); err == nil || !strings.Contains(err.Error(), "schema 99") {
		t.Errorf("Open: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, FileName)); err != nil {
		t.Error(err)
	}
}

// TestFullDisk fills the database up to its page limit, which the driver reports as it reports a full disk.
func TestFullDisk(t *testing.T) {
	h := open(t, t.TempDir())
	h.db.SetMaxOpenConns(1) // the limit belongs to the connection
	begin(t, h, "r")
	if err := h.AppendSteps(t.Context(), "r", []engine.Step{{Index: 0}}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := h.db.ExecContext(t.Context(), "PRAGMA max_page_count = 40"); err != nil {
		t.Fatal(err)
	}
	noise := image.NewNRGBA(image.Rect(0, 0, 400, 400)) // 640 KB that do not compress
	rand.New(rand.NewSource(1)).Read(noise.Pix)
	err := h.AppendSteps(t.Context(), "r", []engine.Step{{Index: 1}}, []*engine.Preview{{Step: 1, Image: noise}})
	if err == nil || !strings.Contains(err.Error(), "the disk is full") || !strings.Contains(err.Error(), "run r") {
		t.Fatalf("AppendSteps on a full disk: %v", err)
	}
	if rec, err := h.Record(t.Context(), "r"); err != nil || len(rec.Steps) != 1 || rec.Run.Steps != 1 {
		t.Errorf("after the failure: %d steps, %v", len(rec.Steps), err)
	}
	if _, err := h.db.ExecContext(t.Context(), "PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	if err := h.AppendSteps(t.Context(), "r", []engine.Step{{Index: 1}}, nil); err != nil {
		t.Errorf("after room was made: %v", err)
	}
}

func TestUnwritableFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), filepath.Join(file, "data"), quiet()); err == nil || !strings.Contains(err.Error(), "history:") {
		t.Errorf("Open below a file: %v", err)
	}
}

func TestHiddenThingsAreRemovedAfterADay(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir)
	ctx := t.Context()
	if err := h.PutSession(ctx, state.Session{ID: "s", Pane: state.PaneChat}); err != nil {
		t.Fatal(err)
	}
	begin(t, h, "r")
	if err := h.AppendSteps(ctx, "r", []engine.Step{{}}, []*engine.Preview{{Image: historytest.Picture(2, 2, 1)}}); err != nil {
		t.Fatal(err)
	}
	if err := h.PutDraftText(ctx, "s", state.Draft{Text: "x"}); err != nil {
		t.Fatal(err)
	}
	if err := h.DeleteSession(ctx, "s"); err != nil {
		t.Fatal(err)
	}
	rows := func(h *DB) (n int) {
		for _, table := range []string{"sessions", "drafts", "runs", "steps", "pictures"} {
			var k int
			if err := h.db.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&k); err != nil {
				t.Fatal(err)
			}
			n += k
		}
		return n
	}
	h2 := open(t, dir)
	if n := rows(h2); n != 5 {
		t.Errorf("right after the deletion %d rows are left, want 5", n)
	}
	h2.now = func() time.Time { return time.Now().Add(keepHidden + time.Hour) }
	if err := h2.tidy(ctx); err != nil {
		t.Fatal(err)
	}
	if n := rows(h2); n != 0 {
		t.Errorf("a day later %d rows are left, want 0", n)
	}
}

func TestSearchFoldsUnicode(t *testing.T) {
	h := open(t, t.TempDir())
	if err := h.PutSession(t.Context(), state.Session{ID: "s", Pane: state.PaneChat, Title: "Ärger"}); err != nil {
		t.Fatal(err)
	}
	begin(t, h, "r")
	for _, q := range []string{"äRGER", "grüße", "åsa"} {
		if list, err := h.Sessions(t.Context(), "", q); err != nil || len(list) != 1 {
			t.Errorf("%q finds %d sessions, %v", q, len(list), err)
		}
	}
}

func TestWritersWaitForEachOther(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	begin(t, a, "a")
	begin(t, b, "b")
	var wg sync.WaitGroup
	for run, h := range map[string]*DB{"a": a, "b": b} {
		for range 2 {
			wg.Go(func() {
				for i := range 10 {
					if err := h.AppendSteps(t.Context(), run, []engine.Step{{Index: i}}, nil); err != nil {
						t.Error(err)
					}
					if _, err := h.Record(t.Context(), run); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	for _, run := range []string{"a", "b"} {
		if rec, err := a.Record(t.Context(), run); err != nil || len(rec.Steps) != 20 {
			t.Errorf("run %s has %d steps, %v", run, len(rec.Steps), err)
		}
	}
}

func TestCancelledWriteKeepsNothing(t *testing.T) {
	h := open(t, t.TempDir())
	begin(t, h, "r")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.AppendSteps(ctx, "r", []engine.Step{{}}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("AppendSteps: %v", err)
	}
}

func TestMaskKeepsItsPlace(t *testing.T) {
	m := image.NewAlpha(image.Rect(-3, 5, 9, 11))
	for i := range m.Pix {
		m.Pix[i] = uint8(i * 3)
	}
	b, err := column.PackMask(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := column.UnpackMask(b)
	if err != nil || got.Rect != m.Rect || !bytes.Equal(got.Pix, m.Pix) {
		t.Errorf("mask is %v, %v", got, err)
	}
}
