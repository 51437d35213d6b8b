// Package theme dresses Fyne in the program's colours, sizes and icons.
package theme

import (
	"image/color"

	"fyne.io/fyne/v2"
	fynetheme "fyne.io/fyne/v2/theme"

	"unmask/assets/icons"
	"unmask/ui/palette"
)

// Sizes of text and controls, in device-independent units, beside those that Fyne has names for.
const (
	TextTitle   = 24 // bold, first start
	TextHeading = 18 // bold
	TextToken   = 15 // tokens in Chat, on lines of LineToken
	TextBody    = 14
	TextDense   = 13 // labels and buttons
	TextNumber  = 12 // monospace
	TextCaption = 11
	TextCounter = 18 // monospace, the step counter

	LineToken  = 26
	Control    = 32 // height of controls
	MainAction = 40 // height of the main action and the composer

	GapXS, GapS, GapM, GapL, GapXL, GapXXL = 4, 8, 12, 16, 24, 32

	RadiusCell, RadiusToken, RadiusInput, RadiusCard, RadiusDialog = 3, 4, 6, 8, 10
)

// Names of colours that Fyne has no name for; the theme answers them.
const (
	ColorCanvas    fyne.ThemeColorName = "canvas"
	ColorPanel     fyne.ThemeColorName = "panel"
	ColorRaised    fyne.ThemeColorName = "raised"
	ColorSelected  fyne.ThemeColorName = "selected"
	ColorText2     fyne.ThemeColorName = "text2"
	ColorMask      fyne.ThemeColorName = "mask"
	ColorMaskLight fyne.ThemeColorName = "maskLight"
	ColorLimeFill  fyne.ThemeColorName = "limeFill"
	ColorOnLime    fyne.ThemeColorName = "onLime"
)

// Mode says which variant is shown.
type Mode int

// The modes.
const (
	System Mode = iota // what the system says
	Dark
	Light
)

// Theme is the program's theme. The zero value follows the system.
type Theme struct {
	Mode     Mode
	Contrast bool // lines and masks are easier to see
}

var _ fyne.Theme = Theme{}

// dark resolves the variant that Fyne asks for.
func (t Theme) dark(v fyne.ThemeVariant) bool {
	switch t.Mode {
	case Dark:
		return true
	case Light:
		return false
	default:
		return v != fynetheme.VariantLight
	}
}

func (t Theme) palette(v fyne.ThemeVariant) *palette.Palette {
	return palette.With(t.dark(v), t.Contrast)
}

// Color implements [fyne.Theme].
func (t Theme) Color(n fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	p := t.palette(v)
	if c, ok := lookup(p, n); ok {
		return c
	}
	variant := fynetheme.VariantDark
	if !p.Dark {
		variant = fynetheme.VariantLight
	}
	return fynetheme.DefaultTheme().Color(n, variant)
}

// size: one row a name of Fyne.
func lookup(p *palette.Palette, n fyne.ThemeColorName) (color.NRGBA, bool) {
	switch n {
	case fynetheme.ColorNameBackground:
		return p.Window, true
	case fynetheme.ColorNameHeaderBackground, ColorPanel:
		return p.Panel, true
	case fynetheme.ColorNameButton, fynetheme.ColorNameDisabledButton, fynetheme.ColorNameInputBackground,
		fynetheme.ColorNameMenuBackground, fynetheme.ColorNameOverlayBackground, ColorRaised:
		return p.Raised, true
	case fynetheme.ColorNamePressed, ColorSelected:
		return p.Selected, true
	case fynetheme.ColorNameHover:
		return palette.Alpha(p.Selected, .6), true
	case fynetheme.ColorNameSeparator, fynetheme.ColorNameInnerWindowBorder, fynetheme.ColorNameInnerWindowBorderInactive:
		return p.Line, true
	case fynetheme.ColorNameInputBorder:
		return p.Border, true
	case fynetheme.ColorNameForeground:
		return p.Text, true
	case fynetheme.ColorNamePlaceHolder, ColorText2:
		return p.Text2, true
	case fynetheme.ColorNameDisabled:
		return p.Disabled, true
	case fynetheme.ColorNamePrimary, fynetheme.ColorNameHyperlink, fynetheme.ColorNameFocus:
		return p.LimeInk, true
	case fynetheme.ColorNameForegroundOnPrimary:
		return p.OnLimeInk, true
	case fynetheme.ColorNameSelection:
		return palette.Alpha(p.LimeInk, .3), true
	case fynetheme.ColorNameError:
		return p.Error, true
	case fynetheme.ColorNameWarning:
		return p.Warning, true
	case fynetheme.ColorNameSuccess:
		return p.Done, true
	case fynetheme.ColorNameForegroundOnError, fynetheme.ColorNameForegroundOnWarning, fynetheme.ColorNameForegroundOnSuccess:
		if p.Dark {
			return p.OnLime, true
		}
		return p.Raised, true
	case fynetheme.ColorNameScrollBar:
		return palette.Alpha(p.Text2, .5), true
	case fynetheme.ColorNameScrollBarBackground, fynetheme.ColorNameShadow:
		return color.NRGBA{}, true
	case ColorCanvas:
		return p.Canvas, true
	case ColorMask:
		return p.Mask, true
	case ColorMaskLight:
		return p.MaskLight, true
	case ColorLimeFill:
		return p.LimeFill, true
	case ColorOnLime:
		return p.OnLime, true
	}
	return color.NRGBA{}, false
}

