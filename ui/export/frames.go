// Package export turns a recorded run into an animation or a still: the denoising canvas as a window shows it, made without
// window, display or GPU. The same run and options give the same bytes on every machine of a kind.
package export

import (
	"errors"
	"fmt"
	"image"
	"iter"
	"strings"
	"time"

	"unmask/ui/figures"
	"unmask/ui/glview"
	"unmask/ui/palette"
	"unmask/ui/run"
)

// ErrEmpty says that a run has nothing to show: it never started.
var ErrEmpty = errors.New("the run has no steps to show")

// Options say what an export looks like. The zero value of a field means its default.
type Options struct {
	Config   glview.Config   // Width and Height must be set
	FPS      int             // frames a second while something moves; 0: 15, at most 50
	Length   time.Duration   // the steps are played faster when they would take longer; 0: 12 s
	Hold     time.Duration   // how long the end stays; 0: 2 s
	Title    string          // above the canvas on the left; with it the step is counted and progress is drawn
	Fit      bool            // Config.Height is the most: frames are as high as the last line needs
	Renderer glview.Renderer // nil: software
}

// Default are the options for a run of any task: text as words on a width for reading, a picture as a square, both side by
// side; the title is the prompt. fonts may be nil.
func Default(r *run.Run, fonts *glview.Fonts, dark bool) Options {
	o := Options{Fit: true, Config: glview.Config{Width: 640, Height: 1200, Dark: dark, View: palette.Confidence, Text: glview.Words, Margin: 16, Fonts: fonts}}
	if r == nil || r.Started() == nil {
		return o
	}
	if m := r.Started().Job.Messages; len(m) > 0 {
		o.Title = strings.Join(strings.Fields(m[len(m)-1].Text), " ")
	}
	st := r.At(0)
	written := st.Image.Len() > 0 && st.Image.Lo < st.Answer.Hi && st.Answer.Lo < st.Image.Hi
	switch {
	case written && st.Answer.Len()-st.Image.Len() <= 2:
		o.Config.Width, o.Config.Height, o.Config.View, o.Config.Text = 416, 460, palette.Picture, glview.NoText
		o.Fit = false
	case st.Image.Len() > 0:
		o.Config.Width, o.Config.Height, o.Config.View = 880, 420, palette.Tokens
	}
	return o
}

// Limits of an export, against broken options.
const (
	maxFPS    = 50
	maxFrames = 3000
)

func (o *Options) fill() error {
	if o.FPS == 0 {
		o.FPS = 15
	}
	if o.Length <= 0 {
		o.Length = 12 * time.Second
	}
	if o.Hold <= 0 {
		o.Hold = 2 * time.Second
	}
	if o.FPS < 1 || o.FPS > maxFPS {
		return fmt.Errorf("%d frames a second; 1 to %d are possible", o.FPS, maxFPS)
	}
	if n := int(o.Length.Seconds() * float64(o.FPS)); n > maxFrames {
		return fmt.Errorf("%v at %d frames a second are %d frames; at most %d are made", o.Length, o.FPS, n, maxFrames)
	}
	if o.Renderer == nil {
		o.Renderer = glview.NewSoft()
	}
	return nil
}

// Frame is one picture of an animation and how long it stays. Image is reused for the next.
type Frame struct {
	Image *image.RGBA
	Delay time.Duration
	Step  int
}

// stage draws states of one run.
type stage struct {
	o     *Options
	r     *run.Run
	scene *glview.Scene
	anim  *glview.Anim
	frame glview.Frame
	img   *image.RGBA
}

func newStage(r *run.Run, o *Options) (*stage, error) {
	if r == nil || r.Started() == nil {
		return nil, ErrEmpty
	}
	if o.Title != "" {
		o.Config.Captions = caption(o.Title, 0, r)
	}
	s, err := layOut(r, o.Config)
	if err != nil {
		return nil, err
	}
	if o.Fit && s.Bottom() > 0 {
		below := 2 * o.Config.Margin
		if o.Title != "" {
			below += 16
		}
		o.Config.Height = min(o.Config.Height, s.Bottom()+int(below*max(o.Config.Scale, 1)))
		if s, err = layOut(r, o.Config); err != nil {
			return nil, err
		}
	}
	return &stage{o: o, r: r, scene: s, anim: glview.NewAnim(s), img: image.NewRGBA(image.Rect(0, 0, o.Config.Width, o.Config.Height))}, nil
}

