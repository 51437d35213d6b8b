package main

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// xServer starts an X server without a screen and returns the name of its display.
func xServer(t *testing.T, args ...string) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("windows are opened under Xvfb on Linux only")
	}
	path, err := exec.LookPath("Xvfb")
	if err != nil {
		if os.Getenv("UNMASK_REQUIRE_GL") != "" {
			t.Fatal("Xvfb is missing and UNMASK_REQUIRE_GL is set")
		}
		t.Skip("SKIPPED: Xvfb is missing, no window is tested")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"-displayfd", "3", "-nolisten", "tcp", "-screen", "0", "1280x800x24"}, args...)...)
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait(); r.Close() })
	n, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb did not start: %v", err)
	}
	return ":" + strings.TrimSpace(n)
}

// windowRun is a running program with a window.
type windowRun struct {
	cmd   *exec.Cmd
	lines chan string // closed at the end
	errs  strings.Builder
}

// openWindow starts the program with a window on display; dir keeps its data.
func openWindow(t *testing.T, display, dir string) *windowRun {
	t.Helper()
	w := &windowRun{cmd: program(t, "gui", "--lines", "--data-dir", dir), lines: make(chan string, 1000)}
	w.cmd.Env = append(w.cmd.Env, "DISPLAY="+display)
	w.cmd.Stderr = &w.errs
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process, for which the test waits
		defer close(w.lines)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			w.lines <- sc.Text()
		}
	}()
	t.Cleanup(func() { w.cmd.Process.Kill(); w.wait() })
	return w
}

// wait drains the lines and waits for the end.
func (w *windowRun) wait() error {
	for range w.lines {
	}
	return w.cmd.Wait()
}

// until reads lines up to one that begins with prefix.
func (w *windowRun) until(t *testing.T, prefix string) string {
	t.Helper()
	late := time.After(2 * time.Minute) // a cold software driver on a busy machine
	var seen []string
	for {
		select {
		case line, ok := <-w.lines:
			if !ok {
				t.Fatalf("the program ended before %q; it printed %q and %q", prefix, seen, w.errs.String())
			}
			if strings.HasPrefix(line, prefix) {
				return line
			}
			seen = append(seen, line)
		case <-late:
			t.Fatalf("%q did not come; it printed %q", prefix, seen)
		}
	}
}

// TestWindow opens the window on the embedded model, waits for the sample run, kills the program, and looks for the run in
// a second start, which ends by a signal.
func TestWindow(t *testing.T) {
	display, dir := xServer(t, "+extension", "GLX"), t.TempDir()
	w := openWindow(t, display, dir)
	w.until(t, "READY Unmask tiny")
	w.until(t, "RUN done")
	if err := w.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	w.wait()
	w = openWindow(t, display, dir)
	if line := w.until(t, "HISTORY canvas 1 "); !strings.Contains(line, "1 sessions") {
		t.Errorf("after kill -9 the history shows %q", line)
	}
	w.until(t, "READY")
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := w.wait(); err != nil {
		t.Errorf("the window ended with %v: %s", err, w.errs.String())
	}
	for _, bad := range []string{"goroutine ", "Error in Fyne call thread", "Not Migrated", "ERROR"} {
		if strings.Contains(w.errs.String(), bad) {
			t.Errorf("the window printed %s", w.errs.String())
		}
	}
}

// TestWindowWithoutGLX opens the window on an X server that has no GLX: through EGL.
func TestWindowWithoutGLX(t *testing.T) {
	w := openWindow(t, xServer(t, "-extension", "GLX"), t.TempDir())
	w.until(t, "READY Unmask tiny")
}
