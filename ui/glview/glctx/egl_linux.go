//go:build linux && cgo

package glctx

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// What is needed of EGL 1.5 is declared here, so that neither its headers nor its library are needed to build or start.
typedef void *EGLDisplay, *EGLContext, *EGLConfig, *EGLSurface, *EGLDeviceEXT;
typedef int32_t EGLint;
typedef unsigned int EGLBoolean, EGLenum;

enum {
	EGL_NONE = 0x3038, EGL_EXTENSIONS = 0x3055, EGL_SURFACE_TYPE = 0x3033, EGL_PBUFFER_BIT = 1, EGL_RENDERABLE_TYPE = 0x3040,
	EGL_OPENGL_BIT = 8, EGL_OPENGL_API = 0x30A2, EGL_CONTEXT_MAJOR_VERSION = 0x3098, EGL_CONTEXT_MINOR_VERSION = 0x30FB,
	EGL_CONTEXT_OPENGL_PROFILE_MASK = 0x30FD, EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT = 1, EGL_WIDTH = 0x3057, EGL_HEIGHT = 0x3056,
	EGL_PLATFORM_DEVICE_EXT = 0x313F, EGL_PLATFORM_SURFACELESS_MESA = 0x31DD,
};

static struct {
	void *lib;
	void *(*getProcAddress)(const char *);
	EGLDisplay (*getDisplay)(void *);
	EGLBoolean (*initialize)(EGLDisplay, EGLint *, EGLint *);
	EGLBoolean (*terminate)(EGLDisplay);
	EGLBoolean (*bindAPI)(EGLenum);
	EGLBoolean (*chooseConfig)(EGLDisplay, const EGLint *, EGLConfig *, EGLint, EGLint *);
	EGLContext (*createContext)(EGLDisplay, EGLConfig, EGLContext, const EGLint *);
	EGLBoolean (*destroyContext)(EGLDisplay, EGLContext);
	EGLSurface (*createPbufferSurface)(EGLDisplay, EGLConfig, const EGLint *);
	EGLBoolean (*destroySurface)(EGLDisplay, EGLSurface);
	EGLBoolean (*makeCurrent)(EGLDisplay, EGLSurface, EGLSurface, EGLContext);
	EGLint (*getError)(void);
	const char *(*queryString)(EGLDisplay, EGLint);
	EGLDisplay (*getPlatformDisplay)(EGLenum, void *, const EGLint *);
	EGLBoolean (*queryDevices)(EGLint, EGLDeviceEXT *, EGLint *);
} egl;

