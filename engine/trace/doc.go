// Package trace is the run file: everything that happened in one run, in a form that can be shown at any step without a
// model, run again, and compared. docs/run-file.md describes it for other programs.
//
// A [Writer] takes the events of a run as they come. [Read] gives them back, from a run file or from a PNG that carries
// one (see [EncodePNG]). A file that was cut off, by a kill or a full disk, gives the steps that it has.
package trace
