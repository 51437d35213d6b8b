package glview

import (
	"unsafe"

	"github.com/go-gl/gl/v3.3-core/gl"
)

// glAPI lists the GL functions that the renderer uses, so that tests can put a checking layer between.
type glAPI interface {
	ActiveTexture(unit uint32)
	AttachShader(program, shader uint32)
	BindBuffer(target, buffer uint32)
	BindFramebuffer(target, framebuffer uint32)
	BindTexture(target, texture uint32)
	BindVertexArray(array uint32)
	BlendFunc(src, dst uint32)
	BufferData(target uint32, size int, data unsafe.Pointer, usage uint32)
	CheckFramebufferStatus(target uint32) uint32
	Clear(mask uint32)
	ClearColor(r, g, b, a float32)
	CompileShader(shader uint32)
	CreateProgram() uint32
	CreateShader(kind uint32) uint32
	DeleteBuffer(buffer uint32)
	DeleteFramebuffer(framebuffer uint32)
	DeleteProgram(program uint32)
	DeleteShader(shader uint32)
	DeleteTexture(texture uint32)
	DeleteVertexArray(array uint32)
	Disable(capability uint32)
	DrawArraysInstanced(mode uint32, first, count, instances int32)
	Enable(capability uint32)
	EnableVertexAttribArray(index uint32)
	FramebufferTexture2D(target, attachment, kind, texture uint32, level int32)
	GenBuffer() uint32
	GenFramebuffer() uint32
	GenTexture() uint32
	GenVertexArray() uint32
	GetError() uint32
	GetProgramInfoLog(program uint32) string
	GetProgramiv(program, name uint32) int32
	GetShaderInfoLog(shader uint32) string
	GetShaderiv(shader, name uint32) int32
	GetString(name uint32) string
	GetUniformLocation(program uint32, name string) int32
	LinkProgram(program uint32)
	PixelStorei(name uint32, value int32)
	ReadPixels(x, y, w, h int32, format, kind uint32, pixels unsafe.Pointer)
	ShaderSource(shader uint32, source string)
	TexImage2D(target uint32, level, internal, w, h int32, format, kind uint32, pixels unsafe.Pointer)
	TexParameteri(target, name uint32, value int32)
	Uniform1i(location, v int32)
	Uniform2f(location int32, x, y float32)
	Uniform4f(location int32, x, y, z, w float32)
	UseProgram(program uint32)
	VertexAttribDivisor(index, divisor uint32)
	VertexAttribPointer(index uint32, size int32, kind uint32, stride int32, offset uintptr)
	Viewport(x, y, w, h int32)
}

// glCore is the table of functions of go-gl, which is loaded once a process.
type glCore struct{}

func (glCore) ActiveTexture(unit uint32)              { gl.ActiveTexture(unit) }
func (glCore) AttachShader(p, s uint32)               { gl.AttachShader(p, s) }
func (glCore) BindBuffer(t, b uint32)                 { gl.BindBuffer(t, b) }
func (glCore) BindFramebuffer(t, f uint32)            { gl.BindFramebuffer(t, f) }
func (glCore) BindTexture(t, x uint32)                { gl.BindTexture(t, x) }
func (glCore) BindVertexArray(a uint32)               { gl.BindVertexArray(a) }
func (glCore) BlendFunc(s, d uint32)                  { gl.BlendFunc(s, d) }
func (glCore) CheckFramebufferStatus(t uint32) uint32 { return gl.CheckFramebufferStatus(t) }
func (glCore) Clear(m uint32)                         { gl.Clear(m) }
func (glCore) ClearColor(r, g, b, a float32)          { gl.ClearColor(r, g, b, a) }
func (glCore) CompileShader(s uint32)                 { gl.CompileShader(s) }
func (glCore) CreateProgram() uint32                  { return gl.CreateProgram() }
func (glCore) CreateShader(k uint32) uint32           { return gl.CreateShader(k) }
func (glCore) DeleteBuffer(b uint32)                  { gl.DeleteBuffers(1, &b) }
func (glCore) DeleteFramebuffer(f uint32)             { gl.DeleteFramebuffers(1, &f) }
func (glCore) DeleteProgram(p uint32)                 { gl.DeleteProgram(p) }
func (glCore) DeleteShader(s uint32)                  { gl.DeleteShader(s) }
func (glCore) DeleteTexture(t uint32)                 { gl.DeleteTextures(1, &t) }
func (glCore) DeleteVertexArray(a uint32)             { gl.DeleteVertexArrays(1, &a) }
func (glCore) Disable(c uint32)                       { gl.Disable(c) }
func (glCore) Enable(c uint32)                        { gl.Enable(c) }
func (glCore) EnableVertexAttribArray(i uint32)       { gl.EnableVertexAttribArray(i) }
func (glCore) GetError() uint32                       { return gl.GetError() }
func (glCore) LinkProgram(p uint32)                   { gl.LinkProgram(p) }
func (glCore) PixelStorei(n uint32, v int32)          { gl.PixelStorei(n, v) }
func (glCore) TexParameteri(t, n uint32, v int32)     { gl.TexParameteri(t, n, v) }
func (glCore) Uniform1i(l, v int32)                   { gl.Uniform1i(l, v) }
func (glCore) Uniform2f(l int32, x, y float32)        { gl.Uniform2f(l, x, y) }
func (glCore) Uniform4f(l int32, x, y, z, w float32)  { gl.Uniform4f(l, x, y, z, w) }
func (glCore) UseProgram(p uint32)                    { gl.UseProgram(p) }
func (glCore) VertexAttribDivisor(i, d uint32)        { gl.VertexAttribDivisor(i, d) }
func (glCore) Viewport(x, y, w, h int32)              { gl.Viewport(x, y, w, h) }
func (glCore) GetString(name uint32) string           { return gl.GoStr(gl.GetString(name)) }

