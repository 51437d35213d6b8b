package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"unmask/engine"
	"unmask/engine/enginetest"
	"unmask/engine/trace"
)

// Variables that make the test binary be the program.
const (
	beProgram  = "UNMASK_TEST_PROGRAM"  // main runs instead of the tests
	beScripted = "UNMASK_TEST_SCRIPTED" // with a scripted session; the value is the time of a step
	probeLimit = "UNMASK_TEST_PROBE"    // probeTimeout
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == probeFlag || os.Getenv(beProgram) != "" {
		if d, err := time.ParseDuration(os.Getenv(beScripted)); err == nil {
			openSession = func(Config, *slog.Logger) (engine.Session, error) { return &enginetest.Session{Delay: d}, nil }
		}
		if d, err := time.ParseDuration(os.Getenv(probeLimit)); err == nil {
			probeTimeout = d
		}
		main()
	}
	os.Exit(m.Run())
}

// program prepares a process of the program with a data folder and a working folder of its own, and no display.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Dir = t.TempDir()
	for _, v := range os.Environ() {
		if k, _, _ := strings.Cut(v, "="); k != "DISPLAY" && k != "WAYLAND_DISPLAY" && !strings.HasPrefix(k, "UNMASK_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	home := t.TempDir()
	cmd.Env = append(cmd.Env, beProgram+"=1", "HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, "config"), "XDG_DATA_HOME="+filepath.Join(home, "data"))
	return cmd
}

// finish runs cmd and returns its result.
func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// clean fails where a process printed a stack trace.
func (r result) clean(t *testing.T) {
	t.Helper()
	for _, bad := range []string{"goroutine ", "panic", "SIGSEGV", ".go:"} {
		if strings.Contains(r.err, bad) {
			t.Errorf("errors hold %q: %s", bad, r.err)
		}
	}
}

func TestProcessExitCodes(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		env  string
		code int
		want string
	}{
		"help":           {[]string{"help"}, "", exitDone, "Commands"},
		"bad command":    {[]string{"sing"}, "", exitUsage, `"sing"`},
		"bad setting":    {[]string{"chat", "x"}, "UNMASK_THREADS=-3", exitUsage, "UNMASK_THREADS"},
		"no model there": {[]string{"chat", "x", "--model", "nowhere"}, "", exitFailed, "nowhere"},
		"file as model":  {[]string{"chat", "x", "--model", os.Args[0]}, "", exitFailed, filepath.Base(os.Args[0])},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := program(t, c.args...)
			if c.env != "" {
				cmd.Env = append(cmd.Env, c.env)
			}
			r := finish(t, cmd)
			r.want(t, c.code, c.want)
			r.clean(t)
		})
	}
}

// TestLocaleIsQuiet looks for messages of Fyne's locale parser, which runs before main.
func TestLocaleIsQuiet(t *testing.T) {
	for _, lang := range []string{"C.UTF-8", "C", "", "de_DE.UTF-8"} {
		cmd := program(t, "help")
		cmd.Env = append(cmd.Env, "LC_ALL=", "LC_MESSAGES=", "LANGUAGE=", "LANG="+lang)
		if r := finish(t, cmd); r.code != exitDone || r.err != "" {
			t.Errorf("LANG=%s: exit code %d, errors %q", lang, r.code, r.err)
		}
	}
}

// TestVerifyFindsASpoiledFixture runs the command on a fixture, and on a copy with one changed weight.
func TestVerifyFindsASpoiledFixture(t *testing.T) {
	const golden = "../engine/testdata/golden/llada"
	dir, err := filepath.Abs(golden)
	if err != nil {
		t.Fatal(err)
	}
	r := finish(t, program(t, "verify", dir))
	r.want(t, exitDone, "0 failed", "PASS")
	r = finish(t, program(t, "verify", dir, "--json", "--only", "traj"))
	var rep struct {
		Checks []struct{ Pass bool }
	}
	if err := json.Unmarshal([]byte(r.out), &rep); err != nil || len(rep.Checks) == 0 || !rep.Checks[0].Pass {
		t.Errorf("--json printed %q, %v", r.out, err)
	}
	spoiled := filepath.Join(t.TempDir(), "llada")
	if err := os.CopyFS(spoiled, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	weights := filepath.Join(spoiled, "model.safetensors")
	b, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	data := 8 + binary.LittleEndian.Uint64(b)
	b[data+256+4*100+3] ^= 0x02 // exponent of a weight of the first block's output projection, by four
	if err := os.WriteFile(weights, b, 0o600); err != nil {
		t.Fatal(err)
	}
	finish(t, program(t, "verify", spoiled)).want(t, exitFailed, "FAIL", "1 of 1 folders")
}

// TestInterruptKeepsWhatIsThere sends the signal of Ctrl+C in the middle of a run.
func TestInterruptKeepsWhatIsThere(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("signals of processes are another thing on Windows")
	}
	r, cmd := runUntilStep(t, 3, os.Interrupt)
	if cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(r.err, "stopped") || !strings.Contains(r.out, "▒") {
		t.Errorf("exit code %d, output %q, errors %q", cmd.ProcessState.ExitCode(), r.out, r.err)
	}
	rec, err := trace.ReadFile(filepath.Join(cmd.Dir, "t.unmask"))
	if err != nil || len(rec.Steps) < 3 || rec.Finished != nil || rec.Reason == "" {
		t.Errorf("the trace of a stopped run: %v", err)
	}
}

