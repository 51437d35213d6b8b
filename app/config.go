package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"unmask/app/flat"
	"unmask/engine"
)

// Config holds the settings of the program that are not part of a job. Sources, later ones win: [defaults], the JSON file,
// the environment, flags. Packages get values out of it, never the Config.
type Config struct {
	Model    string   // folder of a checkpoint; "" is the embedded model
	Adapters []string // folders of PEFT adapters over Model; the list of models gives them
	DType    string   // arithmetic: "f32", "bf16", "i8", "i4"; "" is the fastest that the machine has
	Threads  int      // worker threads of the CPU backend, [0, maxThreads]; 0 is every core
	Device   string   // "cpu": in this process; "worker": in a process of its own; else a login, or the command of a worker elsewhere
	Kernels  string   // "portable", "avx2", "avx512", "avx512bf16", "amx", "neon"; "" is the best that the CPU has
	DataDir  string   // history, pictures and samples
	LogLevel string   // "debug", "info", "warn", "error"
	GL       string   // "auto" or "software", how the window and the denoising view are drawn
	Demo     bool     // what `unmask gui` does where no window can open: true makes the sample session

	File   string            // configuration file that was looked for; it need not exist
	Origin map[string]string // where each setting that is not the default came from, by key
}

const (
	maxConfigBytes = 1 << 20 // a configuration file is a few lines
	maxThreads     = 1024
)

// setting is a row of [settings]: one thing that a person can set, and the three places where it can be set.
type setting struct {
	key  string // in the file, and the flag with '-' for '_'
	env  string
	arg  string // what the flag's value is called in help texts
	doc  string
	set  func(c *Config, v string) error
	show func(c *Config) string
}

// flag is the name of the command-line flag of s.
func (s setting) flag() string { return strings.ReplaceAll(s.key, "_", "-") }

// settings lists every field of [Config] that can be set, in the order of the help text.
var settings = []setting{
	{"model", "UNMASK_MODEL", "DIR", "folder of a checkpoint (default: the embedded model)",
		func(c *Config, v string) error { c.Model = v; return nil }, func(c *Config) string { return c.Model }},
	{"dtype", "UNMASK_DTYPE", "TYPE", "arithmetic: f32, bf16, or i8 or i4, which change answers and take less memory (default: the fastest of the first two)",
		func(c *Config, v string) error { c.DType = strings.Replace(v, "int", "i", 1); return nil }, func(c *Config) string { return c.DType }},
	{"threads", "UNMASK_THREADS", "N", "threads of the CPU backend (default: every core)",
		func(c *Config, v string) error { return setInt(&c.Threads, v) }, func(c *Config) string { return strconv.Itoa(c.Threads) }},
	{"kernels", "UNMASK_CPU", "SET", "portable, avx2, avx512, avx512bf16, amx or neon (default: the best that the CPU has)",
		func(c *Config, v string) error { c.Kernels = v; return nil }, func(c *Config) string { return c.Kernels }},
	{"device", "UNMASK_DEVICE", "WHERE", "cpu; worker: in a process of its own; user@host: by ssh; or a command that reaches one (default cpu)",
		func(c *Config, v string) error { c.Device = v; return nil }, func(c *Config) string { return c.Device }},
	{"data_dir", "UNMASK_DATA", "DIR", "folder of history, pictures and samples",
		func(c *Config, v string) error { c.DataDir = v; return nil }, func(c *Config) string { return c.DataDir }},
	{"log_level", "UNMASK_LOG", "LEVEL", "debug, info, warn or error (default warn)",
		func(c *Config, v string) error { c.LogLevel = v; return nil }, func(c *Config) string { return c.LogLevel }},
	{"gl", "UNMASK_GL", "MODE", "auto or software: how pictures of a run are drawn (default auto)",
		func(c *Config, v string) error { c.GL = v; return nil }, func(c *Config) string { return c.GL }},
	{"demo", "UNMASK_DEMO", "BOOL", "where no window can open, make a sample chat and picture instead (default true)",
		func(c *Config, v string) error { return setBool(&c.Demo, v) }, func(c *Config) string { return strconv.FormatBool(c.Demo) }},
}

