package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// press sends an action of the pointer or the keyboard to a display, as a person's hand would.
func press(t *testing.T, display string, args ...string) {
	t.Helper()
	cmd := exec.Command("xdotool", args...)
	cmd.Env = append(os.Environ(), "DISPLAY="+display)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("xdotool %v: %v %s", args, err, out)
	}
}

// soon reads lines up to one that begins with prefix, for at most d; false when none came.
func (w *windowRun) soon(prefix string, d time.Duration) (string, bool) {
	late := time.After(d)
	for {
		select {
		case line, ok := <-w.lines:
			if !ok {
				return "", false
			}
			if strings.HasPrefix(line, prefix) {
				return line, true
			}
		case <-late:
			return "", false
		}
	}
}

// tap moves the pointer to a place and clicks until a line with prefix comes: pointer moves are taken with the next frame
// of the window, so that a click can come too early.
func (w *windowRun) tap(t *testing.T, display, x, y, prefix string) string {
	t.Helper()
	for range 10 {
		press(t, display, "mousemove", x, y)
		w.soon("no such line", 200*time.Millisecond)
		press(t, display, "click", "1")
		if line, ok := w.soon(prefix, 4*time.Second); ok {
			return line
		}
	}
	t.Fatalf("no %q after ten clicks at %s, %s", prefix, x, y)
	return ""
}

// TestWindowRunsOnFromAStep asks something in the real window, goes back three steps, inspects a token, pins another one
// by the keyboard, runs on, and finds both runs and the tree after a restart.
func TestWindowRunsOnFromAStep(t *testing.T) {
	if _, err := exec.LookPath("xdotool"); err != nil {
		t.Skip("SKIPPED: xdotool is missing, no hand moves the pointer")
	}
	display, dir := xServer(t, "+extension", "GLX"), t.TempDir()
	w := openWindow(t, display, dir)
	w.until(t, "READY Unmask tiny")
	w.until(t, "RUN done")
	press(t, display, "key", "ctrl+1")
	w.ask(t, display, "Who are you?")
	w.until(t, "RUN done")
	var pos, step, of int
	var x, y, text string
	for i := 0; step == 0 || step > of-3; i++ { // a step may write what is not seen, an end token
		if i == 60 {
			t.Fatal("no step has written a token that is seen")
		}
		press(t, display, "key", "alt+Left")
		if line, ok := w.soon("TOKEN", 2*time.Second); ok {
			if _, err := fmt.Sscanf(line, "TOKEN %s %s %d %d/%d %q", &x, &y, &pos, &step, &of, &text); err != nil {
				t.Fatal(line, err)
			}
		}
	}
	w.tap(t, display, x, y, fmt.Sprintf("INSPECT %d 8", pos))
	press(t, display, "key", "Down")
	press(t, display, "key", "p")
	w.until(t, "DRAFTS 1")
	press(t, display, "key", "ctrl+shift+Return")
	w.until(t, "RUN done")
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := w.wait(); err != nil {
		t.Errorf("the window ended with %v: %s", err, w.errs.String())
	}
	w = openWindow(t, display, dir)
	w.until(t, "HISTORY chat 1 sessions, 2 runs")
	w.until(t, "TREE 2")
}
