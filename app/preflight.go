package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"unmask/ui/glview"
	"unmask/ui/glview/glprobe"
)

// probeFlag makes the program open and close one hidden window, print a line of JSON and end.
const probeFlag = "--probe-gl"

// probeTimeout bounds one attempt: a broken driver may hang. A cold software driver on a busy machine takes seconds.
// Tests shorten it.
var probeTimeout = 10 * time.Second

// offScreen asks the child for the context of the denoising canvas instead of a window.
const offScreen = "off-screen"

// probed is what the child prints.
type probed struct {
	Info     glprobe.Info `json:"info"`
	Renderer string       `json:"renderer,omitempty"` // off the screen
	Error    string       `json:"error,omitempty"`
}

// runProbe is the child's side of [preflight] and [lookGL]. It runs on the main goroutine.
func runProbe(args []string, s streams) int {
	var p probed
	var err error
	switch {
	case len(args) > 0 && args[0] == offScreen:
		p.Renderer, err = probeOffScreen()
	case len(args) > 0:
		p.Info, err = glprobe.Window(glprobe.API(args[0]))
	default:
		p.Info, err = glprobe.Window(glprobe.Native)
	}
	if err != nil {
		p.Error = err.Error()
	}
	if json.NewEncoder(s.out).Encode(p) != nil || err != nil {
		return exitFailed
	}
	return exitDone
}

// probeOffScreen makes the context of the denoising canvas and says what draws in it.
func probeOffScreen() (string, error) {
	runtime.LockOSThread()
	r, err := glview.OpenGL()
	if err != nil {
		return "", err
	}
	return r.Info(), r.Close()
}

// windowMode is a way to open a window that has been tried in a child process.
type windowMode struct {
	info     glprobe.Info
	software bool // with Mesa's software driver forced
}

// preflight tries every way to open a window with OpenGL, the best first. It is called before Fyne starts. The error says
// in one sentence why none works.
func preflight(ctx context.Context) (windowMode, error) {
	if ok, why := displayEnv(); !ok {
		return windowMode{}, errors.New(why)
	}
	self, err := os.Executable()
	if err != nil {
		return windowMode{}, err
	}
	var first error
	for _, try := range []struct {
		api      glprobe.API
		software bool
	}{{glprobe.Native, false}, {glprobe.EGL, false}, {glprobe.Native, true}, {glprobe.EGL, true}} {
		p, err := probeChild(ctx, self, string(try.api), try.software)
		if err == nil {
			return windowMode{p.Info, try.software}, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil || errors.Is(err, errProbeTimeout) {
			break // what hangs once hangs again
		}
		if noDisplay(err) { // other drivers do not help
			return windowMode{}, fmt.Errorf("the display %s does not answer (%w)", displayName(), err)
		}
	}
	return windowMode{}, first
}

// noDisplay reports whether err is about the display, not about GL.
func noDisplay(err error) bool {
	return strings.Contains(err.Error(), "window system:")
}

// errProbeTimeout is returned for a display or driver that did not answer.
var errProbeTimeout = errors.New("the display or its OpenGL driver does not answer")

func probeChild(ctx context.Context, self, what string, software bool) (probed, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, probeFlag, what)
	cmd.WaitDelay = time.Second
	if software {
		cmd.Env = childEnv("LIBGL_ALWAYS_SOFTWARE=1")
	}
	out, err := cmd.Output()
	var p probed
	if json.Unmarshal(lastLine(out), &p) != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return p, errProbeTimeout
		}
		return p, fmt.Errorf("the OpenGL driver crashed (%w)", err)
	}
	if p.Error != "" {
		return p, errors.New(p.Error)
	}
	return p, err
}

// lastLine is the last line that is not empty; drivers print before ours.
func lastLine(b []byte) []byte {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return []byte(lines[len(lines)-1])
}
