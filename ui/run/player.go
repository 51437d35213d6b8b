package run

import "time"

// MaxStepsPerSecond caps replay at speed 1, so that fast runs can be seen.
const MaxStepsPerSecond = 12

// Speeds are the speeds of replay, slowest first.
var Speeds = []float64{0.25, 0.5, 1, 2, 4, 8}

// Player says which step of a run is shown. It is a plain value driven by a clock that the caller reads: Tick moves it.
// It starts following the run.
type Player struct {
	Speed   float64 // factor on the recorded times; 0 means 1
	playing bool
	held    bool // a person moved the play head: do not follow
	step    int
	since   time.Duration // time already spent at step
}

// Step is the step to show for a run of n steps made so far.
func (p *Player) Step(n int) int {
	if !p.held {
		return n
	}
	return min(p.step, n)
}

// Following reports whether the play head is the run's newest step.
func (p *Player) Following() bool { return !p.held }

// Playing reports whether Tick moves the play head.
func (p *Player) Playing() bool { return p.held && p.playing }

// Follow lets the play head go with the run again.
func (p *Player) Follow() { p.held, p.playing = false, false }

// Seek shows step, at once and without playing on.
func (p *Player) Seek(step int) {
	p.held, p.playing, p.step, p.since = true, false, max(step, 0), 0
}

// Toggle plays from the play head, or pauses. At the end of a finished run it plays from the start.
func (p *Player) Toggle(r *Run) {
	if p.Playing() {
		p.playing = false
		return
	}
	at := p.Step(r.Len())
	if at >= r.Len() {
		if !r.Done() {
			// Pausing a view that follows: hold here while the run goes on behind.
			p.Seek(at)
			return
		}
		at = 0
	}
	p.held, p.playing, p.step, p.since = true, true, at, 0
}

// Faster and Slower move Speed by one entry of Speeds.
func (p *Player) Faster() { p.shift(1) }

// Slower is the opposite of Faster.
func (p *Player) Slower() { p.shift(-1) }

func (p *Player) shift(d int) {
	at := 0
	for i, s := range Speeds {
		if s <= p.speed() {
			at = i
		}
	}
	p.Speed = Speeds[min(max(at+d, 0), len(Speeds)-1)]
}

func (p *Player) speed() float64 {
	if p.Speed <= 0 {
		return 1
	}
	return p.Speed
}

// Tick lets dt of the clock pass and reports whether the step shown changed. A player that catches up with a run that
// still goes follows it again; at the end of a finished run it stops.
func (p *Player) Tick(r *Run, dt time.Duration) bool {
	if !p.Playing() {
		return false
	}
	before := p.step
	p.since += dt
	for p.step < r.Len() {
		need := p.stay(r, p.step)
		if p.since < need {
			break
		}
		p.since -= need
		p.step++
	}
	if p.step >= r.Len() {
		if r.Done() {
			p.playing, p.since = false, 0
		} else {
			p.Follow()
		}
	}
	return p.step != before
}

// stay is how long step n is shown before the next: as long as the next one took, at least 1/MaxStepsPerSecond, by speed.
func (p *Player) stay(r *Run, n int) time.Duration {
	d := max(r.info[n].Took, time.Second/MaxStepsPerSecond)
	return time.Duration(float64(d) / p.speed())
}
