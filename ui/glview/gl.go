package glview

import (
	"fmt"
	"image"
	"image/color"
	"slices"
	"strings"
	"unsafe"

	"github.com/go-gl/gl/v3.3-core/gl"

	"unmask/shaders"
	"unmask/ui/glview/glctx"
	"unmask/ui/paint"
)

// Floats of an instance of a box and of a word.
const (
	boxFloats  = 16
	wordFloats = 12
)

// keepTextures is how many pictures and atlases stay on the device: those of the views of a window and their last ones.
const keepTextures = 12

// GL draws frames with OpenGL 3.3 core into a frame buffer of its own and reads them back. It lives on the thread that
// made it.
type GL struct {
	ctx  glctx.Context
	gl   glAPI
	info string

	box, word, picture program
	square             uint32 // buffer of the unit square
	frame, target      uint32 // frame buffer and its texture
	w, h               int
	textures           []texture
	data               []float32
}

type program struct {
	id, array, instances uint32
	uniforms             map[string]int32
}

// texture is something of the caller's on the device.
type texture struct {
	key     any // *image.RGBA or *Atlas
	version int
	id      uint32
}

// OpenGL makes a GL renderer on the calling thread, to which the caller's goroutine must be locked for good. The error says
// why there is none.
func OpenGL() (Renderer, error) {
	ctx, err := glctx.New()
	if err != nil {
		return nil, fmt.Errorf("open GL: %w", err)
	}
	if err := gl.InitWithProcAddrFunc(ctx.ProcAddr); err != nil {
		ctx.Close()
		return nil, fmt.Errorf("open GL: %s: %w", ctx.Name(), err)
	}
	r, err := newGL(ctx, glCore{})
	if err != nil {
		ctx.Close()
		return nil, fmt.Errorf("open GL: %s: %w", ctx.Name(), err)
	}
	return r, nil
}

func newGL(ctx glctx.Context, api glAPI) (*GL, error) {
	r := &GL{ctx: ctx, gl: api}
	version, _, _ := strings.Cut(api.GetString(gl.VERSION), " ")
	device, _, _ := strings.Cut(api.GetString(gl.RENDERER), " (")
	r.info = "GL " + version + " " + device
	api.Disable(gl.DITHER)
	api.Disable(gl.DEPTH_TEST)
	api.Disable(gl.CULL_FACE)
	api.PixelStorei(gl.UNPACK_ALIGNMENT, 1)
	api.PixelStorei(gl.PACK_ALIGNMENT, 1)
	r.square = api.GenBuffer()
	api.BindBuffer(gl.ARRAY_BUFFER, r.square)
	corners := [...]float32{0, 0, 1, 0, 0, 1, 1, 1}
	api.BufferData(gl.ARRAY_BUFFER, len(corners)*4, unsafe.Pointer(&corners[0]), gl.STATIC_DRAW)
	for _, p := range []struct {
		dst    *program
		src    shaders.Program
		floats int
	}{{&r.box, shaders.Box, boxFloats}, {&r.word, shaders.Word, wordFloats}, {&r.picture, shaders.Image, 0}} {
		if err := r.build(p.dst, p.src, p.floats); err != nil {
			r.destroy()
			return nil, err
		}
	}
	if e := api.GetError(); e != gl.NO_ERROR {
		r.destroy()
		return nil, fmt.Errorf("GL error 0x%04X while starting", e)
	}
	return r, nil
}

// build compiles and links a program and declares its attributes: the corner, then one vec4 after another an instance.
func (r *GL) build(p *program, src shaders.Program, floats int) error {
	p.id = r.gl.CreateProgram()
	for _, s := range []struct {
		kind uint32
		text string
		name string
	}{{gl.VERTEX_SHADER, src.Vertex, ".vert"}, {gl.FRAGMENT_SHADER, src.Fragment, ".frag"}} {
		id := r.gl.CreateShader(s.kind)
		defer r.gl.DeleteShader(id)
		r.gl.ShaderSource(id, s.text)
		r.gl.CompileShader(id)
		if r.gl.GetShaderiv(id, gl.COMPILE_STATUS) == gl.FALSE {
			return fmt.Errorf("shader %s%s: %s", src.Name, s.name, strings.TrimSpace(r.gl.GetShaderInfoLog(id)))
		}
		r.gl.AttachShader(p.id, id)
	}
	r.gl.LinkProgram(p.id)
	if r.gl.GetProgramiv(p.id, gl.LINK_STATUS) == gl.FALSE {
		return fmt.Errorf("shader %s: %s", src.Name, strings.TrimSpace(r.gl.GetProgramInfoLog(p.id)))
	}
	p.uniforms = map[string]int32{}
	for _, u := range src.Uniforms {
		at := r.gl.GetUniformLocation(p.id, u)
		if at < 0 {
			return fmt.Errorf("shader %s: uniform %q is not in the linked program", src.Name, u)
		}
		p.uniforms[u] = at
	}
	p.array = r.gl.GenVertexArray()
	r.gl.BindVertexArray(p.array)
	r.gl.BindBuffer(gl.ARRAY_BUFFER, r.square)
	r.gl.EnableVertexAttribArray(shaders.Corner)
	r.gl.VertexAttribPointer(shaders.Corner, 2, gl.FLOAT, 8, 0)
	p.instances = r.gl.GenBuffer()
	r.gl.BindBuffer(gl.ARRAY_BUFFER, p.instances)
	for i := range floats / 4 {
		at := uint32(shaders.Instance + i)
		r.gl.EnableVertexAttribArray(at)
		r.gl.VertexAttribPointer(at, 4, gl.FLOAT, int32(floats*4), uintptr(i*16))
		r.gl.VertexAttribDivisor(at, 1)
	}
	return nil
}

