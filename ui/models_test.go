package ui

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/storage"
	"fyne.io/fyne/v2/test"

	"unmask/engine"
	"unmask/engine/enginetest"
	"unmask/ui/state"
	"unmask/ui/state/historytest"
)

// pretend is a shelf in memory whose models are known by their paths.
type pretend struct {
	mu    sync.Mutex
	known state.Known
	cards map[string]engine.Card
	gone  map[string]bool
}

func (p *pretend) Read() (state.Known, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known, nil
}

func (p *pretend) Write(k state.Known) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = k
	return nil
}

func (p *pretend) Locate(path string) (string, error) {
	if filepath.Base(path) == "notes.bin" {
		return "", &engine.InputError{Item: "file notes.bin", Reason: "is no weights file"}
	}
	return path, nil
}

func (p *pretend) Describe(_ context.Context, ref engine.ModelRef) (engine.Card, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone[ref.Path] {
		return engine.Card{Path: ref.Path}, &fs.PathError{Op: "stat", Path: ref.Path, Err: fs.ErrNotExist}
	}
	c := p.cards[ref.Path]
	c.Path = ref.Path
	return c, nil
}

func (p *pretend) Import(context.Context, string, bool, func(done, total int64)) (string, error) {
	return "", errors.New("not asked for")
}

func (p *pretend) Machine() state.Machine { return state.Machine{Free: 12e9} }

// freeing is the scripted session, which tells what it was asked to load and free.
type freeing struct {
	*enginetest.Session
	mu    sync.Mutex
	loads []engine.ModelRef
	freed int
	block chan struct{} // not nil: loading waits for it, or for its context
}

func (f *freeing) Load(ctx context.Context, ref engine.ModelRef, progress func(done, total int64)) (engine.Spec, error) {
	f.mu.Lock()
	f.loads = append(f.loads, ref)
	block := f.block
	f.mu.Unlock()
	if block != nil {
		progress(1, 2)
		select {
		case <-block:
		case <-ctx.Done():
			return engine.Spec{}, ctx.Err()
		}
	}
	return f.Session.Load(ctx, ref, progress)
}

func (f *freeing) Unload(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.freed++
	return nil
}

// openWith is open with a session and a shelf.
func openWith(t *testing.T, session engine.Session, shelf state.Shelf) *Window {
	t.Helper()
	w := newWindow(test.NewTempApp(t), Config{Session: session, History: historytest.NewMem(), Models: shelf, Log: slog.New(slog.DiscardHandler), Version: "test", Software: true})
	w.win.Resize(fyne.NewSize(1280, 800))
	for _, c := range func() []state.Cmd { _, c := state.Start(); return c }() {
		w.runner.Do(c)
	}
	wait(t, w, "the model", func(s *state.State) bool { return s.Model.Loaded && s.Models.Read })
	w.Dispatch(state.LeaveWelcome{})
	wait(t, w, "the first start's run", func(s *state.State) bool { return len(s.Queue) == 0 })
	return w
}

func card(name string, params int64) engine.Card {
	return engine.Card{Name: name, Family: "llada", Stored: "f32", Disk: 4 * params, Params: params, Licence: "mit",
		Need: map[string]int64{"f32": 4 * params, "bf16": 2 * params, "i8": params, "i4": params / 2},
		Spec: engine.Spec{Vocab: 10, MaxLen: 10, Tasks: []engine.Task{engine.Chat}}}
}