// Size implements [fyne.Theme].
func (t Theme) Size(n fyne.ThemeSizeName) float32 {
	switch n {
	case fynetheme.SizeNameText:
		return TextBody
	case fynetheme.SizeNameHeadingText:
		return TextHeading
	case fynetheme.SizeNameSubHeadingText:
		return TextToken
	case fynetheme.SizeNameCaptionText:
		return TextCaption
	case fynetheme.SizeNamePadding:
		return GapXS
	case fynetheme.SizeNameInnerPadding:
		return 6
	case fynetheme.SizeNameInputRadius, fynetheme.SizeNameButtonRadius, fynetheme.SizeNameSelectionRadius:
		return RadiusInput
	case fynetheme.SizeNameCardRadius, fynetheme.SizeNamePopupRadius, fynetheme.SizeNameMenuRadius:
		return RadiusCard
	case fynetheme.SizeNameDialogRadius:
		return RadiusDialog
	case fynetheme.SizeNameSeparatorThickness, fynetheme.SizeNameInputBorder:
		return 1
	case fynetheme.SizeNameSplitThickness:
		return 1
	case fynetheme.SizeNameModalBlurRadius:
		return 0
	}
	return fynetheme.DefaultTheme().Size(n)
}

// Font implements [fyne.Theme]: Fyne's own fonts.
func (t Theme) Font(s fyne.TextStyle) fyne.Resource { return fynetheme.DefaultTheme().Font(s) }

// Icon implements [fyne.Theme]: Fyne's own icons.
func (t Theme) Icon(n fyne.ThemeIconName) fyne.Resource { return fynetheme.DefaultTheme().Icon(n) }

// Run dresses the main action of a screen in the lime fill; every other colour is that of the theme it wraps. Put one
// button into container.NewThemeOverride with it and give the button HighImportance.
type Run struct{ Theme }

// Color implements [fyne.Theme].
func (t Run) Color(n fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	p := t.palette(v)
	switch n {
	case fynetheme.ColorNamePrimary:
		return p.LimeFill
	case fynetheme.ColorNameForegroundOnPrimary:
		return p.OnLime
	}
	return t.Theme.Color(n, v)
}

// Current is the palette of the running app: that of its Theme, or by the system's variant under another theme.
func Current() *palette.Palette {
	app := fyne.CurrentApp()
	if app == nil {
		return &palette.Dark
	}
	return For(app.Settings().Theme(), app.Settings().ThemeVariant())
}

// For is the palette that theme t shows in variant v.
func For(t fyne.Theme, v fyne.ThemeVariant) *palette.Palette {
	switch t := t.(type) {
	case Theme:
		return t.palette(v)
	case Run:
		return t.palette(v)
	}
	return palette.For(v != fynetheme.VariantLight)
}

// resources are made once: Fyne caches drawings by resource name.
var resources = func() map[string]fyne.Resource {
	m := map[string]fyne.Resource{}
	for _, n := range icons.Names {
		m[n] = fynetheme.NewThemedResource(fyne.NewStaticResource(n+".svg", icons.SVG(n)))
	}
	for _, n := range []string{"icon", "icon-small", "mark-dark", "mark-light"} {
		m[n] = fyne.NewStaticResource(n+".svg", icons.SVG(n))
	}
	return m
}()

// Icon is the symbol called name (see icons.Names), recoloured with the theme, or "icon", "icon-small", "mark-dark",
// "mark-light" in their own colours. Unknown names are our bugs and panic.
func Icon(name string) fyne.Resource {
	r, ok := resources[name]
	if !ok {
		panic("theme: icon " + name + " is unknown")
	}
	return r
}

// Mark is the program's sign for the current variant.
func Mark() fyne.Resource {
	if Current().Dark {
		return Icon("mark-dark")
	}
	return Icon("mark-light")
}