// Info implements [Renderer].
func (r *GL) Info() string { return r.info }

// Draw implements [Renderer].
func (r *GL) Draw(f *Frame, dst *image.RGBA) error {
	if dst.Rect.Dx() != f.W || dst.Rect.Dy() != f.H || dst.Rect.Min != (image.Point{}) || dst.Stride != 4*f.W {
		return fmt.Errorf("GL renderer: frame of %d by %d pixels into a picture of %v", f.W, f.H, dst.Rect)
	}
	if err := r.resize(f.W, f.H); err != nil {
		return err
	}
	g := r.gl
	g.BindFramebuffer(gl.FRAMEBUFFER, r.frame)
	g.Viewport(0, 0, int32(f.W), int32(f.H))
	g.ClearColor(float32(f.Back.R)/255, float32(f.Back.G)/255, float32(f.Back.B)/255, 1)
	g.Clear(gl.COLOR_BUFFER_BIT)
	g.Enable(gl.BLEND)
	g.BlendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA)
	r.boxes(f, f.Below)
	g.Disable(gl.BLEND)
	for i := range f.Pictures {
		r.drawPicture(f, &f.Pictures[i])
	}
	g.Enable(gl.BLEND)
	r.boxes(f, f.Boxes)
	for i := range f.Layers {
		r.words(f, &f.Layers[i])
	}
	r.boxes(f, f.Over)
	g.ReadPixels(0, 0, int32(f.W), int32(f.H), gl.RGBA, gl.UNSIGNED_BYTE, unsafe.Pointer(&dst.Pix[0]))
	if e := g.GetError(); e != gl.NO_ERROR {
		return fmt.Errorf("GL error 0x%04X", e)
	}
	return nil
}

func (r *GL) resize(w, h int) error {
	if r.frame != 0 && r.w == w && r.h == h {
		return nil
	}
	g := r.gl
	if r.frame == 0 {
		r.frame, r.target = g.GenFramebuffer(), g.GenTexture()
	}
	g.BindTexture(gl.TEXTURE_2D, r.target)
	r.nearest()
	g.TexImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, int32(w), int32(h), gl.RGBA, gl.UNSIGNED_BYTE, nil)
	g.BindFramebuffer(gl.FRAMEBUFFER, r.frame)
	g.FramebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, r.target, 0)
	if s := g.CheckFramebufferStatus(gl.FRAMEBUFFER); s != gl.FRAMEBUFFER_COMPLETE {
		return fmt.Errorf("GL frame buffer of %d by %d pixels: status 0x%04X", w, h, s)
	}
	r.w, r.h = w, h
	return nil
}

func (r *GL) nearest() {
	for _, p := range [][2]uint32{{gl.TEXTURE_MIN_FILTER, gl.NEAREST}, {gl.TEXTURE_MAG_FILTER, gl.NEAREST},
		{gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE}, {gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE}} {
		r.gl.TexParameteri(gl.TEXTURE_2D, p[0], int32(p[1]))
	}
}

// instanced draws r.data as instances of a program.
func (r *GL) instanced(p *program, f *Frame, floats int) {
	g := r.gl
	g.UseProgram(p.id)
	g.Uniform2f(p.uniforms[shaders.Frame], float32(f.W), float32(f.H))
	g.BindVertexArray(p.array)
	g.BindBuffer(gl.ARRAY_BUFFER, p.instances)
	g.BufferData(gl.ARRAY_BUFFER, len(r.data)*4, unsafe.Pointer(&r.data[0]), gl.STREAM_DRAW)
	g.DrawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, int32(len(r.data)/floats))
}

