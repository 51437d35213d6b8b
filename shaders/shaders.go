// Package shaders holds the program's GLSL, one purpose a pair of files, and the names of its uniforms.
package shaders

import (
	_ "embed"
)

// Program is a vertex and a fragment shader for GL 3.3 core and the uniforms that both have together, in the order in
// which [Program.Uniforms] are looked up.
type Program struct {
	Name             string
	Vertex, Fragment string
	Uniforms         []string
}

// Names of uniforms.
const (
	Frame   = "frame"   // vec2: width and height of the target in pixels
	Rect    = "rect"    // vec4: x, y, width, height in pixels
	Atlas   = "atlas"   // sampler2D: coverage of words
	Picture = "picture" // sampler2D: a picture
)

// Locations of the vertex attributes. The first is the corner of the unit square, the others belong to an instance.
const (
	Corner   = 0
	Instance = 1
)

//go:embed box.vert
var boxVert string

//go:embed box.frag
var boxFrag string

//go:embed word.vert
var wordVert string

//go:embed word.frag
var wordFrag string

//go:embed picture.vert
var pictureVert string

//go:embed picture.frag
var pictureFrag string

// The programs of the denoising canvas.
var (
	// Box draws instances of four vec4: rectangle; radius, line width, shape; fill; line.
	Box = Program{"box", boxVert, boxFrag, []string{Frame}}
	// Word draws instances of three vec4: rectangle; place in the atlas; ink.
	Word = Program{"word", wordVert, wordFrag, []string{Frame, Atlas}}
	// Image draws one picture.
	Image = Program{"picture", pictureVert, pictureFrag, []string{Frame, Rect, Picture}}
)

// All lists the programs.
var All = []Program{Box, Word, Image}
