package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"unmask/engine"
	"unmask/ui/state"
)

type modelsFlags struct {
	copy, move bool
	adapters   []string
}

// builtIn is what the command line calls the embedded model.
const builtIn = "built-in"

// modelVerbs are what `unmask models` does to the list of models.
var modelVerbs = []struct {
	name string
	run  func(ctx context.Context, c *call, args []string) error
}{
	{"list", listModels}, {"add", addModels}, {"remove", removeModel}, {"default", defaultModel}, {"get", getModels},
}

// listed is a model as `unmask models list --json` prints it.
type listed struct {
	engine.Card
	Status   string        `json:"status"`
	As       string        `json:"as,omitempty"` // arithmetic that it would be loaded with
	Free     int64         `json:"free,omitempty"`
	Adapters []string      `json:"adapters,omitempty"`
	Default  []engine.Task `json:"default_for,omitempty"`
	Error    string        `json:"error,omitempty"`
}

func listModels(ctx context.Context, c *call, args []string) error {
	if len(args) > 0 {
		return usagef("models list takes no argument, got %q", clip(args[0]))
	}
	sh := c.shelf()
	known, err := sh.Read()
	if err != nil {
		return err
	}
	st := state.New()
	st.Models = state.Models{Known: known, Machine: sh.Machine(), Cards: map[string]state.CardOf{}}
	for _, m := range append([]state.KnownModel{{}}, known.Models...) {
		card, err := sh.Describe(ctx, m.Ref())
		if ctx.Err() != nil {
			return ctx.Err()
		}
		st.Models.Cards[m.ID()] = state.CardOf{Card: card, Err: err, Read: true}
	}
	var all []listed
	for _, r := range st.Rows() {
		l := listed{Card: r.Card, Status: strings.ToLower(r.Status.String()), As: r.Type, Free: st.Room(), Adapters: r.Ref().Adapters, Default: known.DefaultOf(r.ID())}
		l.Path, l.Name = r.Path, r.Name
		if r.Err != nil {
			l.Error = r.Err.Error()
		}
		all = append(all, l)
		if !c.json {
			c.printListed(l)
		}
	}
	if c.json {
		return writeJSON(c.out, all)
	}
	return nil
}

// printListed prints a model of the list.
func (c *call) printListed(l listed) {
	w := c.out
	where := l.Path
	if where == "" {
		where = builtIn
	}
	fmt.Fprintf(w, "%s  (%s)\n  %s\n", l.Name, l.Status, where)
	if l.Error != "" {
		fmt.Fprintf(w, "  %s\n", l.Error)
	}
	if l.Family == "" {
		return
	}
	fmt.Fprintf(w, "  %s, %s parameters, %s on disk as %s, licence %s\n", l.Family, count(l.Params), size(l.Disk), l.Stored, orUnknown(l.Licence))
	var needs []string
	for _, as := range engine.Types {
		need, fits := l.Need[as]+l.Work, ""
		if l.Free > 0 && need > l.Free {
			fits = " (does not fit)"
		}
		needs = append(needs, fmt.Sprintf("%s %s%s", as, size(need), fits))
	}
	free := ""
	if l.Free > 0 {
		free = fmt.Sprintf("; %s are free", size(l.Free))
	}
	fmt.Fprintf(w, "  memory with a run: %s%s\n  can %s\n", strings.Join(needs, ", "), free, taskNames(l.Spec.Tasks))
	for _, a := range l.Adapters {
		fmt.Fprintf(w, "  adapter %s\n", a)
	}
	if len(l.Default) > 0 {
		fmt.Fprintf(w, "  default for %s\n", taskNames(l.Default))
	}
	for _, d := range l.Doubts {
		fmt.Fprintf(w, "  the %s may be wrong: %s\n", d.Item, d.Reason)
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "not said"
	}
	return s
}

func addModels(ctx context.Context, c *call, args []string) error {
	f := c.own.(*modelsFlags)
	switch {
	case len(args) == 0:
		return usagef("models add needs a folder or a file")
	case f.copy && f.move:
		return usagef("give either --copy or --move")
	case len(f.adapters) > 0 && len(args) > 1:
		return usagef("--adapter goes with one model, got %d", len(args))
	}
	sh := c.shelf()
	known, err := sh.Read()
	if err != nil {
		return err
	}
	var added []listed
	for _, arg := range args {
		m, card, err := c.newModel(ctx, sh, arg, f)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(known.Models, func(k state.KnownModel) bool { return k.ID() == m.ID() })
		if at >= 0 {
			m.Added = known.Models[at].Added
			known.Models[at] = m
		} else {
			known.Models = append(known.Models, m)
		}
		if err := sh.Write(known); err != nil {
			return err
		}
		added = append(added, listed{Card: card, Status: "added", Free: sh.Machine().Free, Adapters: m.Ref().Adapters})
		if !c.json {
			c.printListed(added[len(added)-1])
		}
	}
	if c.json {
		return writeJSON(c.out, added)
	}
	return nil
}

