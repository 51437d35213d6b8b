// Package engine is the contract between everything that denoises and everything that shows it.
//
// A [Session] owns one loaded model on one device and turns a [Job] into a stream of [Event] values. Inside a session a
// [Process] (usually engine/denoise) drives a [Denoiser] (engine/models) with a [Sampler] (engine/sample) and yields one
// [Step] a forward pass. This package imports only the standard library; it holds types and errors, no arithmetic.
//
// Words are those of docs/architecture.md: L positions, n wanted positions, B rows, V vocabulary.
package engine