func (glCore) BufferData(t uint32, size int, data unsafe.Pointer, usage uint32) {
	gl.BufferData(t, size, data, usage)
}

func (glCore) DrawArraysInstanced(mode uint32, first, count, instances int32) {
	gl.DrawArraysInstanced(mode, first, count, instances)
}

func (glCore) FramebufferTexture2D(t, a, k, x uint32, level int32) {
	gl.FramebufferTexture2D(t, a, k, x, level)
}

func (glCore) GenBuffer() (b uint32) { gl.GenBuffers(1, &b); return b }

func (glCore) GenFramebuffer() (f uint32) { gl.GenFramebuffers(1, &f); return f }

func (glCore) GenTexture() (t uint32) { gl.GenTextures(1, &t); return t }

func (glCore) GenVertexArray() (a uint32) { gl.GenVertexArrays(1, &a); return a }

func (glCore) GetProgramiv(p, name uint32) (v int32) { gl.GetProgramiv(p, name, &v); return v }

func (glCore) GetShaderiv(s, name uint32) (v int32) { gl.GetShaderiv(s, name, &v); return v }

func (c glCore) GetProgramInfoLog(p uint32) string {
	n := c.GetProgramiv(p, gl.INFO_LOG_LENGTH)
	if n < 1 {
		return ""
	}
	b := make([]byte, n)
	gl.GetProgramInfoLog(p, n, nil, &b[0])
	return gl.GoStr(&b[0])
}

func (c glCore) GetShaderInfoLog(s uint32) string {
	n := c.GetShaderiv(s, gl.INFO_LOG_LENGTH)
	if n < 1 {
		return ""
	}
	b := make([]byte, n)
	gl.GetShaderInfoLog(s, n, nil, &b[0])
	return gl.GoStr(&b[0])
}

func (glCore) GetUniformLocation(p uint32, name string) int32 {
	return gl.GetUniformLocation(p, gl.Str(name+"\x00"))
}

func (glCore) ReadPixels(x, y, w, h int32, format, kind uint32, pixels unsafe.Pointer) {
	gl.ReadPixels(x, y, w, h, format, kind, pixels)
}

func (glCore) ShaderSource(s uint32, source string) {
	src, free := gl.Strs(source + "\x00")
	defer free()
	gl.ShaderSource(s, 1, src, nil)
}

func (glCore) TexImage2D(t uint32, level, internal, w, h int32, format, kind uint32, pixels unsafe.Pointer) {
	gl.TexImage2D(t, level, internal, w, h, 0, format, kind, pixels)
}

func (glCore) VertexAttribPointer(i uint32, size int32, kind uint32, stride int32, offset uintptr) {
	gl.VertexAttribPointerWithOffset(i, size, kind, false, stride, offset)
}
