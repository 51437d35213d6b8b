package state

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Unknown is what stands where a number is not known.
const Unknown = "–"

// Three writes v with three significant digits, without thousands marks below 1,000.
func Three(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return Unknown
	case a >= 99.95:
		return Count(int(math.Round(v)))
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// Count writes a whole number with thousands commas.
func Count(n int) string {
	s := strconv.Itoa(n)
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if neg {
		return "-" + s
	}
	return s
}

// Plural writes "1 run", "5 runs".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Count(n) + " " + noun + "s"
}

// Time writes a duration for people: "64.1 ms", "0.94 s", "12.3 s", "1 min 20 s", "2 h 5 min".
func Time(d time.Duration) string {
	s := d.Seconds()
	switch {
	case d <= 0:
		return Unknown
	case s < 0.0995:
		return Three(s*1000) + " ms"
	case s < 59.95:
		return Three(s) + " s"
	case s < 3600-0.5:
		n := int(math.Round(s))
		return fmt.Sprintf("%d min %d s", n/60, n%60)
	default:
		n := int(math.Round(s / 60))
		return fmt.Sprintf("%d h %d min", n/60, n%60)
	}
}

// Left writes a time that is left, in tenths below ten seconds: "1.4 s", "41 s", "2 min 5 s".
func Left(d time.Duration) string {
	s := d.Seconds()
	switch {
	case s < 9.95:
		return strconv.FormatFloat(max(s, 0), 'f', 1, 64) + " s"
	case s < 59.5:
		return strconv.Itoa(int(math.Round(s))) + " s"
	default:
		return Time(d)
	}
}

// Bytes writes a size as on disk labels: 10^9 is 1 GB.
func Bytes(n int64) string {
	switch v := float64(n); {
	case v >= 1e9:
		return Three(v/1e9) + " GB"
	case v >= 1e6:
		return Three(v/1e6) + " MB"
	default:
		return Three(v/1e3) + " kB"
	}
}

// Rate writes tokens a second: "31.2 tok/s".
func Rate(v float64) string {
	if v <= 0 {
		return Unknown
	}
	return Three(v) + " tok/s"
}

// Share writes a probability, a margin or an agreement: two places, no sign.
func Share(v float64) string {
	if math.IsNaN(v) {
		return Unknown
	}
	return strconv.FormatFloat(math.Abs(v), 'f', 2, 64)
}

// When writes a time of day or a day as the session list does: "14:02", "yesterday", "Sun", "3 Nov", "3 Nov 2025".
func When(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	day := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 12, 0, 0, 0, time.UTC) }
	switch days := int(day(now).Sub(day(t)).Hours()/24 + 0.5); {
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
