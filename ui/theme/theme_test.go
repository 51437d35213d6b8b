package theme

import (
	"image/color"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"
	fynetheme "fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"unmask/assets/icons"
	"unmask/ui/palette"
)

func same(a, b color.Color) bool {
	r1, g1, b1, a1 := a.RGBA()
	r2, g2, b2, a2 := b.RGBA()
	return r1 == r2 && g1 == g2 && b1 == b2 && a1 == a2
}

func TestVariants(t *testing.T) {
	for _, c := range []struct {
		m    Mode
		v    fyne.ThemeVariant
		want *palette.Palette
	}{
		{System, fynetheme.VariantDark, &palette.Dark}, {System, fynetheme.VariantLight, &palette.Light},
		{Dark, fynetheme.VariantLight, &palette.Dark}, {Light, fynetheme.VariantDark, &palette.Light},
	} {
		th := Theme{Mode: c.m}
		if !same(th.Color(fynetheme.ColorNameBackground, c.v), c.want.Window) {
			t.Errorf("mode %d variant %d: background is not that of dark=%v", c.m, c.v, c.want.Dark)
		}
		if For(th, c.v) != c.want || For(Run{th}, c.v) != c.want {
			t.Errorf("mode %d variant %d: For", c.m, c.v)
		}
		if !same(Run{th}.Color(fynetheme.ColorNamePrimary, c.v), c.want.LimeFill) {
			t.Errorf("mode %d variant %d: the run button is not lime", c.m, c.v)
		}
	}
}

// TestDraws draws a button and each own icon, and fails where an icon leaves no pixel.
func TestDraws(t *testing.T) {
	app := test.NewTempApp(t)
	app.Settings().SetTheme(Theme{Mode: Dark})
	for _, n := range icons.Names {
		w := test.NewTempWindow(t, widget.NewIcon(Icon(n)))
		w.SetPadded(false)
		w.Resize(fyne.NewSize(24, 24))
		img := w.Canvas().Capture()
		lit := 0
		for y := range img.Bounds().Dy() {
			for x := range img.Bounds().Dx() {
				if r, _, _, _ := img.At(x, y).RGBA(); r > 0x8000 {
					lit++
				}
			}
		}
		if lit < 15 || lit > 500 {
			t.Errorf("%s: %d of 576 pixels lit", n, lit)
		}
	}
	b := widget.NewButton("Run", nil)
	b.Importance = widget.HighImportance
	w := test.NewTempWindow(t, container.NewThemeOverride(b, Run{Theme{Mode: Dark}}))
	w.Resize(fyne.NewSize(100, 50))
	img := w.Canvas().Capture()
	if !same(img.At(20, 25), palette.Dark.LimeFill) {
		t.Errorf("the run button is %v", img.At(20, 25))
	}
}
