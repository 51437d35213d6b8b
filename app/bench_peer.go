package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed peers/*.py
var peerFiles embed.FS

// peer is a contestant of bench --against: a script of ours and the packages that it runs on, in an environment of its own.
type peer struct {
	name     string
	script   string
	packages []string // pinned, for pip
	dtypes   []string
}

// peers lists the contestants.
var peers = []peer{
	{"torch", "torch_peer.py", []string{"torch==2.15.0", "numpy==2.4.6"}, []string{"f32", "bf16", "i8"}},
	{"llamacpp", "llamacpp_peer.py", []string{"llama-cpp-python==0.3.36", "numpy==2.4.6"}, []string{"f32", "bf16", "i8", "i4"}},
	{"onnx", "onnx_peer.py", []string{"onnxruntime==1.32.0", "onnx==1.23.2", "numpy==2.4.6"}, []string{"f32", "i8"}},
}

func findPeer(name string) (*peer, error) {
	var names []string
	for i := range peers {
		if peers[i].name == name {
			return &peers[i], nil
		}
		names = append(names, peers[i].name)
	}
	return nil, usagef("bench: --against: %q is not one of %s", clip(name), strings.Join(names, ", "))
}

// python returns the interpreter of the peer's environment, which it makes first where there is none: under the person's
// cache folder, by pip, which fetches the packages. It blocks for as long as that takes.
func (p *peer) python(ctx context.Context, note func(format string, a ...any)) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(strings.Join(p.packages, "\n")))
	dir := filepath.Join(cache, "unmask", "peers", p.name+"-"+hex.EncodeToString(sum[:4]))
	bin := filepath.Join(dir, "bin", "python")
	if runtime.GOOS == "windows" {
		bin = filepath.Join(dir, "Scripts", "python.exe")
	}
	done := filepath.Join(dir, "complete")
	if _, err := os.Stat(done); err == nil {
		return bin, nil
	}
	host, err := exec.LookPath("python3")
	if err != nil {
		if host, err = exec.LookPath("python"); err != nil {
			return "", &programMissing{"python3, which runs " + p.name}
		}
	}
	note("installing %s into %s (once)", strings.Join(p.packages, ", "), dir)
	for _, args := range [][]string{{host, "-m", "venv", "--clear", dir}, append([]string{bin, "-m", "pip", "install", "--quiet"}, p.packages...)} {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		var msg bytes.Buffer
		cmd.Stderr = &msg
		if err := cmd.Run(); err != nil {
			return "", fmt.Errorf("install %s: %w: %s", p.name, err, clip(string(lastLine(msg.Bytes()))))
		}
	}
	return bin, os.WriteFile(done, nil, 0o600)
}

// programMissing says that a program is not on this machine.
type programMissing struct{ what string }

func (e *programMissing) Error() string { return e.what + " is not installed" }

// contestant is a running peer.
type contestant struct {
	cmd      *exec.Cmd
	in       io.WriteCloser
	out      *bufio.Reader
	msg      tail
	dir      string
	Versions map[string]string `json:"versions"`
	Passes   []string          `json:"passes"`
}

// tail keeps the end of what is written to it. It is safe for concurrent use.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

// Write implements [io.Writer].
func (t *tail) Write(p []byte) (int, error) {
	const most = 4096
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if len(t.buf) > most {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-most:]...)
	}
	return len(p), nil
}

func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.buf)
}

// start runs the peer over the checkpoint in model and waits until it is ready. Close ends it.
func (p *peer) start(ctx context.Context, python, model, dtype string, threads int) (_ *contestant, err error) {
	if !slices.Contains(p.dtypes, dtype) {
		return nil, usagef("bench: --against %s: it has no %s; have %s", p.name, dtype, strings.Join(p.dtypes, ", "))
	}
	dir, err := os.MkdirTemp("", "unmask-peer-*")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	for _, name := range []string{"peer.py", p.script} {
		src, err := peerFiles.ReadFile("peers/" + name)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), src, 0o600); err != nil {
			return nil, err
		}
	}
	return p.run(ctx, python, dir, p.script, model, dtype, threads)
}

// run starts script, which lies in dir, and waits until it is ready.
func (p *peer) run(ctx context.Context, python, dir, script, model, dtype string, threads int) (_ *contestant, err error) {
	c := &contestant{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	c.cmd = exec.CommandContext(ctx, python, filepath.Join(dir, script), model, dtype, strconv.Itoa(threads))
	c.cmd.Env = append(os.Environ(), "OMP_NUM_THREADS="+strconv.Itoa(threads), "TMPDIR="+dir)
	c.cmd.Stderr = &c.msg
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReaderSize(out, 1<<16)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	if err := c.read(c); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	return c, nil
}

// read decodes the next line.
func (c *contestant) read(v any) error {
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("it ended: %s", c.last())
	}
	return json.Unmarshal(line, v)
}

// last is the last line that a peer which has ended wrote as an error; only when it has been waited for is that there.
func (c *contestant) last() string {
	_ = c.in.Close()
	_ = c.cmd.Wait()
	return clip(string(lastLine(c.msg.bytes())))
}

// asked is a pass that a peer is asked for.
type asked struct {
	Pass   string   `json:"pass"`
	Tokens []int    `json:"tokens"`
	Want   [][2]int `json:"want"` // position and id of logits
}

// answered is what a pass took, in seconds, and the logits wanted.
type answered struct {
	Wall   float64   `json:"wall"`
	CPU    float64   `json:"cpu"`
	Logits []float64 `json:"logits"`
}

func (c *contestant) pass(a asked) (answered, error) {
	var r answered
	line, err := json.Marshal(a)
	if err != nil {
		return r, err
	}
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		return r, fmt.Errorf("%w: %s", err, c.last())
	}
	return r, c.read(&r)
}

// close ends the peer and waits for it.
func (c *contestant) close() error {
	if c.in != nil {
		_ = c.in.Close() // it ends by the end of its input
	}
	if c.cmd != nil && c.cmd.Process != nil {
		_ = c.cmd.Wait() // how it ends does not matter any more
	}
	return os.RemoveAll(c.dir)
}
