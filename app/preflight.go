package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"unmask/ui/glview/glprobe"
)

// probeFlag makes the program open and close one hidden window, print a line of JSON and end.
const probeFlag = "--probe-gl"

// probeTimeout bounds one attempt: a broken driver may hang. A cold software driver on a busy machine takes seconds.
const probeTimeout = 15 * time.Second

// probed is what the child prints.
type probed struct {
	Info  glprobe.Info `json:"info"`
	Error string       `json:"error,omitempty"`
}

// runProbe is the child's side of [preflight]. It runs on the main goroutine.
func runProbe(args []string, s streams) int {
	api := glprobe.Native
	if len(args) > 0 {
		api = glprobe.API(args[0])
	}
	var p probed
	info, err := glprobe.Window(api)
	p.Info = info
	if err != nil {
		p.Error = err.Error()
	}
	if json.NewEncoder(s.out).Encode(p) != nil || err != nil {
		return exitFailed
	}
	return exitDone
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
		info, err := probeChild(ctx, self, try.api, try.software)
		if err == nil {
			return windowMode{info, try.software}, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
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

func probeChild(ctx context.Context, self string, api glprobe.API, software bool) (glprobe.Info, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, probeFlag, string(api))
	cmd.WaitDelay = time.Second
	if software {
		cmd.Env = childEnv("LIBGL_ALWAYS_SOFTWARE=1")
	}
	out, err := cmd.Output()
	var p probed
	if jerr := json.Unmarshal(lastLine(out), &p); jerr != nil {
		if ctx.Err() != nil {
			return p.Info, fmt.Errorf("the OpenGL driver did not answer within %s", probeTimeout)
		}
		return p.Info, fmt.Errorf("the OpenGL driver crashed (%w)", err)
	}
	if p.Error != "" {
		return p.Info, errors.New(p.Error)
	}
	return p.Info, err
}

// lastLine is the last line that is not empty; drivers print before ours.
func lastLine(b []byte) []byte {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return []byte(lines[len(lines)-1])
}
