//go:build (!gles && !arm && !arm64) || darwin

package glprobe

import "github.com/go-gl/glfw/v3.4/glfw"

// contextHints asks for what internal/driver/glfw/glfw_core.go of Fyne asks for.
func contextHints() {
	glfw.WindowHint(glfw.ContextVersionMajor, 2)
	glfw.WindowHint(glfw.ContextVersionMinor, 1)
}
