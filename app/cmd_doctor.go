package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"unmask/app/history"
)

func cmdDoctor() *command {
	return &command{
		name: "doctor", short: "say what this machine has, and what to do about what is missing",
		long: `Looks at the processor, memory, the window, OpenGL, CUDA, fonts, the data folder, the settings and
the model. Ends with exit code 1 when something is broken that the program cannot do without.`,
		takes: takesModel | takesJSON,
		run:   runDoctor,
	}
}

// finding is one thing that doctor looked at.
type finding struct {
	What   string `json:"what"`
	State  string `json:"state"` // "ok", "note" (works, could be better), "broken"
	Text   string `json:"text"`
	Advice string `json:"advice,omitempty"` // what a person can do
}

// The states of a finding.
const (
	stateOK     = "ok"
	stateNote   = "note"
	stateBroken = "broken"
)

func runDoctor(ctx context.Context, c *call) error {
	if err := c.noArgs(); err != nil {
		return err
	}
	var all []finding
	broken := false
	for _, look := range []func(context.Context, *call) finding{
		lookProgram, lookProcessor, lookMemory, lookDevice, lookWindow, lookGL, lookCUDA, lookFonts, lookData, lookSettings, lookModel,
	} {
		f := look(ctx, c)
		all = append(all, f)
		broken = broken || f.State == stateBroken
		if !c.json {
			printFinding(c, f)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if c.json {
		if err := writeJSON(c.out, all); err != nil {
			return err
		}
	}
	if broken {
		return errReported
	}
	return nil
}

func printFinding(c *call, f finding) {
	mark := map[string]string{stateOK: "ok", stateNote: "--", stateBroken: "!!"}[f.State]
	fmt.Fprintf(c.out, "%s  %-10s %s\n", mark, f.What, f.Text)
	if f.Advice != "" {
		fmt.Fprintf(c.out, "%15s%s\n", "", strings.ReplaceAll(f.Advice, "\n", "\n"+strings.Repeat(" ", 15)))
	}
}

func lookProgram(context.Context, *call) finding {
	return finding{"program", stateOK, fmt.Sprintf("unmask %s, %s, %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH), ""}
}

func lookProcessor(_ context.Context, c *call) finding {
	b, err := c.backend()
	if err != nil {
		return finding{"processor", stateBroken, err.Error(), "Take back the settings kernels and threads (flags, UNMASK_CPU, UNMASK_THREADS, the configuration file)."}
	}
	defer b.Close()
	d := b.Device()
	f := finding{"processor", stateOK, fmt.Sprintf("%s, %d threads of %d, %s; kernels: %s", d.Name, d.Threads, runtime.NumCPU(), cpuFeatures(), d.Kernels), ""}
	if sets := kernelSets(); sets[len(sets)-1] != d.Kernels {
		f.State, f.Advice = stateNote, fmt.Sprintf("This processor runs %s too; take back the setting kernels (%s).", sets[len(sets)-1], c.cfg.Origin["kernels"])
	} else if d.Kernels == "portable" {
		f.State, f.Advice = stateNote, "There are no fast kernels for this processor: the embedded model runs, large ones are slow."
	}
	return f
}

func lookMemory(_ context.Context, c *call) finding {
	b, err := c.backend()
	if err != nil {
		return finding{"memory", stateNote, "unknown", ""}
	}
	defer b.Close()
	free := b.Device().Memory
	f := finding{"memory", stateOK, size(free) + " free", ""}
	switch {
	case free == 0:
		f.State, f.Text = stateNote, "this system does not say how much is free"
	case free < 512<<20:
		f.State, f.Advice = stateNote, "The embedded model needs about 300 MB with the window; close other programs."
	default:
		f.Text += fmt.Sprintf(", enough for models of about %s parameters in bf16", count(free*8/10/2))
	}
	return f
}

func lookWindow(ctx context.Context, _ *call) finding {
	mode, err := preflight(ctx)
	if err != nil {
		return finding{"window", stateNote, "cannot be opened: " + err.Error(), windowAdvice(err)}
	}
	f := finding{"window", stateOK, mode.info.String(), ""}
	if mode.software {
		f.State, f.Advice = stateNote, "Only Mesa's software driver works; a driver for the graphics card makes the window smoother."
	}
	return f
}

// lookGL says what draws the denoising canvas and exported animations.
func lookGL(ctx context.Context, c *call) finding {
	const soft = "drawn in software, which is exact and a little slower"
	if c.cfg.GL == "software" {
		return finding{"canvas", stateOK, soft + " (setting gl)", ""}
	}
	self, err := os.Executable()
	if err != nil {
		return finding{"canvas", stateNote, soft + ": " + err.Error(), ""}
	}
	p, err := probeChild(ctx, self, offScreen, false)
	if err != nil {
		return finding{"canvas", stateNote, soft + "; OpenGL off the screen: " + err.Error(),
			"To use the graphics card, install its OpenGL driver with EGL (Debian, Ubuntu: apt-get install libegl1 libgl1-mesa-dri)."}
	}
	return finding{"canvas", stateOK, p.Renderer, ""}
}

// windowAdvice is what a person can do about a window that cannot be opened.
func windowAdvice(err error) string {
	switch s := err.Error(); {
	case strings.Contains(s, "DISPLAY"):
		return "Log in on a desktop, use ssh -X, or try it with: xvfb-run -a unmask gui. The other commands need no display."
	case strings.Contains(s, "window system"):
		return "The display named in DISPLAY or WAYLAND_DISPLAY does not answer; is it running, and may this user use it?"
	}
	return "Install the OpenGL drivers (Debian, Ubuntu: apt-get install libgl1-mesa-dri libegl1). The other commands need no OpenGL."
}

// lookCUDA says whether there is an NVIDIA card, and that this version computes on the processor.
func lookCUDA(context.Context, *call) finding {
	f := finding{"CUDA", stateNote, "", ""}
	const here = "this version computes on the processor; a CUDA worker is planned (docs/decisions)"
	driver, err := os.ReadFile("/proc/driver/nvidia/version")
	library := findLibrary("libcuda.so.1", "nvcuda.dll")
	switch {
	case err == nil && library != "":
		line, _, _ := strings.Cut(string(driver), "\n")
		f.Text = "not used: there is an NVIDIA driver (" + strings.Join(strings.Fields(strings.TrimPrefix(line, "NVRM version:")), " ") + "), but " + here
	case err == nil:
		f.Text = "not used: the NVIDIA kernel driver is loaded, but the library libcuda.so.1 is not found; " + here
	case library != "":
		f.Text = "not used: " + library + " is there, but no NVIDIA kernel driver is loaded; " + here
	default:
		f.State = stateOK
		f.Text = "not used: no NVIDIA driver on this machine; " + here
	}
	return f
}

// findLibrary is the path of a shared library in the usual folders, or "".
func findLibrary(names ...string) string {
	dirs := []string{"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/cuda/compat", "/usr/lib/wsl/lib", `C:\Windows\System32`}
	for _, d := range dirs {
		for _, n := range names {
			p := filepath.Join(d, n)
			if _, err := os.Stat(p); err == nil {
				return p
			}
		}
	}
	return ""
}

// lookFonts counts the system's fonts: the window's own font covers Latin, Greek and Cyrillic, the rest comes from them.
func lookFonts(context.Context, *call) finding {
	const enough = 2000 // entries looked at; more change nothing
	var dirs []string
	switch runtime.GOOS {
	case "windows":
		dirs = []string{`C:\Windows\Fonts`}
	case "darwin":
		dirs = []string{"/System/Library/Fonts", "/Library/Fonts"}
	default:
		dirs = []string{"/usr/share/fonts", "/usr/local/share/fonts"}
	}
	n := 0
	for _, d := range dirs {
		filepath.WalkDir(d, func(p string, e os.DirEntry, err error) error {
			if err != nil || n >= enough {
				return filepath.SkipDir
			}
			switch strings.ToLower(filepath.Ext(p)) {
			case ".ttf", ".otf", ".ttc":
				n++
			}
			return nil
		})
	}
	f := finding{"fonts", stateOK, fmt.Sprintf("own font for Latin, Greek and Cyrillic; %d system fonts for other scripts", n), ""}
	if n == 0 {
		f.State, f.Advice = stateNote, "Chinese, Japanese, Arabic and other scripts show as boxes until fonts are installed (Debian, Ubuntu: apt-get install fonts-noto-core fonts-noto-cjk)."
	}
	return f
}

func lookData(_ context.Context, c *call) finding {
	dir := c.cfg.DataDir
	bad := func(err error) finding {
		return finding{"data", stateBroken, err.Error(), "Make the folder writable, or name another with --data-dir or UNMASK_DATA."}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return bad(err)
	}
	t, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return bad(err)
	}
	t.Close()
	os.Remove(t.Name())
	f := finding{"data", stateOK, dir, ""}
	if st, err := os.Stat(filepath.Join(dir, history.FileName)); err == nil {
		f.Text += ", history of " + size(st.Size())
	} else {
		f.Text += ", no history yet"
	}
	if free, ok := freeSpace(dir); ok {
		f.Text += ", " + size(free) + " free"
		if free < 100<<20 {
			f.State, f.Advice = stateNote, "Runs are kept on this disk; make room on it."
		}
	}
	return f
}

func lookSettings(_ context.Context, c *call) finding {
	text := "all at their defaults"
	var set []string
	for _, s := range settings {
		if o := c.cfg.Origin[s.key]; o != "" {
			set = append(set, fmt.Sprintf("%s=%s (%s)", s.key, s.show(&c.cfg), o))
		}
	}
	if len(set) > 0 {
		text = strings.Join(set, ", ")
	}
	if _, err := os.Stat(c.cfg.File); err != nil {
		text += "; no file " + c.cfg.File
	} else {
		text += "; file " + c.cfg.File
	}
	return finding{"settings", stateOK, text, ""}
}

func lookModel(ctx context.Context, c *call) finding {
	m, err := c.load(ctx)
	if err != nil {
		advice := "The program is damaged: build or install it again."
		if c.cfg.Model != "" {
			advice = "Name a folder with config.json, tokenizer.json and the weights, or leave --model out for the embedded model."
		}
		return finding{"model", stateBroken, err.Error(), advice}
	}
	defer m.Close()
	s := m.spec
	return finding{"model", stateOK, fmt.Sprintf("%s: %s parameters, %s in memory, %s, can do %s", s.Name, count(s.Params), size(s.Bytes), s.DType, taskNames(s.Tasks)), ""}
}
