package historytest

import (
	"testing"

	"unmask/ui/state"
)

func TestMemKeepsTheLaws(t *testing.T) {
	Laws(t, func(*testing.T) (state.History, func() state.History) {
		m := NewMem()
		return m, func() state.History { m = m.Reopen(); return m }
	})
}
