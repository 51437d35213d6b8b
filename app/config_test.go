package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func noEnv(string) string { return "" }

func envOf(m map[string]string) func(string) string { return func(k string) string { return m[k] } }

func writeTemp(t *testing.T, name, text string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestConfigSourcesInOrder(t *testing.T) {
	file := writeTemp(t, "config.json", `{"threads": 3, "dtype": "f32", "log_level": "info", "demo": false}`)
	c, err := loadConfig(file, map[string]string{"log_level": "debug"}, envOf(map[string]string{"UNMASK_DTYPE": "bf16", "UNMASK_LOG": "error"}))
	if err != nil {
		t.Fatal(err)
	}
	if c.Threads != 3 || c.DType != "bf16" || c.LogLevel != "debug" || c.Demo || c.GL != "auto" {
		t.Errorf("config is %+v", c)
	}
	for key, want := range map[string]string{"threads": file, "dtype": "UNMASK_DTYPE", "log_level": "--log-level", "gl": ""} {
		if c.Origin[key] != want {
			t.Errorf("origin of %s is %q, want %q", key, c.Origin[key], want)
		}
	}
}

func TestConfigFileMayBeMissingUnlessNamed(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.json")
	if _, err := loadConfig(missing, nil, noEnv); err == nil {
		t.Error("a named file that is missing is accepted")
	}
	if _, err := loadConfig("", nil, envOf(map[string]string{"UNMASK_CONFIG": missing})); err == nil {
		t.Error("a file named by UNMASK_CONFIG that is missing is accepted")
	}
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	if _, err := loadConfig("", nil, noEnv); err != nil {
		t.Errorf("no file at the usual place: %v", err)
	}
}

// TestHostileConfig checks that every problem of a file is named, with the file and the item.
func TestHostileConfig(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"unknown keys":   {`{"treads": 2, "colour": "red"}`, []string{`"treads": unknown key`, `"colour": unknown key`}},
		"all at once":    {`{"threads": -1, "dtype": "f64", "log_level": "loud", "gl": 7}`, []string{"-1 is outside [0, 1024]", `"f64" is not one of f32, bf16`, `"loud"`, `"7"`}},
		"wrong type":     {`{"threads": "two", "model": ["a"], "demo": {}}`, []string{`"two" is not a whole number`, `"model": want a string`, `"demo": want a string`}},
		"null":           {`{"model": null}`, []string{`"model": want a string`}},
		"given twice":    {`{"threads": 1, "threads": 2}`, []string{`"threads": is given twice`}},
		"not an object":  {`[1, 2]`, []string{"is not a JSON object"}},
		"empty":          {``, []string{"is not a JSON object"}},
		"cut off":        {`{"threads": 1`, []string{"not closed"}},
		"cut in a value": {`{"threads": `, []string{`"threads"`}},
		"more after it":  {`{} {}`, []string{"something after"}},
		"empty folder":   {`{"data_dir": ""}`, []string{"data_dir", "is empty"}},
		"zero byte":      {`{"model": "a\u0000b"}`, []string{"zero byte"}},
		"huge number":    {`{"threads": 1e99}`, []string{"not a whole number"}},
		"long key":       {`{"` + strings.Repeat("k", 5000) + `": 1}`, []string{"unknown key"}},
		"deep":           {`{"model": ` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, []string{`"model"`}},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeTemp(t, "config.json", c.text)
			_, err := loadConfig(file, nil, noEnv)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range append(c.want, file) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error lacks %q: %v", want, err)
				}
			}
			if len(err.Error()) > 2000 {
				t.Errorf("error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestConfigTooLarge(t *testing.T) {
	file := writeTemp(t, "config.json", `{"model": "`+strings.Repeat("x", maxConfigBytes)+`"}`)
	if _, err := loadConfig(file, nil, noEnv); err == nil || !strings.Contains(err.Error(), "1048576") {
		t.Errorf("loadConfig: %v", err)
	}
}

func TestBadEnvironmentNamesItsVariable(t *testing.T) {
	_, err := loadConfig("", nil, envOf(map[string]string{"UNMASK_THREADS": "many", "UNMASK_GL": "vulkan"}))
	if err == nil || !strings.Contains(err.Error(), "UNMASK_THREADS") || !strings.Contains(err.Error(), "UNMASK_GL") {
		t.Errorf("loadConfig: %v", err)
	}
}

// TestSettingsAreComplete checks that a setting's flag, variable and key are its own and that it is shown as it was set.
func TestSettingsAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range settings {
		for _, name := range []string{s.key, s.env, s.flag() + " flag"} {
			if seen[name] {
				t.Errorf("%q is used twice", name)
			}
			seen[name] = true
		}
		for _, v := range []string{"7", "true"} {
			var c Config
			if s.set(&c, v) == nil && s.show(&c) != v && s.key != "demo" {
				t.Errorf("%s set to %q shows %q", s.key, v, s.show(&c))
			}
		}
	}
}
