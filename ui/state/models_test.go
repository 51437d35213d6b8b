package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"testing"
	"time"

	"unmask/engine"
)

// cardOf is a card of a model of params parameters stored in 16 bits.
func cardOf(params int64) engine.Card {
	return engine.Card{Name: "m", Family: "llada", Stored: "bf16", Disk: 2 * params, Params: params, Work: params / 10,
		Need: map[string]int64{"f32": 4 * params, "bf16": 2 * params, "i8": params, "i4": params / 2}, Spec: engine.Spec{Tasks: []engine.Task{engine.Chat}}}
}

// TestModelStates: what a row of the pane says, by what is known of the model and the machine.
func TestModelStates(t *testing.T) {
	read := func(c engine.Card, err error) CardOf { return CardOf{Card: c, Err: err, Read: true} }
	gone := fmt.Errorf("open: %w", fs.ErrNotExist)
	for _, c := range []struct {
		name    string
		card    CardOf
		asked   string
		machine Machine
		load    Progress
		loaded  bool  // this model is loaded
		other   int64 // bytes of another model that is loaded
		want    Status
		as      string
	}{
		{name: "not looked at yet", want: Reading},
		{name: "fits as it is stored", card: read(cardOf(1000), nil), machine: Machine{Free: 5000, BF16: true}, want: Fits, as: "bf16"},
		{name: "a processor without bf16 products", card: read(cardOf(1000), nil), machine: Machine{Free: 5000}, want: Fits, as: "f32"},
		{name: "fits in 8 bits", card: read(cardOf(1000), nil), machine: Machine{Free: 1500, BF16: true}, want: FitsRather, as: "i8"},
		{name: "fits in 4 bits", card: read(cardOf(1000), nil), machine: Machine{Free: 600, BF16: true}, want: FitsRather, as: "i4"},
		{name: "the work beside the weights counts", card: read(cardOf(1000), nil), machine: Machine{Free: 599, BF16: true}, want: TooLarge, as: "i4"},
		{name: "asked for a type", card: read(cardOf(1000), nil), asked: "f32", machine: Machine{Free: 5000, BF16: true}, want: Fits, as: "f32"},
		{name: "asked for one that is too large", card: read(cardOf(1000), nil), asked: "f32", machine: Machine{Free: 4000, BF16: true}, want: TooLarge, as: "f32"},
		{name: "what another holds is given back", card: read(cardOf(1000), nil), machine: Machine{Free: 1000, BF16: true}, other: 1500, want: Fits, as: "bf16"},
		{name: "unknown memory", card: read(cardOf(1000), nil), machine: Machine{BF16: true}, want: SizeUnknown, as: "bf16"},
		{name: "loading", card: read(cardOf(1000), nil), machine: Machine{Free: 10}, load: Progress{On: true, ID: "/m"}, want: LoadingNow, as: "i4"},
		{name: "another is loading", card: read(cardOf(1000), nil), machine: Machine{Free: 9000}, load: Progress{On: true, ID: "/n"}, want: Fits, as: "f32"},
		{name: "loaded", card: read(cardOf(1000), nil), machine: Machine{Free: 10}, loaded: true, want: InMemory, as: "i4"},
		{name: "gone", card: read(engine.Card{}, gone), machine: Machine{Free: 10}, want: Missing},
		{name: "a file of it is gone", card: read(engine.Card{Disk: 7}, gone), machine: Machine{Free: 10}, want: Unreadable},
		{name: "broken", card: read(engine.Card{}, errors.New("broken")), machine: Machine{Free: 10}, want: Unreadable},
	} {
		s := New()
		m := KnownModel{Path: "/m", DType: c.asked}
		s.Models = Models{Known: Known{Models: []KnownModel{m}}, Machine: c.machine, Cards: map[string]CardOf{"/m": c.card}}
		s.Load = c.load
		if c.loaded {
			s.Model = Model{Loaded: true, ID: "/m"}
		} else if c.other > 0 {
			s.Model = Model{Loaded: true, Spec: engine.Spec{Bytes: c.other}}
		}
		if r := s.RowOf(m); r.Status != c.want || r.Type != c.as {
			t.Errorf("%s: %s as %q, want %s as %q", c.name, r.Status, r.Type, c.want, c.as)
		}
	}
}

// shelfPlay is a window whose list has been read.
func shelfPlay(t *testing.T, known Known) *play {
	t.Helper()
	p := &play{t: t, s: New()}
	p.send(Restored{Values: Values{Seen: true}}, Loaded{engine.Spec{Hash: "tiny", Bytes: 10, Tasks: engine.Tasks}}, ShelfRead{Known: known, Machine: Machine{Free: 5000, BF16: true}})
	for _, m := range known.Models {
		c := cardOf(1000)
		c.Path = m.Path
		p.send(Described{ID: m.ID(), Card: c, Machine: Machine{Free: 5000, BF16: true}})
	}
	return p
}

