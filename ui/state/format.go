package state

import (
	"time"

	"unmask/ui/figures"
)

// Plural writes "1 run", "5 runs".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return figures.Count(n) + " " + noun + "s"
}

// When writes a moment as the session list does: "now", "14:02", "yesterday", "Sun", "3 Nov", "3 Nov 2025".
func When(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	day := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 12, 0, 0, 0, time.UTC) }
	switch days := int(day(now).Sub(day(t)).Hours() / 24); {
	case now.Sub(t) >= 0 && now.Sub(t) < time.Minute:
		return "now"
	case days <= 0:
		return t.Format("15:04")
	case days == 1:
		return "yesterday"
	case days < 7:
		return t.Format("Mon")
	case t.Year() == now.Year():
		return t.Format("2 Jan")
	default:
		return t.Format("2 Jan 2006")
	}
}

func trimInt(n int) string { return figures.Count(n) }
