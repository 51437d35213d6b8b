package cpu

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// pool is a fixed set of workers that park on a channel between jobs. The caller of run is worker 0. Units of a job are
// handed out by a counter, so a worker that the system has taken off its core does not hold up the rest, and one that
// wakes after the job is done finds nothing and parks again.
type pool struct {
	workers []*worker
	wake    chan struct{}
	done    chan struct{}
	stop    sync.WaitGroup
	// state is generation<<48 | units<<24 | next. A unit belongs to whoever moves next past it; the generation keeps a
	// late worker from claiming with a state that it read a job ago.
	state   atomic.Uint64
	pending atomic.Int64
	job     *job
	failed  atomic.Pointer[any]
}

// maxUnits bounds the units of one job: 24 bits of pool.state.
const maxUnits = 1<<24 - 1

// worker is the memory that one worker owns; it grows to the largest job seen and stays.
type worker struct {
	_      [64]byte // keep workers off each other's cache lines
	tile   []float32
	packA  []float32
	packB  []float32
	row    []float32
	norm   []float32
	packC  []float32
	inner  []float32
	hidden []float32
	run    tileRun
	pick   pickScratch
	_      [64]byte
}

// grow returns buf with n elements, aligned to a cache line. Contents are undefined.
func grow(buf *[]float32, n int) []float32 {
	if cap(*buf) < n {
		*buf = alignedFloats(n + n/4)
	}
	return (*buf)[:n]
}

func newPool(n int) *pool {
	p := &pool{wake: make(chan struct{}, n), done: make(chan struct{}, 1)}
	for range n {
		p.workers = append(p.workers, new(worker))
	}
	p.stop.Add(n - 1)
	for _, w := range p.workers[1:] {
		go p.serve(w) // close waits for it
	}
	return p
}

func (p *pool) serve(w *worker) {
	defer p.stop.Done()
	debug.SetPanicOnFault(true) // of this goroutine: weights are packed from mapped files, which may be cut short meanwhile
	for range p.wake {
		if p.work(w) {
			p.done <- struct{}{}
		}
	}
}

// run does units 0..units-1 of j and returns when all are done. A panic of a unit is raised again here.
func (p *pool) run(j *job, units int) {
	if units <= 0 {
		return
	}
	if units > maxUnits {
		wrong("pool", "%d units, at most %d", units, maxUnits)
	}
	if len(p.workers) == 1 || units == 1 {
		for i := range units {
			j.fn(j, p.workers[0], i)
		}
		return
	}
	p.job = j
	p.pending.Store(int64(units))
	p.state.Store((p.state.Load()>>48+1)<<48 | uint64(units)<<24)
	for range min(len(p.workers), units) - 1 {
		select {
		case p.wake <- struct{}{}:
		default: // enough are on their way
		}
	}
	if !p.work(p.workers[0]) {
		<-p.done
	}
	if e := p.failed.Swap(nil); e != nil {
		panic(*e)
	}
}

// work claims units until none is left. It reports whether it finished the last one of the job.
func (p *pool) work(w *worker) bool {
	for {
		s := p.state.Load()
		i, units := s&maxUnits, s>>24&maxUnits
		if i >= units {
			return false
		}
		if !p.state.CompareAndSwap(s, s+1) {
			continue
		}
		p.unit(w, int(i))
		if p.pending.Add(-1) == 0 {
			return true
		}
	}
}

func (p *pool) unit(w *worker, i int) {
	defer func() {
		if e := recover(); e != nil {
			kept := e // on the heap only here
			p.failed.CompareAndSwap(nil, &kept)
		}
	}()
	p.job.fn(p.job, w, i)
}

func (p *pool) close() {
	close(p.wake)
	p.stop.Wait()
}