// setInt parses v into dst.
func setInt(dst *int, v string) error {
	n, err := strconv.Atoi(v)
	if err != nil {
		return fmt.Errorf("%q is not a whole number", clip(v))
	}
	*dst = n
	return nil
}

// setBool parses v into dst.
func setBool(dst *bool, v string) error {
	b, err := strconv.ParseBool(v)
	if err != nil {
		return fmt.Errorf("%q is neither true nor false", clip(v))
	}
	*dst = b
	return nil
}

// clip shortens a value for an error line and makes it valid UTF-8.
func clip(v string) string { return flat.Clip(v) }

// defaults is the Config of a machine where nobody set anything. getenv is [os.Getenv] outside tests.
func defaults(getenv func(string) string) Config {
	return Config{
		DataDir:  defaultDataDir(getenv),
		Device:   deviceCPU,
		LogLevel: "warn",
		GL:       "auto",
		Demo:     true,
		File:     defaultConfigFile(getenv),
		Origin:   map[string]string{},
	}
}

// defaultConfigFile is config.json in the person's configuration folder, or "" where there is none (no home).
func defaultConfigFile(getenv func(string) string) string {
	if f := getenv("UNMASK_CONFIG"); f != "" {
		return f
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "unmask", "config.json")
}

// defaultDataDir follows the XDG base directory rules on Linux and the habits of the other systems.
func defaultDataDir(getenv func(string) string) string {
	if runtime.GOOS == "linux" || strings.HasSuffix(runtime.GOOS, "bsd") {
		if d := getenv("XDG_DATA_HOME"); filepath.IsAbs(d) {
			return filepath.Join(d, "unmask")
		}
		if h, err := os.UserHomeDir(); err == nil {
			return filepath.Join(h, ".local", "share", "unmask")
		}
	} else if d, err := os.UserConfigDir(); err == nil {
		return filepath.Join(d, "unmask", "data")
	}
	return filepath.Join(os.TempDir(), "unmask")
}

// loadConfig merges the four sources and validates the result. flags maps setting keys to the values given on the
// command line; file overrides the place of the configuration file and must then exist.
func loadConfig(file string, flags map[string]string, getenv func(string) string) (Config, error) {
	c := defaults(getenv)
	mustExist := file != "" || getenv("UNMASK_CONFIG") != ""
	if file != "" {
		c.File = file
	}
	var problems []error
	if c.File != "" {
		if err := c.readFile(c.File, mustExist); err != nil {
			problems = append(problems, err)
		}
	}
	for _, s := range settings {
		if v := getenv(s.env); v != "" {
			problems = append(problems, c.assign(s, v, s.env))
		}
	}
	for _, s := range settings {
		if v, ok := flags[s.key]; ok {
			problems = append(problems, c.assign(s, v, "--"+s.flag()))
		}
	}
	problems = append(problems, c.Validate())
	return c, errors.Join(problems...)
}

// assign sets one setting and notes where the value came from.
func (c *Config) assign(s setting, v, origin string) error {
	if err := s.set(c, v); err != nil {
		return fmt.Errorf("%s: %w", origin, err)
	}
	c.Origin[s.key] = origin
	return nil
}

// readFile applies the JSON object in path. A missing file is an error only when mustExist.
func (c *Config) readFile(path string, mustExist bool) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && !mustExist {
		return nil
	}
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if len(b) > maxConfigBytes {
		return &engine.FormatError{Format: "configuration", Path: path, Reason: fmt.Sprintf("is larger than %d bytes", maxConfigBytes)}
	}
	return c.parse(path, b)
}

