// Package state is what the window knows and how it changes: one [State] value, a closed set of [Msg] values, a pure
// [Update], and commands as values. It knows nothing of Fyne; panes read the State and send messages. Everything here is
// used on one goroutine, the window's, except where a doc comment says otherwise.
package state
