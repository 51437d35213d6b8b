// Package locale makes the environment name a language before Fyne looks at it. Fyne 2.8 reads the locale while its
// package lang is initialised, before main, and logs an error for "C.UTF-8", which is what Ubuntu's servers and
// containers set. So this package does its work in init and imports next to nothing: the linker initialises packages that
// are ready in order of their paths (cmd/link, inittask.go), and lang waits for net/http, whose vendored packages sort
// after this one. A test of the command line fails if that ever changes.
package locale

import (
	"os"
	"strings"
)

func init() { name() }

// name sets LANGUAGE, which Fyne prefers, where the locale names no language. The character set stays as it is: text input
// under X needs it.
func name() {
	effective := ""
	for _, k := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if effective = os.Getenv(k); effective != "" {
			break
		}
	}
	if strings.HasPrefix(effective, "C.") && os.Getenv("LANGUAGE") == "" {
		os.Setenv("LANGUAGE", "en_US")
	}
}
