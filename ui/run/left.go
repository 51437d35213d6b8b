package run

import (
	"slices"
	"time"
)

// Left estimates the time left of a run for people: from the median of the last eight steps, after the third step, at
// most twice a second, and never growing by less than a fifth, so that the number does not flicker. The zero value is
// ready.
type Left struct {
	shown time.Duration
	at    time.Duration
	set   bool
}

// Update returns the time left at clock time now (any monotonic origin), and false while it is unknown.
func (l *Left) Update(r *Run, now time.Duration) (time.Duration, bool) {
	if r.Done() || r.Len() < 3 || r.Planned() <= r.Len() {
		l.set = false
		return 0, false
	}
	if l.set && now-l.at < time.Second/2 {
		return l.shown, true
	}
	left := median(r.info[max(0, r.Len()-8):]) * time.Duration(r.Planned()-r.Len())
	if l.set && left > l.shown && float64(left) < 1.2*float64(l.shown) {
		left = l.shown
	}
	l.shown, l.at, l.set = left, now, true
	return left, true
}

func median(in []StepInfo) time.Duration {
	d := make([]time.Duration, len(in))
	for i := range in {
		d[i] = in[i].Took
	}
	slices.Sort(d)
	return d[len(d)/2]
}

// Rate is the tokens unmasked a second of forward and select time over the last eight steps, 0 while unknown.
func (r *Run) Rate() float64 {
	in := r.info[max(0, len(r.info)-8):]
	var n int
	var d time.Duration
	for i := range in {
		n += in[i].Unmasked
		d += in[i].Took
	}
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}
