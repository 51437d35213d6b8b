// Package remote is an [engine.Session] in another process: [Session] is its client, [Serve] the worker's side.
//
// The two speak in frames over one stream of bytes, a socket that the client hands to the worker or the standard streams of
// a command such as "ssh host unmask-engined". Only jobs, token ids, a few numbers a change, and pictures cross it; logits
// never do.
//
// # Frames
//
// A frame is five big-endian numbers of 4 bytes, then meta, then blob:
//
//	magic  F5 'U' 'M' 'W'; F5 is in no UTF-8 text
//	kind   what it is
//	call   the number of the request that it belongs to
//	meta   length, up to 16 MiB: JSON, or the binary form of a step
//	blob   length, up to 256 MiB: pixels, as the pictures of meta lay them out
//
// The client sends hello, the worker answers hello; both carry the version, and a worker of another version is not used. Then
// the client sends one request after the other and reads frames until the one that ends the request: probed, loaded, unloaded,
// done, or failed. While a request is under way it may send cancel with the request's number. A worker that reads the end of
// the stream stops what it does and ends.
package remote
