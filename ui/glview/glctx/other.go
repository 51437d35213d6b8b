//go:build !linux || !cgo

package glctx

import "unmask/engine"

// New reports that this system has no off-screen context here: frames are drawn in software.
func New() (Context, error) {
	return nil, &engine.UnsupportedError{What: "an off-screen GL context on this system", Have: "EGL on Linux"}
}