func TestModelsAreAddedAndRemoved(t *testing.T) {
	p := shelfPlay(t, Known{})
	if c := p.send(AddModels{[]string{"/a/x.safetensors", "/b"}}); !reflect.DeepEqual(only[Locate](c), []Locate{{[]string{"/a/x.safetensors", "/b"}}}) {
		t.Fatalf("%v", c)
	}
	c := p.send(Located{Paths: []string{"/a", "/b", "/a"}})
	keep := only[KeepShelf](c)
	if len(keep) != 1 || len(keep[0].Known.Models) != 2 || len(only[DescribeModel](c)) != 2 || p.s.Pane != PaneModels || p.s.ChosenRow().Path != "/a" {
		t.Fatalf("%+v, pane %s, chosen %q", c, p.s.Pane, p.s.Models.Chosen)
	}
	p.send(SetDefault{Task: engine.Chat, ID: "/a", On: true})
	c = p.send(RemoveModel{"/a"})
	if k := only[KeepShelf](c); len(k) != 1 || len(k[0].Known.Models) != 1 || len(k[0].Known.Default) != 0 || !p.s.Toast.Open {
		t.Fatalf("%+v", c)
	}
	c = p.send(UndoToast{})
	if k := only[KeepShelf](c); len(k) != 1 || k[0].Known.Models[0].Path != "/a" || k[0].Known.Default[engine.Chat] != "/a" {
		t.Errorf("undone: %+v", c)
	}
	if c := p.send(RemoveModel{""}); len(only[KeepShelf](c)) != 0 {
		t.Error("the built-in model is taken off the list")
	}
}

// TestTheEmbeddedModelIsChosen while another one is loaded, whose row is shown until a person chooses.
func TestTheEmbeddedModelIsChosen(t *testing.T) {
	p := shelfPlay(t, Known{Models: []KnownModel{{Path: "/a"}}})
	p.s.Model.Loaded, p.s.Model.ID = true, "/a"
	if r := p.s.ChosenRow(); r.Path != "/a" {
		t.Errorf("before a choice %q is shown", r.Path)
	}
	for _, id := range []string{"", "/a", ""} {
		if p.send(ChooseModel{ID: id}); p.s.ChosenRow().Path != id {
			t.Errorf("%q was chosen, %q is shown", id, p.s.ChosenRow().Path)
		}
	}
}

// TestAListThatCannotBeReadIsNotWrittenOver keeps what a person may still mend.
func TestAListThatCannotBeReadIsNotWrittenOver(t *testing.T) {
	p := &play{t: t, s: New()}
	p.send(Restored{Values: Values{Seen: true}}, ShelfRead{Err: errors.New("broken")})
	if c := p.send(Located{Paths: []string{"/a"}}); len(only[KeepShelf](c)) != 0 || len(p.s.Models.Known.Models) != 1 {
		t.Errorf("%+v", c)
	}
}

func TestLoadingAModel(t *testing.T) {
	p := shelfPlay(t, Known{Models: []KnownModel{{Path: "/a"}, {Path: "/b", DType: "i8", Adapters: []Adapter{{Path: "/l"}, {Path: "/k", Off: true}}}}})
	loads := only[LoadModel](p.send(LoadKnown{"/b"}))
	if len(loads) != 1 || !reflect.DeepEqual(*loads[0].Ref, engine.ModelRef{Path: "/b", DType: "i8", Adapters: []string{"/l"}}) || loads[0].Free {
		t.Fatalf("%+v", loads)
	}
	if c := p.send(LoadKnown{"/a"}); len(only[LoadModel](c)) != 0 || !errors.Is(p.s.Models.Err, engine.ErrBusy) {
		t.Error("a second load begins while the first goes")
	}
	p.send(Loading{50, 200})
	if r := p.s.RowOf(KnownModel{Path: "/b"}); r.Status != LoadingNow || p.s.Load.Done != 50 || !p.s.Model.Loaded {
		t.Errorf("%s, %d of %d; the model before is loaded: %t", r.Status, p.s.Load.Done, p.s.Load.Total, p.s.Model.Loaded)
	}
	// A run that is asked for meanwhile waits for the new model.
	if c := p.send(EditDraft{PaneChat, "x"}, Submit{PaneChat}); len(only[StartRun](c)) != 0 {
		t.Error("a run begins while another model is loading")
	}
	if c := p.send(StopLoad{}); len(only[StopLoading](c)) != 1 {
		t.Errorf("%v", c)
	}
	p.send(LoadFailed{context.Canceled})
	if !p.s.Model.Loaded || p.s.Model.Spec.Hash != "tiny" || p.s.Load.On || p.s.Notice != nil || p.s.Model.Err != nil {
		t.Errorf("after a stop: %+v, notice %v", p.s.Model, p.s.Notice)
	}
	p.s.Queue = nil
	p.send(LoadKnown{"/b"}, Loaded{engine.Spec{Hash: "b"}})
	if p.s.Model.ID != "/b" || p.s.Load.On {
		t.Errorf("%+v", p.s.Model)
	}
	if c := p.send(Unload{}); len(only[FreeModel](c)) != 1 || p.s.Model.Loaded || !p.s.Model.Idle {
		t.Errorf("%v", c)
	}
	if c := p.send(EditDraft{PaneChat, "x"}, Submit{PaneChat}); len(only[LoadModel](c)) != 1 || only[LoadModel](c)[0].Ref.Path != "/b" {
		t.Errorf("a run does not load the model again: %v", c)
	}
}