func TestModelsPane(t *testing.T) {
	shelf := &pretend{cards: map[string]engine.Card{"": card("tiny", 1e7), "/models/small": card("small", 1e9), "/models/large": card("large", 1e11), "/models/doubtful": card("doubtful", 1e9)},
		gone: map[string]bool{"/models/gone": true}}
	doubtful := shelf.cards["/models/doubtful"]
	doubtful.Doubts = []engine.Doubt{{Item: "mask", Reason: "it is 17, the tokenizer says 5"}}
	shelf.cards["/models/doubtful"] = doubtful
	session := &freeing{Session: &enginetest.Session{}}
	w := openWith(t, session, shelf)
	defer shut(w)
	w.Shortcut(&fyne.ShortcutSelectAll{}) // nobody's
	w.Dispatch(state.ShowPane{Pane: state.PaneModels})
	if w.store.now.Pane != state.PaneModels || w.shell.timeline() != nil {
		t.Fatalf("pane %s, time line %v", w.store.now.Pane, w.shell.timeline())
	}
	folder := t.TempDir() // a real folder: what is dropped is looked at
	shelf.cards[folder] = card("dropped", 1e9)
	w.shell.dropped(fyne.Position{}, []fyne.URI{storage.NewFileURI(folder)})
	w.Dispatch(state.AddModels{Paths: []string{"/models/small", "/models/large", "/models/doubtful", "/models/gone", "/x/notes.bin"}})
	wait(t, w, "all cards", func(s *state.State) bool {
		n := 0
		for _, r := range s.Rows() {
			if r.Read {
				n++
			}
		}
		return n == 6
	})
	want := map[string]state.Status{"": state.InMemory, folder: state.Fits, "/models/small": state.Fits, "/models/large": state.TooLarge, "/models/doubtful": state.Fits, "/models/gone": state.Missing}
	for _, r := range w.store.now.Rows() {
		if r.Status != want[r.Path] {
			t.Errorf("%q is %s, want %s", r.Path, r.Status, want[r.Path])
		}
		w.Dispatch(state.ChooseModel{ID: r.ID()}) // every one can be shown
	}
	if w.store.now.Models.Err == nil {
		t.Error("nothing is said of the file that is no model")
	}
	if len(shelf.known.Models) != 5 {
		t.Errorf("%d models are kept, want 5", len(shelf.known.Models))
	}
	w.Dispatch(state.LoadKnown{ID: "/models/small"})
	wait(t, w, "the other model", func(s *state.State) bool { return s.Model.Loaded && s.Model.ID == "/models/small" && !s.Load.On })
	w.Dispatch(state.Unload{})
	wait(t, w, "the model to be freed", func(s *state.State) bool { session.mu.Lock(); defer session.mu.Unlock(); return session.freed == 1 })
	w.Dispatch(state.ShowPane{Pane: state.PaneChat})
	w.Dispatch(state.EditDraft{Pane: state.PaneChat, Text: "Hello"})
	w.Dispatch(state.Submit{Pane: state.PaneChat})
	wait(t, w, "a run that loads the model again", done(state.PaneChat, 1))
	if n := len(session.loads); n != 3 || session.loads[2].Path != "/models/small" {
		t.Errorf("loaded %v", session.loads)
	}
}

func TestLoadingIsStopped(t *testing.T) {
	session := &freeing{Session: &enginetest.Session{}}
	w := openWith(t, session, &pretend{cards: map[string]engine.Card{"": card("tiny", 1e7), "/m": card("m", 1e9)}, known: state.Known{Models: []state.KnownModel{{Path: "/m"}}}})
	defer shut(w)
	session.mu.Lock()
	session.block = make(chan struct{})
	session.mu.Unlock()
	w.Dispatch(state.ShowPane{Pane: state.PaneModels})
	w.Dispatch(state.LoadKnown{ID: "/m"})
	wait(t, w, "bytes", func(s *state.State) bool { return s.Load.Done == 1 })
	w.Dispatch(state.StopLoad{})
	wait(t, w, "the end", func(s *state.State) bool { return !s.Load.On })
	if s := &w.store.now; !s.Model.Loaded || s.Model.ID != "" || s.Notice != nil {
		t.Errorf("after a stop the model before is %+v, notice %v", s.Model.ID, s.Notice)
	}
}

func TestModelPaths(t *testing.T) {
	dir := t.TempDir()
	var uris []fyne.URI
	for _, n := range []string{"model.safetensors", "q4.GGUF", "config.json", "cat.png", "notes.txt", "pytorch_model.bin.index.json"} {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		uris = append(uris, storage.NewFileURI(filepath.Join(dir, n)))
	}
	if got := modelPaths(append(uris, storage.NewFileURI(dir))); len(got) != 5 || got[4] != dir {
		t.Errorf("%v", got)
	}
}
