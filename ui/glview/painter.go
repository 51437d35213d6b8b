package glview

import (
	"image"
	"log/slog"
	"runtime"
	"sync"
)

// Painter draws frames on a thread of its own, which owns the renderer for life, so that no slow driver ever blocks a
// window. Its methods may be called from any goroutine.
type Painter struct {
	tasks chan task
	wait  sync.WaitGroup
	log   *slog.Logger

	mu     sync.Mutex
	info   string
	soft   bool
	why    string
	closed bool
}

type task struct {
	f    *Frame
	dst  *image.RGBA
	done func(error)
}

// NewPainter starts a painter. open is called on its thread; when it fails, and when its renderer fails later, frames are
// drawn in software from then on and log gets one warning. Close ends it.
func NewPainter(open func() (Renderer, error), log *slog.Logger) *Painter {
	p := &Painter{tasks: make(chan task, 16), log: log, info: "…"}
	p.wait.Add(1)
	go p.loop(open) // Close waits
	return p
}

// Paint draws f into dst and then calls done on the painter's thread; f and dst are not to be touched until then. It does
// not block, and reports false, without calling done, when the painter is closed or has too much to do.
func (p *Painter) Paint(f *Frame, dst *image.RGBA, done func(error)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	select {
	case p.tasks <- task{f, dst, done}:
		return true
	default:
		return false
	}
}

// Info says what draws, for the status bar.
func (p *Painter) Info() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.info
}

// Software reports whether frames are drawn in software, and why GL was given up; why is empty when it was never wanted.
func (p *Painter) Software() (soft bool, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.soft, p.why
}

// Close draws what was asked for and ends the painter. It blocks until the thread is done.
func (p *Painter) Close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.tasks)
	}
	p.mu.Unlock()
	p.wait.Wait()
}

func (p *Painter) set(r Renderer, why string) {
	_, soft := r.(*Soft)
	p.mu.Lock()
	p.info, p.soft, p.why = r.Info(), soft, why
	p.mu.Unlock()
}

func (p *Painter) loop(open func() (Renderer, error)) {
	defer p.wait.Done()
	runtime.LockOSThread() // never unlocked: a GL context dies with its thread
	r, err := open()
	if err != nil {
		p.log.Warn("no GL, drawing in software", "err", err)
		r = NewSoft()
		p.set(r, err.Error())
	} else {
		p.set(r, "")
	}
	for t := range p.tasks {
		err := r.Draw(t.f, t.dst)
		if _, soft := r.(*Soft); err != nil && !soft {
			p.log.Warn("GL failed, drawing in software from now on", "err", err)
			_ = r.Close() // the context is lost; its error says nothing new
			r = NewSoft()
			p.set(r, err.Error())
			err = r.Draw(t.f, t.dst)
		}
		t.done(err)
	}
	if err := r.Close(); err != nil {
		p.log.Warn("closing the renderer", "err", err)
	}
}