// newModel looks at what is to be added, so that nothing gets onto the list that cannot be opened, and brings it over where
// that is asked for.
func (c *call) newModel(ctx context.Context, sh modelShelf, arg string, f *modelsFlags) (state.KnownModel, engine.Card, error) {
	m := state.KnownModel{DType: c.cfg.DType, Added: time.Now().UTC().Truncate(time.Second)}
	var err error
	if m.Path, err = sh.Locate(arg); err != nil {
		return m, engine.Card{}, err
	}
	for _, a := range f.adapters {
		abs, err := filepath.Abs(a)
		if err != nil {
			return m, engine.Card{}, err
		}
		m.Adapters = append(m.Adapters, state.Adapter{Path: abs})
	}
	card, err := sh.Describe(ctx, m.Ref())
	if err != nil || !f.copy && !f.move {
		return m, card, err
	}
	to, err := sh.Import(ctx, m.Path, f.move, func(done, total int64) {
		if !c.json && total > 0 {
			fmt.Fprintf(c.err, "\r%s of %s", size(done), size(total))
		}
	})
	if !c.json {
		fmt.Fprintln(c.err)
	}
	if err != nil {
		return m, card, err
	}
	m.Path = to
	card, err = sh.Describe(ctx, m.Ref())
	return m, card, err
}

// findModel is the model of the list that arg names: by path, or by the last part of it where only one has that.
func findModel(known state.Known, arg string) (string, error) {
	if arg == builtIn {
		return "", nil
	}
	abs, err := filepath.Abs(arg)
	if err != nil {
		return "", err
	}
	var found, names []string
	for _, m := range known.Models {
		if m.Path == arg || m.Path == abs {
			return m.ID(), nil
		}
		if filepath.Base(m.Path) == arg {
			found = append(found, m.ID())
		}
		names = append(names, filepath.Base(m.Path))
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", usagef("%q is not on the list: %s", clip(arg), strings.Join(append(names, builtIn), ", "))
	}
	return "", usagef("%q is any of %s: give the path", clip(arg), strings.Join(found, ", "))
}

func removeModel(_ context.Context, c *call, args []string) error {
	if len(args) != 1 {
		return usagef("models remove takes one model, got %d arguments", len(args))
	}
	sh := c.shelf()
	known, err := sh.Read()
	if err != nil {
		return err
	}
	id, err := findModel(known, args[0])
	if err != nil {
		return err
	}
	if id == "" {
		return usagef("the embedded model is always there")
	}
	known.Models = slices.DeleteFunc(known.Models, func(m state.KnownModel) bool { return m.ID() == id })
	for _, t := range known.DefaultOf(id) {
		delete(known.Default, t)
	}
	if err := sh.Write(known); err != nil {
		return err
	}
	if c.json {
		return writeJSON(c.out, map[string]string{"removed": id})
	}
	fmt.Fprintf(c.out, "%s is off the list; its files stay.\n", id)
	return nil
}

func defaultModel(_ context.Context, c *call, args []string) error {
	sh := c.shelf()
	known, err := sh.Read()
	if err != nil {
		return err
	}
	if len(args) > 2 {
		return usagef("models default takes a task and a model, got %d arguments", len(args))
	}
	if len(args) > 0 {
		task := engine.Task(args[0])
		if !slices.Contains(engine.Tasks, task) {
			return usagef("%q is no task: %s", clip(args[0]), taskNames(engine.Tasks))
		}
		if known.Default == nil {
			known.Default = map[engine.Task]string{}
		}
		delete(known.Default, task)
		if len(args) == 2 {
			if known.Default[task], err = findModel(known, args[1]); err != nil {
				return err
			}
		}
		if err := sh.Write(known); err != nil {
			return err
		}
	}
	if c.json {
		return writeJSON(c.out, known.Default)
	}
	for _, t := range engine.Tasks {
		if id, ok := known.Default[t]; ok {
			if id == "" {
				id = builtIn
			}
			fmt.Fprintf(c.out, "%-14s %s\n", t, id)
		}
	}
	return nil
}

func getModels(_ context.Context, c *call, args []string) error {
	if len(args) > 0 {
		return usagef("models get takes no argument, got %q", clip(args[0]))
	}
	if c.json {
		return writeJSON(c.out, engine.Releases)
	}
	fmt.Fprintln(c.out, "Names on the Hugging Face hub, where nothing else is said. Unmask fetches nothing.")
	for _, r := range engine.Releases {
		fmt.Fprintf(c.out, "\n%s (%s): %s\n", r.Title, r.Size, r.Does)
		for _, n := range r.Names {
			fmt.Fprintf(c.out, "  %s\n", n)
		}
	}
	return nil
}

// given puts the model of the list that a task was given into the configuration, where no model is named. A list that
// cannot be read, or a model that is gone, is said and the embedded model taken.
func (c *call) given(task engine.Task) {
	if c.cfg.Model != "" || task == "" {
		return
	}
	known, err := c.shelf().Read()
	if err != nil {
		c.log.Warn("list of models", "err", err)
		return
	}
	id := known.Default[task]
	at := slices.IndexFunc(known.Models, func(m state.KnownModel) bool { return m.ID() == id })
	if id == "" || at < 0 {
		return
	}
	if _, err := os.Stat(id); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(c.err, "unmask: the model for %s, %s, is not there any more; the embedded one is taken\n", task, id)
		return
	}
	ref := known.Models[at].Ref()
	c.cfg.Model, c.cfg.Adapters = ref.Path, ref.Adapters
	if c.cfg.DType == "" {
		c.cfg.DType = ref.DType
	}
}