func layOut(r *run.Run, c glview.Config) (*glview.Scene, error) {
	s, err := glview.NewScene(c)
	if err != nil {
		return nil, err
	}
	s.SetRun(r)
	return s, s.Update()
}

func caption(title string, step int, r *run.Run) glview.Captions {
	n := max(r.Len(), 1)
	return glview.Captions{Left: title, Right: fmt.Sprintf("step %s of %s", figures.Count(step), figures.Count(r.Len())),
		Progress: float32(step) / float32(n)}
}

// draw draws time t of the animation into the stage's picture.
func (g *stage) draw(step int, t time.Duration) error {
	if g.o.Title != "" {
		g.scene.SetCaptions(caption(g.o.Title, step, g.r))
	}
	if err := glview.Compose(&g.frame, g.scene, g.anim, t); err != nil {
		return err
	}
	return g.o.Renderer.Draw(&g.frame, g.img)
}

// Frames plays r from its start to its end. Each step stays as long as it took, at least 1/12 s, all shortened in equal
// measure to fit Options.Length. Single use; the error, if any, is the last pair.
func Frames(r *run.Run, o Options) iter.Seq2[Frame, error] {
	return func(yield func(Frame, error) bool) {
		if err := frames(r, o, yield); err != nil {
			yield(Frame{}, err)
		}
	}
}

func frames(r *run.Run, o Options, yield func(Frame, error) bool) error {
	if err := o.fill(); err != nil {
		return err
	}
	g, err := newStage(r, &o)
	if err != nil {
		return err
	}
	times, took := schedule(r, o.Length)
	// GIF counts hundredths of a second: frames that are whole hundredths keep time in every format.
	tick := (time.Second / time.Duration(o.FPS)).Round(10 * time.Millisecond)
	shown := -1
	end := times[len(times)-1] + 500*time.Millisecond // the last flash settles
	for t := time.Duration(0); t < end; t += tick {
		step := max(shown, 0)
		for step < r.Len() && times[step+1] <= t {
			step++
		}
		if step != shown {
			st := r.At(step)
			g.anim.SetLive(step < r.Len())
			g.anim.Show(&st, t, shown >= 0, took)
			shown = step
		}
		if err := g.draw(step, t); err != nil {
			return err
		}
		if !yield(Frame{g.img, tick, step}, nil) {
			return nil
		}
	}
	// The end, settled and still.
	st := r.At(r.Len())
	g.anim.SetLive(false)
	g.anim.Show(&st, end, false, 0)
	if err := g.draw(r.Len(), end); err != nil {
		return err
	}
	yield(Frame{g.img, o.Hold, r.Len()}, nil)
	return nil
}

// schedule is when each state begins (times[n] is that of step n) and how long a step is shown at the least.
func schedule(r *run.Run, length time.Duration) (times []time.Duration, least time.Duration) {
	const start = 600 * time.Millisecond // the masks alone
	times = make([]time.Duration, r.Len()+1)
	total := time.Duration(0)
	for n := 1; n <= r.Len(); n++ {
		total += max(r.Infos()[n-1].Took, time.Second/run.MaxStepsPerSecond)
	}
	k := 1.0
	if room := length - start; total > room && room > 0 {
		k = float64(room) / float64(total)
	}
	at := start
	least = time.Hour
	for n := 1; n <= r.Len(); n++ {
		times[n] = at
		d := time.Duration(k * float64(max(r.Infos()[n-1].Took, time.Second/run.MaxStepsPerSecond)))
		at += d
		least = min(least, d)
	}
	return times, least
}

// Still draws the state after step, clamped, at rest.
func Still(r *run.Run, step int, o Options) (*image.RGBA, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	g, err := newStage(r, &o)
	if err != nil {
		return nil, err
	}
	step = min(max(step, 0), r.Len())
	st := r.At(step)
	g.anim.Show(&st, 0, false, 0)
	if err := g.draw(step, 0); err != nil {
		return nil, err
	}
	return g.img, nil
}
