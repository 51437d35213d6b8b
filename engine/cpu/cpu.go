// Package cpu is the backend of every machine: portable Go, and vector kernels where the processor has them.
//
// A product is cut into tiles of mr rows by nr columns. Weights are packed once, by [Backend.Pack], into panels of nr
// columns; activations are packed a product, into strips of up to mr rows. A kernel set (portable, avx2, avx512, amx) is a
// table of tile and row functions; everything above the tile is written once.
//
// Results do not depend on the number of threads, and a row's result does not depend on the rows beside it: every
// element is summed over K by one accumulator in ascending order, whatever tile it falls into.
package cpu

import (
	"errors"
	"fmt"
	"runtime"

	"unmask/engine"
	"unmask/engine/tensor"
)

// Options choose how a backend computes. The zero value takes the fastest kernels on all cores.
type Options struct {
	// Kernels is the name of a kernel set of [Kernels]; "" takes the fastest that this processor runs.
	Kernels string
	// Threads is the number of cores to use; 0 means all that the process may use.
	Threads int
}

// Backend implements [tensor.Backend] in this process. It is not safe for concurrent use; it runs its own workers.
type Backend struct {
	kern   *kernels
	pool   *pool
	job    job
	err    error
	closed bool
	mem    memory
	rope   []*ropeTable
}

var _ tensor.Backend = (*Backend)(nil)

// New starts a backend and its workers. The error is an [engine.UnsupportedError] or [engine.ParamError] when o asks for
// what this machine does not have. Close stops the workers.
func New(o Options) (*Backend, error) {
	if o.Threads < 0 || o.Threads > maxThreads {
		return nil, &engine.ParamError{Name: "threads", Value: float64(o.Threads), Min: 0, Max: maxThreads}
	}
	k, err := choose(o.Kernels)
	if err != nil {
		return nil, err
	}
	n := o.Threads
	if n == 0 {
		n = min(runtime.GOMAXPROCS(0), maxThreads)
	}
	b := &Backend{kern: k, pool: newPool(n)}
	b.mem.b = b
	return b, nil
}

const maxThreads = 256

// Device describes the processor, the kernel set in use and the memory that is free now.
func (b *Backend) Device() tensor.Device {
	return tensor.Device{
		Kind:    "cpu",
		Name:    processorName(),
		Kernels: b.kern.name,
		Threads: len(b.pool.workers),
		Memory:  freeMemory(),
	}
}

// Sync returns at once: operations are finished when they return.
func (b *Backend) Sync() {}

// Err returns the first failure.
func (b *Backend) Err() error { return b.err }

// Close stops the workers and drops all memory. A second Close does nothing.
func (b *Backend) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	b.pool.close()
	b.mem = memory{b: b}
	b.rope = nil
	b.fail(errors.New("cpu: the backend is closed"))
	return nil
}

// fail keeps the first failure.
func (b *Backend) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// wrong panics with what is wrong: shapes are the caller's to get right.
func wrong(op, format string, args ...any) {
	panic("cpu: " + op + ": " + fmt.Sprintf(format, args...))
}
