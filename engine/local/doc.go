// Package local is the Session of this process: it loads a checkpoint onto a backend, turns a job into a sequence, runs
// the loop over it, and turns what comes out into events, text and pictures.
package local