// TestKillKeepsTheTrace kills the program in the middle of a run: the trace holds every step that was shown.
func TestKillKeepsTheTrace(t *testing.T) {
	_, cmd := runUntilStep(t, 3, os.Kill)
	rec, err := trace.ReadFile(filepath.Join(cmd.Dir, "t.unmask.part"))
	if rec == nil || len(rec.Steps) < 3 {
		t.Errorf("the trace of a killed run: %v", err)
	}
}

// runUntilStep starts a run that is recorded in t.unmask and sends sig after some steps were shown.
func runUntilStep(t *testing.T, steps int, sig os.Signal) (result, *exec.Cmd) {
	t.Helper()
	cmd := program(t, "chat", "--watch", "--trace", "t.unmask", "one two three four five six seven eight")
	cmd.Env = append(cmd.Env, beScripted+"=100ms")
	var out bytes.Buffer
	cmd.Stdout = &out
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	for sc := bufio.NewScanner(pipe); sc.Scan(); {
		errs.WriteString(sc.Text() + "\n")
		if steps--; steps == 0 {
			if err := cmd.Process.Signal(sig); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the process ended well")
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}, cmd
}

// TestNoDisplay starts the window where there is none: one sentence, the session without a window, exit code 3, and never
// a stack trace or a hang.
func TestNoDisplay(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has sessions without a display")
	}
	silent := silentDisplay(t)
	for name, c := range map[string]struct {
		env  []string
		want string
	}{
		"none":              {nil, "neither DISPLAY nor WAYLAND_DISPLAY is set"},
		"nobody there":      {[]string{"DISPLAY=127.0.0.1:4242"}, "the display 127.0.0.1:4242 does not answer"},
		"never says a word": {[]string{"DISPLAY=" + silent}, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := program(t)
			cmd.Env = append(cmd.Env, append(c.env, beScripted+"=1ms", probeLimit+"=2s")...)
			at := time.Now()
			r := finish(t, cmd)
			r.want(t, exitNoDisplay, c.want, ".png", ".gif")
			r.clean(t)
			if took := time.Since(at); took > 30*time.Second {
				t.Errorf("took %s", took)
			}
			for line := range strings.Lines(r.out) {
				if f := strings.TrimSpace(line); strings.HasSuffix(f, ".png") || strings.HasSuffix(f, ".gif") {
					if st, err := os.Stat(f); err != nil || st.Size() < 100 {
						t.Errorf("%s: %v", f, err)
					}
				}
			}
			quiet := program(t, "gui", "--demo=false")
			quiet.Env = append(quiet.Env, append(c.env, beScripted+"=1ms", probeLimit+"=2s")...)
			if r := finish(t, quiet); r.code != exitNoDisplay || r.out != "" {
				t.Errorf("--demo=false: exit code %d, output %q", r.code, r.out)
			}
		})
	}
}

// silentDisplay is the name of an X display whose server accepts connections and never answers.
func silentDisplay(t *testing.T) string {
	t.Helper()
	for n := 4300; n < 4400; n++ {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(6000+n)))
		if err != nil {
			continue
		}
		done := make(chan struct{})
		go func() { // ends when l is closed
			defer close(done)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
			}
		}()
		t.Cleanup(func() { l.Close(); <-done })
		return "127.0.0.1:" + strconv.Itoa(n)
	}
	t.Fatal("no free port")
	return ""
}

// TestProbeAnswersInOneLine looks at what the child of the check for a window prints.
func TestProbeAnswersInOneLine(t *testing.T) {
	cmd := program(t, probeFlag, "native")
	cmd.Env = append(cmd.Env, "DISPLAY=127.0.0.1:4242")
	r := finish(t, cmd)
	var p probed
	if err := json.Unmarshal(lastLine([]byte(r.out)), &p); err != nil || p.Error == "" || r.code != exitFailed {
		t.Errorf("exit code %d, output %q, %v", r.code, r.out, err)
	}
}