// parse applies the settings of a configuration file's bytes, reporting every bad key, not only the first.
func (c *Config) parse(path string, b []byte) error {
	index := func(key string) int { return slices.IndexFunc(settings, func(s setting) bool { return s.key == key }) }
	pairs, err := flat.Parse(path, b, func(key string) bool { return index(key) >= 0 }, settingKeys())
	problems := []error{err}
	for _, p := range pairs {
		if err := c.assign(settings[index(p.Key)], p.Value, path); err != nil {
			problems = append(problems, &engine.FormatError{Format: "configuration", Path: path, Item: p.Key, Reason: errors.Unwrap(err).Error()})
		}
	}
	return errors.Join(problems...)
}

func settingKeys() string {
	var k []string
	for _, s := range settings {
		k = append(k, s.key)
	}
	return strings.Join(k, ", ")
}

// Validate returns every problem of c, joined.
func (c *Config) Validate() error {
	var problems []error
	oneOf := func(key, v string, allowed ...string) {
		if !slices.Contains(allowed, v) {
			problems = append(problems, fmt.Errorf("%s: %q is not one of %s", c.where(key), clip(v), strings.TrimPrefix(strings.Join(allowed, ", "), ", ")))
		}
	}
	oneOf("dtype", c.DType, "", "f32", "bf16", "i8", "i4")
	oneOf("kernels", c.Kernels, "", "portable", "avx2", "avx512", "avx512bf16", "amx", "neon")
	oneOf("log_level", c.LogLevel, "debug", "info", "warn", "error")
	oneOf("gl", c.GL, "auto", "software")
	if c.Threads < 0 || c.Threads > maxThreads {
		problems = append(problems, fmt.Errorf("%s: %d is outside [0, %d]", c.where("threads"), c.Threads, maxThreads))
	}
	if _, err := deviceCommand(c.Device); err != nil {
		problems = append(problems, fmt.Errorf("%s: %w", c.where("device"), err))
	}
	if c.DataDir == "" {
		problems = append(problems, fmt.Errorf("%s: is empty", c.where("data_dir")))
	}
	for _, p := range []struct{ key, v string }{{"model", c.Model}, {"device", c.Device}, {"data_dir", c.DataDir}} {
		if strings.ContainsRune(p.v, 0) {
			problems = append(problems, fmt.Errorf("%s: has a zero byte in it", c.where(p.key)))
		}
	}
	return errors.Join(problems...)
}

// where names the source of a setting for an error line.
func (c *Config) where(key string) string {
	o := c.Origin[key]
	if o == "" || strings.HasPrefix(o, "--") || strings.HasPrefix(o, "UNMASK_") {
		return strings.TrimSpace(o + " " + key)
	}
	return fmt.Sprintf("configuration: %s: %q", o, key)
}

// level is the log level of c; c has been validated.
func (c *Config) level() slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return slog.LevelWarn
	}
	return l
}

// getenv reads the environment of the program; no other file does.
func getenv(k string) string { return os.Getenv(k) }

// displayEnv is what the environment says about a display. Fyne panics where both variables of a Linux desktop are unset,
// so this is looked at before it starts.
func displayEnv() (found bool, why string) {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return true, ""
	}
	if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return false, "neither DISPLAY nor WAYLAND_DISPLAY is set"
	}
	return true, ""
}

// displayName is the display that a window would open on, for people.
func displayName() string {
	if w := os.Getenv("WAYLAND_DISPLAY"); w != "" {
		return w
	}
	return os.Getenv("DISPLAY")
}

// childEnv is the environment of a process of our own, with some variables set.
func childEnv(set ...string) []string { return append(os.Environ(), set...) }

// useMode makes this process open windows in the way that the preflight has tried.
func useMode(m windowMode) error {
	if m.software {
		if err := os.Setenv("LIBGL_ALWAYS_SOFTWARE", "1"); err != nil {
			return err
		}
	}
	if m.info.Platform == "x11" && os.Getenv("FYNE_PLATFORM") == "" {
		return os.Setenv("FYNE_PLATFORM", "x11")
	}
	return nil
}
