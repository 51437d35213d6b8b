package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"unmask/engine"
	"unmask/engine/remote"
)

// Devices that are no commands.
const (
	deviceCPU    = "cpu"
	deviceWorker = "worker"
)

// workerProgram is what a worker is called, here and on other machines.
const workerProgram = "unmask-engined"

// loginName is a device that names a login: it is reached by ssh.
var loginName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.:_-]*$`)

// deviceCommand is the command of the worker that a device names. A login stands for ssh to it; else words are split at
// blanks, and quotes keep them together.
func deviceCommand(device string) ([]string, error) {
	device = strings.TrimSpace(device)
	if loginName.MatchString(device) {
		return []string{"ssh", "-T", device, workerProgram}, nil
	}
	return splitWords(device)
}

// splitWords splits a command line at blanks as a POSIX shell does, without expanding anything: single quotes keep all,
// double quotes all but a backslash before " and \, and outside of quotes a backslash keeps the next letter.
func splitWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	in, quote := false, rune(0)
	runes := []rune(line)
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch {
		case quote == '\'' && r != '\'':
			word.WriteRune(r)
		case r == '\\' && quote != '\'' && i+1 < len(runes) && (quote == 0 && runtime.GOOS != "windows" || strings.ContainsRune(`"\`, runes[i+1])):
			i++
			word.WriteRune(runes[i])
			in = true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, in = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if in {
				words = append(words, word.String())
			}
			word.Reset()
			in = false
		default:
			word.WriteRune(r)
			in = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed in %q", quote, clip(line))
	}
	if in {
		words = append(words, word.String())
	}
	if len(words) == 0 || words[0] == "" {
		return nil, errors.New("is empty")
	}
	return words, nil
}

// openWorker makes a session in a worker: of this machine, beside this program, or behind a command. fallback, which may be
// nil, takes over when there is none. notice gets a sentence for people when that happens, or a worker is started again.
func openWorker(cfg Config, log *slog.Logger, fallback engine.Session, notice func(text string)) (*remote.Session, error) {
	command, err := deviceCommand(cfg.Device)
	if err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	c := remote.Config{Command: command, Program: "unmask " + version, Fallback: fallback, Log: log, Notice: notice}
	if cfg.Device == deviceWorker {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("device worker: %w", err)
		}
		name := workerProgram
		if runtime.GOOS == "windows" {
			name += ".exe"
		}
		c.Command = []string{filepath.Join(filepath.Dir(self), name), "--kernels", cfg.Kernels}
		if c.Socket = remote.HaveSocket; c.Socket {
			c.Command = append(c.Command, "--fd", strconv.Itoa(remote.SocketFD))
		}
	}
	return remote.New(c), nil
}

// about is what a worker says of its machine, for people.
func about(i remote.Info) string {
	return fmt.Sprintf("worker on %s, %s: %s %s, %d threads, kernels %s, %s free", i.Host, i.System, i.Device, i.Name, i.Threads, i.Kernels, size(i.Memory))
}

// lookDevice says where models run.
func lookDevice(ctx context.Context, c *call) finding {
	if c.cfg.Device == deviceCPU {
		return finding{"device", stateOK, "cpu, in this process", ""}
	}
	s, err := openWorker(c.cfg, c.log, nil, nil)
	if err != nil {
		return finding{"device", stateNote, err.Error(), ""}
	}
	defer s.Close()
	i, err := s.Probe(ctx)
	if err != nil {
		return finding{"device", stateNote, fmt.Sprintf("%s: %v", clip(c.cfg.Device), err), "Runs are made in this process instead. Build the worker with make build, or take back the setting device."}
	}
	return finding{"device", stateOK, about(i), ""}
}

// devices is the window's session: it passes everything on to the session of the device in use, which can be changed. It
// implements state.Devices.
type devices struct {
	log *slog.Logger

	mu   sync.Mutex
	cfg  Config
	now  engine.Session
	say  func(text string)
	wait []string // said before the window listens
}

// openDevices opens the session of the device that cfg names.
func openDevices(cfg Config, log *slog.Logger) (*devices, error) {
	d := &devices{log: log, cfg: cfg}
	s, err := d.open(cfg)
	if err != nil {
		return nil, err
	}
	d.now = s
	return d, nil
}

// open makes the session of a device, of which the window hears what it has to say.
func (d *devices) open(cfg Config) (engine.Session, error) {
	s, err := openSession(cfg, d.log)
	if n, ok := s.(*remote.Session); ok {
		n.OnNotice(d.tell)
	}
	return s, err
}

// tell shows a sentence in the window.
func (d *devices) tell(text string) {
	d.log.Warn(text)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.say == nil {
		d.wait = append(d.wait, text)
		return
	}
	d.say(text)
}

// listen has sentences shown by say from now on.
func (d *devices) listen(say func(text string)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.say = say
	for _, text := range d.wait {
		say(text)
	}
	d.wait = nil
}

func (d *devices) session() engine.Session {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

// Now implements state.Devices.
func (d *devices) Now() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cfg.Device
}

// Use implements state.Devices. The worker is asked before the session in use is given up.
func (d *devices) Use(ctx context.Context, name string) (string, error) {
	d.mu.Lock()
	cfg := d.cfg
	d.mu.Unlock()
	cfg.Device = name
	s, err := d.open(cfg)
	if err != nil {
		return "", err
	}
	said := ""
	if r, ok := s.(*remote.Session); ok {
		info, err := r.Probe(ctx)
		if err != nil {
			return "", errors.Join(fmt.Errorf("%s: %w", name, err), s.Close())
		}
		said = about(info)
	}
	d.mu.Lock()
	old := d.now
	d.now, d.cfg = s, cfg
	d.mu.Unlock()
	if err := old.Close(); err != nil {
		d.log.Warn("close", "err", err)
	}
	return said, nil
}

// Load implements [engine.Session].
func (d *devices) Load(ctx context.Context, ref engine.ModelRef, progress func(done, total int64)) (engine.Spec, error) {
	return d.session().Load(ctx, ref, progress)
}

// Run implements [engine.Session].
func (d *devices) Run(ctx context.Context, job engine.Job) iter.Seq2[engine.Event, error] {
	return d.session().Run(ctx, job)
}

// Unload frees the model.
func (d *devices) Unload(ctx context.Context) error {
	if u, ok := d.session().(interface {
		Unload(ctx context.Context) error
	}); ok {
		return u.Unload(ctx)
	}
	return &engine.UnsupportedError{What: "freeing a model with this session"}
}

// Patches implements [engine.Patcher] where the session in use does.
func (d *devices) Patches(ctx context.Context, tokens []engine.Token) ([]*image.NRGBA, error) {
	if p, ok := d.session().(engine.Patcher); ok {
		return p.Patches(ctx, tokens)
	}
	return nil, &engine.UnsupportedError{What: "pictures of image codes with this session"}
}

// Close implements [engine.Session].
func (d *devices) Close() error { return d.session().Close() }
