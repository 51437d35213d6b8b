// Package widgets holds the program's own widgets. They take plain data, call back, and never call the engine. All of
// their methods are for the UI goroutine.
package widgets
