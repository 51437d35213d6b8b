// Package figures writes numbers for people, the same way everywhere: three significant digits, the unit after a space,
// thousands with commas, "–" for what is unknown.
package figures

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Unknown stands where a number is not known. It is never 0.
const Unknown = "–"

// Duration is d as "64.1 ms" below a tenth of a second, "0.94 s", "12.3 s", and "1 min 20 s" from a minute on.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return Unknown
	case d < 100*time.Millisecond:
		return digits(float64(d)/1e6) + " ms"
	case d < time.Minute:
		return digits(d.Seconds()) + " s"
	}
	s := int(math.Round(d.Seconds()))
	if s < 3600 {
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	}
	return fmt.Sprintf("%d h %d min", s/3600, s%3600/60)
}

// Left is a time left for people: one decimal below ten seconds.
func Left(d time.Duration) string {
	if d >= 0 && d < 10*time.Second {
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s left"
	}
	return Duration(d.Round(time.Second)) + " left"
}

// Rate is tokens a second: "31.2 tok/s".
func Rate(v float64) string {
	if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return Unknown
	}
	return digits(v) + " tok/s"
}

// Bytes is n in GB of 10^9 bytes, as on disk labels, and in MB below one.
func Bytes(n int64) string {
	switch {
	case n < 0:
		return Unknown
	case n >= 1e9:
		return digits(float64(n)/1e9) + " GB"
	default:
		return digits(float64(n)/1e6) + " MB"
	}
}

// Count is n whole, with commas: "126,464".
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

// Prob is a probability or a margin with two places and no leading zero: ".48", "1".
func Prob(p float32) string {
	switch {
	case math.IsNaN(float64(p)):
		return Unknown
	case p >= .995:
		return "1"
	case p < 0:
		p = 0
	}
	return strings.TrimPrefix(strconv.FormatFloat(float64(p), 'f', 2, 32), "0")
}

// Nats is an entropy: "1.6 nats".
func Nats(h float32) string {
	if math.IsNaN(float64(h)) {
		return Unknown
	}
	return strconv.FormatFloat(float64(h), 'f', 1, 32) + " nats"
}

// digits has three significant digits and no exponent.
func digits(v float64) string {
	a := math.Abs(v)
	switch {
	case a >= 99.95:
		return Count(int(math.Round(v)))
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a == 0:
		return "0"
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
