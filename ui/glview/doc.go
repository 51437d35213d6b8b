// Package glview draws the denoising canvas: every token of a run, text and picture alike, as it is unmasked.
//
// The frame is a pure value. A [Scene] says where each position stands, an [Anim] says what each looks like at a time, and
// together they give a [Frame] of boxes, words and pictures. A [Renderer] draws frames and knows nothing of tokens: OpenGL
// 3.3 off screen, or its exact twin in software. Animation is a function of time, never of a count of frames. Nothing here
// needs a window, a display or a toolkit, so recorded runs are exported by the same code that shows them live.
package glview