func (r *GL) boxes(f *Frame, boxes []paint.Box) {
	r.data = r.data[:0]
	for i := range boxes {
		b := &boxes[i]
		if b.W <= 0 || b.H <= 0 {
			continue
		}
		r.data = append(r.data, b.X, b.Y, b.W, b.H, b.Radius, b.Width, float32(b.Shape), 0)
		r.data = appendColor(r.data, b.Fill)
		r.data = appendColor(r.data, b.Line)
	}
	if len(r.data) > 0 {
		r.instanced(&r.box, f, boxFloats)
	}
}

func (r *GL) words(f *Frame, l *Layer) {
	if len(l.Words) == 0 {
		return
	}
	r.data = r.data[:0]
	for i := range l.Words {
		w := &l.Words[i]
		r.data = append(r.data, float32(w.X), float32(w.Y), float32(w.Place.Dx()), float32(w.Place.Dy()),
			float32(w.Place.Min.X), float32(w.Place.Min.Y), 0, 0)
		r.data = appendColor(r.data, w.Color)
	}
	m := l.Atlas.Mask
	r.bind(l.Atlas, l.Atlas.Version, func() {
		r.gl.TexImage2D(gl.TEXTURE_2D, 0, gl.R8, int32(m.Rect.Dx()), int32(m.Rect.Dy()), gl.RED, gl.UNSIGNED_BYTE, unsafe.Pointer(&m.Pix[0]))
	})
	r.gl.UseProgram(r.word.id)
	r.gl.Uniform1i(r.word.uniforms[shaders.Atlas], 0)
	r.instanced(&r.word, f, wordFloats)
}

func (r *GL) drawPicture(f *Frame, p *Picture) {
	m := p.Image
	w, h := m.Rect.Dx(), m.Rect.Dy()
	if w == 0 || h == 0 {
		return
	}
	r.bind(m, 0, func() {
		r.gl.TexImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, int32(w), int32(h), gl.RGBA, gl.UNSIGNED_BYTE, unsafe.Pointer(&m.Pix[0]))
	})
	g := r.gl
	g.UseProgram(r.picture.id)
	g.Uniform2f(r.picture.uniforms[shaders.Frame], float32(f.W), float32(f.H))
	g.Uniform4f(r.picture.uniforms[shaders.Rect], float32(p.X), float32(p.Y), float32(w), float32(h))
	g.Uniform1i(r.picture.uniforms[shaders.Picture], 0)
	g.BindVertexArray(r.picture.array)
	g.DrawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, 1)
}

// bind makes the texture of key current, uploading it when it is new or changed. The least recently used one goes when
// there are too many.
func (r *GL) bind(key any, version int, upload func()) {
	g := r.gl
	g.ActiveTexture(gl.TEXTURE0)
	i := slices.IndexFunc(r.textures, func(t texture) bool { return t.key == key })
	var t texture
	if i >= 0 {
		t = r.textures[i]
		r.textures = slices.Delete(r.textures, i, i+1)
		g.BindTexture(gl.TEXTURE_2D, t.id)
	} else {
		if len(r.textures) >= keepTextures {
			g.DeleteTexture(r.textures[0].id)
			r.textures = slices.Delete(r.textures, 0, 1)
		}
		t = texture{key: key, version: -1, id: g.GenTexture()}
		g.BindTexture(gl.TEXTURE_2D, t.id)
		r.nearest()
	}
	if t.version != version {
		upload()
		t.version = version
	}
	r.textures = append(r.textures, t)
}

func (r *GL) destroy() {
	g := r.gl
	for _, p := range []*program{&r.box, &r.word, &r.picture} {
		if p.id != 0 {
			g.DeleteProgram(p.id)
		}
		if p.array != 0 {
			g.DeleteVertexArray(p.array)
			g.DeleteBuffer(p.instances)
		}
	}
	for _, t := range r.textures {
		g.DeleteTexture(t.id)
	}
	if r.frame != 0 {
		g.DeleteFramebuffer(r.frame)
		g.DeleteTexture(r.target)
	}
	g.DeleteBuffer(r.square)
}

// Close implements [Renderer].
func (r *GL) Close() error {
	r.destroy()
	r.ctx.Close()
	return nil
}

func appendColor(dst []float32, c color.NRGBA) []float32 {
	return append(dst, float32(c.R)/255, float32(c.G)/255, float32(c.B)/255, float32(c.A)/255)
}