// TestNoRoomForTwo frees the model that is loaded before one that only fits alone.
func TestNoRoomForTwo(t *testing.T) {
	p := shelfPlay(t, Known{Models: []KnownModel{{Path: "/a"}}})
	p.s.Model.Spec.Bytes = 3000
	p.s.Models.Machine.Free = 1000
	c := only[LoadModel](p.send(LoadKnown{"/a"}))
	if len(c) != 1 || !c[0].Free || p.s.Model.Loaded {
		t.Errorf("%+v, loaded %t", c, p.s.Model.Loaded)
	}
}

func TestDefaultsOfTasks(t *testing.T) {
	p := shelfPlay(t, Known{Models: []KnownModel{{Path: "/a"}}, Default: map[engine.Task]string{engine.TextToImage: "/a"}})
	if c := p.send(ShowPane{PaneCompare}); len(only[LoadModel](c)) != 0 {
		t.Errorf("compare loads %v", c)
	}
	c := only[LoadModel](p.send(ShowPane{PaneCanvas}))
	if len(c) != 1 || c[0].Ref.Path != "/a" {
		t.Fatalf("%+v", c)
	}
	p.send(Loaded{engine.Spec{Hash: "a", Tasks: engine.Tasks}})
	if c := p.send(ShowPane{PaneCanvas}); len(only[LoadModel](c)) != 0 {
		t.Error("it is loaded twice")
	}
	if k := only[KeepShelf](p.send(SetDefault{engine.TextToImage, "/a", false})); len(k) != 1 || len(k[0].Known.Default) != 0 {
		t.Errorf("%+v", k)
	}
}

func TestImport(t *testing.T) {
	p := shelfPlay(t, Known{Models: []KnownModel{{Path: "/a"}}, Default: map[engine.Task]string{engine.Chat: "/a"}})
	if c := p.send(ImportModel{"/a", true}, ImportModel{"/a", false}); len(only[BringModel](c)) > 1 {
		t.Errorf("%v", c)
	}
	p.send(Importing{1, 2})
	c := p.send(Imported{ID: "/a", To: "/data/a"})
	k := only[KeepShelf](c)
	if len(k) != 1 || k[0].Known.Models[0].Path != "/data/a" || k[0].Known.Default[engine.Chat] != "/data/a" || p.s.ChosenRow().Path != "/data/a" {
		t.Errorf("%+v", c)
	}
}

func TestDeviceIsTriedBeforeItIsUsed(t *testing.T) {
	p := shelfPlay(t, Known{})
	p.send(DeviceTried{Name: "cpu"})
	if c := p.send(SetDevice{"me@host"}); len(only[TryDevice](c)) != 1 || p.s.Device.Asked != "me@host" {
		t.Fatalf("%v", c)
	}
	p.send(DeviceTried{Name: "me@host", Err: engine.ErrWorkerLost})
	if p.s.Device.Name != "cpu" || p.s.Device.Err == nil || !p.s.Model.Loaded {
		t.Errorf("%+v", p.s.Device)
	}
	c := p.send(SetDevice{"worker"}, DeviceTried{Name: "worker", About: "worker on here"})
	if len(only[LoadModel](c)) != 1 || p.s.Device.Name != "worker" || p.s.Device.Err != nil || p.s.Model.Loaded {
		t.Errorf("%v, %+v", c, p.s.Device)
	}
	p.send(Said{"it fell back"})
	if p.s.Notice == nil || p.s.Notice.Error() != "it fell back" {
		t.Errorf("notice %v", p.s.Notice)
	}
}

func TestLeft(t *testing.T) {
	at := time.Unix(1000, 0)
	p := Progress{On: true, Done: 25, Total: 100, Began: at}
	for _, c := range []struct {
		after time.Duration
		want  time.Duration
	}{{time.Second, 3 * time.Second}, {time.Millisecond, 0}} {
		if got := p.Left(at.Add(c.after)); got != c.want {
			t.Errorf("after %s: %s left, want %s", c.after, got, c.want)
		}
	}
	if (Progress{On: true, Total: 5, Began: at}).Left(at.Add(time.Hour)) != 0 {
		t.Error("time is left of something that has not begun")
	}
}

func TestSearchInModels(t *testing.T) {
	p := shelfPlay(t, Known{Models: []KnownModel{{Path: "/x/Alpha"}, {Path: "/y/beta"}}})
	for _, c := range []struct {
		query string
		want  int
	}{{"", 3}, {"ALPHA", 1}, {"/y/", 1}, {"llada", 2}, {"zzz", 0}} {
		p.send(FindModels{c.query})
		if got := p.s.Rows(); len(got) != c.want {
			t.Errorf("%q finds %d, want %d: %v", c.query, len(got), c.want, slices.Collect(func(yield func(string) bool) {
				for _, r := range got {
					if !yield(r.Path) {
						return
					}
				}
			}))
		}
	}
}
