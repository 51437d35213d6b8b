package icons

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"io"
	"strings"
	"testing"
)

// TestSymbols checks that each symbol parses, is 24 by 24, and keeps to what the window's SVG reader draws.
func TestSymbols(t *testing.T) {
	entries, err := files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	if want := len(Names) + 5; len(entries) != want {
		t.Errorf("%d files, want %d", len(entries), want)
	}
	for _, n := range Names {
		b := SVG(n)
		if !bytes.Contains(b, []byte(`viewBox="0 0 24 24"`)) {
			t.Errorf("%s: not 24 by 24", n)
		}
		for _, bad := range []string{"transform", "fill-rule", "stroke", "<g"} {
			if strings.Contains(string(b), bad) {
				t.Errorf("%s: %q is not drawn", n, bad)
			}
		}
		for d := xml.NewDecoder(bytes.NewReader(b)); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Errorf("%s: %v", n, err)
				break
			}
		}
	}
	c, err := png.DecodeConfig(bytes.NewReader(PNG()))
	if err != nil || c.Width != 512 || c.Height != 512 {
		t.Errorf("icon.png: %v %dx%d", err, c.Width, c.Height)
	}
}
