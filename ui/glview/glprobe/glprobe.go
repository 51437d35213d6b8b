// Package glprobe finds out whether a window with OpenGL can be opened, before Fyne is started: Fyne 2.8 panics without a
// display and waits for ever where it has a display and no usable GL. [Window] runs in a child process, because a driver
// may crash or hang.
package glprobe

import (
	"fmt"
	"runtime"

	"github.com/go-gl/glfw/v3.4/glfw"
)

// API is the interface through which a window gets its context.
type API string

// The interfaces. Native is GLX, WGL or NSGL; EGL rescues X servers without GLX.
const (
	Native API = "native"
	EGL    API = "egl"
)

// Info describes the context of a window.
type Info struct {
	API      API    `json:"api"`
	Platform string `json:"platform"` // "x11", "wayland", "win32", "cocoa", or ""
	Major    int    `json:"major"`    // version of OpenGL
	Minor    int    `json:"minor"`
}

// String is "OpenGL 4.5 by native on x11".
func (i Info) String() string {
	return fmt.Sprintf("OpenGL %d.%d by %s on %s", i.Major, i.Minor, i.API, i.Platform)
}

// Window opens a hidden window of 16 by 16 pixels with a context of the version that Fyne's windows ask for, and closes it. It
// must be called on the main goroutine of a process that does nothing else, and blocks as long as the driver does.
func Window(api API) (info Info, err error) {
	runtime.LockOSThread()
	defer func() {
		if r := recover(); r != nil { // the binding panics on errors that it does not know
			err = fmt.Errorf("window system: %v", r)
		}
	}()
	if err := glfw.Init(); err != nil {
		return info, fmt.Errorf("window system: %w", err)
	}
	defer glfw.Terminate()
	glfw.WindowHint(glfw.Visible, glfw.False)
	contextHints()
	if api == EGL {
		UseEGL()
	}
	w, err := glfw.CreateWindow(16, 16, "unmask", nil, nil)
	if err != nil {
		return info, fmt.Errorf("OpenGL window: %w", err)
	}
	defer w.Destroy()
	w.MakeContextCurrent()
	info = Info{API: api, Platform: platform(), Major: w.GetAttrib(glfw.ContextVersionMajor), Minor: w.GetAttrib(glfw.ContextVersionMinor)}
	return info, nil
}

// UseEGL makes windows created from now on take their context from EGL. Fyne never resets the hint, so calling this on
// its main goroutine after its driver has started and before the first window is shown makes Fyne draw through EGL.
func UseEGL() { glfw.WindowHint(glfw.ContextCreationAPI, glfw.EGLContextAPI) }

func platform() string {
	switch glfw.GetPlatform() {
	case glfw.PlatformX11:
		return "x11"
	case glfw.PlatformWayland:
		return "wayland"
	case glfw.PlatformWin32:
		return "win32"
	case glfw.PlatformCocoa:
		return "cocoa"
	}
	return ""
}
