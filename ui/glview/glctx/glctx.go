// Package glctx makes OpenGL 3.3 core contexts without a window. A context belongs to the thread that made it: the caller
// locks its goroutine to its thread first, makes every call there, and never unlocks.
package glctx

import "unsafe"

// Context is a current OpenGL context with no surface to draw to but its own frame buffers.
type Context interface {
	// ProcAddr is the address of a GL function, nil when there is none.
	ProcAddr(name string) unsafe.Pointer
	// Name says how the context was made, for people: "EGL device 0", "EGL surfaceless".
	Name() string
	// Close ends the context. The thread has none then.
	Close()
}
