package glview

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/go-gl/gl/v3.3-core/gl"

	"unmask/ui/glview/glctx"
)

// checked reports the first GL error after each call that can make one with our arguments.
type checked struct {
	glAPI
	t testing.TB
}

func (c checked) check(call string, args ...any) {
	if e := c.glAPI.GetError(); e != gl.NO_ERROR {
		c.t.Errorf("GL error 0x%04X after %s(%v)", e, call, fmt.Sprint(args...))
	}
}

func (c checked) BufferData(t uint32, size int, data unsafe.Pointer, usage uint32) {
	c.glAPI.BufferData(t, size, data, usage)
	c.check("BufferData", size)
}

func (c checked) DrawArraysInstanced(mode uint32, first, count, instances int32) {
	c.glAPI.DrawArraysInstanced(mode, first, count, instances)
	c.check("DrawArraysInstanced", instances)
}

func (c checked) TexImage2D(t uint32, level, internal, w, h int32, format, kind uint32, p unsafe.Pointer) {
	c.glAPI.TexImage2D(t, level, internal, w, h, format, kind, p)
	c.check("TexImage2D", w, h)
}

func (c checked) ReadPixels(x, y, w, h int32, format, kind uint32, p unsafe.Pointer) {
	c.glAPI.ReadPixels(x, y, w, h, format, kind, p)
	c.check("ReadPixels", w, h)
}

func (c checked) VertexAttribPointer(i uint32, size int32, kind uint32, stride int32, offset uintptr) {
	c.glAPI.VertexAttribPointer(i, size, kind, stride, offset)
	c.check("VertexAttribPointer", i)
}

func (c checked) UseProgram(p uint32) {
	c.glAPI.UseProgram(p)
	c.check("UseProgram", p)
}

// NewCheckedGL is OpenGL with every call's error checked.
func NewCheckedGL(t testing.TB) (*GL, error) {
	ctx, err := glctx.New()
	if err != nil {
		return nil, err
	}
	if err := gl.InitWithProcAddrFunc(ctx.ProcAddr); err != nil {
		ctx.Close()
		return nil, err
	}
	return newGL(ctx, checked{glCore{}, t})
}
