// Package weights reads checkpoints: named tensors and the small files beside them, mapped read-only and not copied.
//
// [OpenDir] takes a folder or a file, [OpenFS] an embedded file system. The formats are the rows of [Formats]. Every size
// and offset of a file is checked before it is used; a broken file gives an [engine.FormatError] that names the file, the
// item and both numbers.
package weights
