package parts

import (
	"strconv"

	"fyne.io/fyne/v2"

	"unmask/ui/state"
	"unmask/ui/theme"
	"unmask/ui/widgets"
)

// Seed edits the seed of a pane's next run: a field, dice, a lock.
type Seed struct {
	Row   *fyne.Container
	env   Env
	pane  state.Pane
	field *Field
	lock  *widgets.IconButton
	on    bool
	quiet bool
}

// NewSeed makes the row.
func NewSeed(env Env, pane state.Pane) *Seed {
	s := &Seed{env: env, pane: pane}
	s.field = Hook(env, NewField("Seed", false))
	s.field.TextStyle.Monospace = true
	s.field.OnChanged = func(text string) {
		if s.quiet {
			return
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			env.Dispatch(state.SetSeed{Pane: pane, Seed: n})
		}
	}
	dice := widgets.NewIconButton("Another seed", "", theme.Icon("dice"), func() { env.Dispatch(state.RollSeed{Pane: pane}) })
	dice.OnHint = env.Note
	s.lock = widgets.NewIconButton("Keep the seed after a run", "", theme.Icon("unlock"), func() {
		env.Dispatch(state.LockSeed{Pane: pane, Locked: !s.on})
	})
	s.lock.OnHint = env.Note
	s.Row = HStack(8, 0, 0, Grow(60, Fixed(0, theme.Control, s.field)), dice, s.lock)
	return s
}

// Apply shows the seed of ps.
func (s *Seed) Apply(ps state.PaneState) {
	s.quiet = true
	defer func() { s.quiet = false }()
	s.on = ps.Locked
	s.lock.SetOn(ps.Locked)
	if ps.Locked {
		s.lock.SetIcon(theme.Icon("lock"))
	} else {
		s.lock.SetIcon(theme.Icon("unlock"))
	}
	text := ""
	if ps.Draft.Seed != 0 {
		text = strconv.FormatUint(ps.Draft.Seed, 10)
	}
	if n, err := strconv.ParseUint(s.field.Text, 10, 64); err != nil || n != ps.Draft.Seed {
		s.field.Put(text)
	}
}