// egl_load opens the library; 0 is success.
static int egl_load(void) {
	if (egl.lib) return 0;
	void *lib = dlopen("libEGL.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!lib) return 1;
#define NEED(field, name) do { *(void **)&egl.field = dlsym(lib, name); if (!egl.field) { dlclose(lib); return 2; } } while (0)
	NEED(getProcAddress, "eglGetProcAddress");
	NEED(getDisplay, "eglGetDisplay");
	NEED(initialize, "eglInitialize");
	NEED(terminate, "eglTerminate");
	NEED(bindAPI, "eglBindAPI");
	NEED(chooseConfig, "eglChooseConfig");
	NEED(createContext, "eglCreateContext");
	NEED(destroyContext, "eglDestroyContext");
	NEED(createPbufferSurface, "eglCreatePbufferSurface");
	NEED(destroySurface, "eglDestroySurface");
	NEED(makeCurrent, "eglMakeCurrent");
	NEED(getError, "eglGetError");
	NEED(queryString, "eglQueryString");
#undef NEED
	*(void **)&egl.getPlatformDisplay = egl.getProcAddress("eglGetPlatformDisplayEXT");
	*(void **)&egl.queryDevices = egl.getProcAddress("eglQueryDevicesEXT");
	egl.lib = lib;
	return 0;
}

// egl_devices counts the devices, up to max, that displays can be made of.
static int egl_devices(EGLDeviceEXT *out, int max) {
	EGLint n = 0;
	if (!egl.queryDevices || !egl.getPlatformDisplay || !egl.queryDevices(max, out, &n)) return 0;
	return n;
}

static EGLDisplay egl_display(EGLenum platform, void *native) {
	if (platform == 0) return egl.getDisplay(native);
	if (!egl.getPlatformDisplay) return NULL;
	return egl.getPlatformDisplay(platform, native, NULL);
}

// egl_current makes a context of display d current; the result is the step that failed, 0 for none.
static int egl_current(EGLDisplay d, int pbuffer, EGLContext *ctx, EGLSurface *surface) {
	EGLint major, minor, n = 0;
	*ctx = NULL; *surface = NULL;
	if (!d) return 1;
	if (!egl.initialize(d, &major, &minor)) return 2;
	if (!egl.bindAPI(EGL_OPENGL_API)) { egl.terminate(d); return 3; }
	const EGLint want[] = {EGL_SURFACE_TYPE, EGL_PBUFFER_BIT, EGL_RENDERABLE_TYPE, EGL_OPENGL_BIT, EGL_NONE};
	EGLConfig config = NULL;
	if (!egl.chooseConfig(d, want, &config, 1, &n) || n < 1) {
		if (pbuffer) { egl.terminate(d); return 4; }
		config = NULL; // EGL_NO_CONFIG_KHR
	}
	const EGLint attrs[] = {EGL_CONTEXT_MAJOR_VERSION, 3, EGL_CONTEXT_MINOR_VERSION, 3,
		EGL_CONTEXT_OPENGL_PROFILE_MASK, EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT, EGL_NONE};
	*ctx = egl.createContext(d, config, NULL, attrs);
	if (!*ctx) { egl.terminate(d); return 5; }
	if (pbuffer) {
		const EGLint size[] = {EGL_WIDTH, 16, EGL_HEIGHT, 16, EGL_NONE};
		*surface = egl.createPbufferSurface(d, config, size);
		if (!*surface) { egl.destroyContext(d, *ctx); egl.terminate(d); return 6; }
	}
	if (!egl.makeCurrent(d, *surface, *surface, *ctx)) {
		if (*surface) egl.destroySurface(d, *surface);
		egl.destroyContext(d, *ctx);
		egl.terminate(d);
		return 7;
	}
	return 0;
}

static void egl_close(EGLDisplay d, EGLContext ctx, EGLSurface surface) {
	egl.makeCurrent(d, NULL, NULL, NULL);
	if (surface) egl.destroySurface(d, surface);
	egl.destroyContext(d, ctx);
	// The display is left initialized: EGL shares it with whoever asks for the same one in this process.
}

static void *egl_proc(const char *name) { return egl.getProcAddress(name); }
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

type context struct {
	name    string
	display C.EGLDisplay
	ctx     C.EGLContext
	surface C.EGLSurface
}

var steps = [...]string{"", "no display", "eglInitialize", "eglBindAPI", "eglChooseConfig", "eglCreateContext", "eglCreatePbufferSurface", "eglMakeCurrent"}

// New makes a context current on the calling thread. It tries the devices of EGL_EXT_platform_device (which needs no
// display server and finds GPUs of every vendor), Mesa's surfaceless platform, and the default display with a small
// pbuffer, in this order; the error says why each failed.
func New() (Context, error) {
	if rc := C.egl_load(); rc != 0 {
		return nil, fmt.Errorf("libEGL.so.1: %s", [...]string{1: "not found", 2: "functions are missing"}[rc])
	}
	var failed []error
	try := func(name string, d C.EGLDisplay, pbuffer C.int) *context {
		c := &context{name: name, display: d}
		if rc := C.egl_current(d, pbuffer, &c.ctx, &c.surface); rc != 0 {
			failed = append(failed, fmt.Errorf("%s: %s", name, steps[rc]))
			return nil
		}
		return c
	}
	var devices [8]C.EGLDeviceEXT
	for i := range int(C.egl_devices(&devices[0], C.int(len(devices)))) {
		d := C.egl_display(C.EGL_PLATFORM_DEVICE_EXT, unsafe.Pointer(devices[i]))
		if c := try(fmt.Sprintf("EGL device %d", i), d, 0); c != nil {
			return c, nil
		}
	}
	if c := try("EGL surfaceless", C.egl_display(C.EGL_PLATFORM_SURFACELESS_MESA, nil), 0); c != nil {
		return c, nil
	}
	if c := try("EGL pbuffer", C.egl_display(0, nil), 1); c != nil {
		return c, nil
	}
	return nil, errors.Join(failed...)
}

// ProcAddr implements [Context].
func (c *context) ProcAddr(name string) unsafe.Pointer {
	s := C.CString(name)
	defer C.free(unsafe.Pointer(s))
	return C.egl_proc(s)
}

// Name implements [Context].
func (c *context) Name() string { return c.name }

// Close implements [Context].
func (c *context) Close() {
	if c.ctx != nil {
		C.egl_close(c.display, c.ctx, c.surface)
		c.ctx = nil
	}
}
