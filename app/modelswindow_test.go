package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ask types a question into the prompt of Chat, whose place the window says, until a run starts.
func (w *windowRun) ask(t *testing.T, display, question string) {
	t.Helper()
	var x, y string
	if line := w.until(t, "PROMPT"); line != "" {
		if _, err := fmt.Sscanf(line, "PROMPT %s %s", &x, &y); err != nil {
			t.Fatal(line, err)
		}
	}
	for range 5 {
		press(t, display, "mousemove", x, y)
		w.soon("no such line", 300*time.Millisecond) // a pointer move is taken with the next frame
		press(t, display, "click", "1")
		w.soon("no such line", 300*time.Millisecond)
		press(t, display, "key", "ctrl+a")
		press(t, display, "type", "--delay", "20", question)
		press(t, display, "key", "Return")
		if _, ok := w.soon("RUN started chat", 5*time.Second); ok {
			return
		}
	}
	t.Fatal("the prompt is not taken")
}

// tapAt clicks at the place that a line with prefix says, until a line with next comes.
func (w *windowRun) tapAt(t *testing.T, display, line, next string) string {
	t.Helper()
	f := strings.Fields(line)
	if len(f) < 4 {
		t.Fatalf("%q says no place", line)
	}
	return w.tap(t, display, f[1], f[2], next)
}

// finished waits for the end of a run and checks that it took steps.
func (w *windowRun) finished(t *testing.T) {
	t.Helper()
	line := w.until(t, "RUN done")
	var id string
	var steps int
	if _, err := fmt.Sscanf(line, "RUN done %s %d steps", &id, &steps); err != nil || steps == 0 {
		t.Errorf("the run ended with %q: %v", line, err)
	}
}

// snap keeps a picture of the display in the folder that UNMASK_SNAP names, to be looked at.
func snap(t *testing.T, display, name string) {
	t.Helper()
	dir := os.Getenv("UNMASK_SNAP")
	if dir == "" {
		return
	}
	cmd := exec.Command("import", "-display", display, "-window", "root", filepath.Join(dir, name+".png"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Logf("no picture of %s: %v %s", name, err, out)
	}
}

// TestModelsWindow puts a LLaDA checkpoint on the list by the command line, loads it in the pane of models, asks it
// something, goes back to the embedded model, and finds the list and the conversation after a restart.
func TestModelsWindow(t *testing.T) {
	if _, err := exec.LookPath("xdotool"); err != nil {
		t.Skip("SKIPPED: xdotool is missing, no hand moves the pointer")
	}
	display, dir := xServer(t, "+extension", "GLX"), t.TempDir()
	fixture, err := filepath.Abs("../engine/testdata/golden/llada")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := program(t, "models", "add", fixture, "--data-dir", dir).CombinedOutput(); err != nil {
		t.Fatalf("models add: %v %s", err, out)
	}
	w := openWindow(t, display, dir)
	w.until(t, "READY Unmask tiny")
	w.until(t, "RUN done")
	press(t, display, "key", "ctrl+6")
	own := w.until(t, "ROW ")
	if !strings.HasSuffix(own, "Unmask tiny") {
		t.Fatalf("the first row is %q", own)
	}
	row := w.until(t, "ROW ")
	if !strings.HasSuffix(row, " llada") {
		t.Fatalf("the second row is %q", row)
	}
	w.until(t, "ACTION")
	snap(t, display, "1-list")
	load := w.tapAt(t, display, row, "ACTION")
	if !strings.HasSuffix(load, " Load as f32: llada") {
		t.Fatalf("the row chosen offers %q", load)
	}
	w.tapAt(t, display, load, "READY llada")
	w.until(t, "ACTION")
	snap(t, display, "2-loaded")

	press(t, display, "key", "ctrl+1")
	w.ask(t, display, "Who are you?")
	w.finished(t)
	snap(t, display, "3-answer")

	press(t, display, "key", "ctrl+6")
	w.until(t, "ACTION")
	load = w.tapAt(t, display, own, "ACTION") // the embedded model is chosen while another one is loaded
	if !strings.HasSuffix(load, ": Unmask tiny") || !strings.Contains(load, "Load as") {
		t.Fatalf("the embedded model's row offers %q", load)
	}
	w.tapAt(t, display, load, "READY Unmask tiny")
	snap(t, display, "4-back")
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

	w = openWindow(t, display, dir)
	w.until(t, "HISTORY chat 1 sessions, 1 runs")
	press(t, display, "key", "ctrl+1")
	w.soon("no such line", time.Second)
	snap(t, display, "5-again")
	press(t, display, "key", "ctrl+6")
	w.until(t, "ACTION") // the rows were said at the start where Models was the pane shown last
	snap(t, display, "6-list-again")
	out, err := program(t, "models", "list", "--data-dir", dir).CombinedOutput()
	if err != nil || !strings.Contains(string(out), fixture) {
		t.Errorf("models list: %v %s", err, out)
	}
}
