"""RMS norm, rotary positions and SwiGLU for training on a CPU: one pass over memory each, bf16 between them.

Optional; model.py uses plain PyTorch where this is off, with the same result up to bf16 rounding.
"""
import os

import torch

import fastattn

SRC = r"""
#include <torch/extension.h>
#include <vector>
#include <cmath>
#include <cstring>
typedef uint16_t u16;
static inline float up(u16 v){ uint32_t u=(uint32_t)v<<16; float f; memcpy(&f,&u,4); return f; }
static inline u16 dn(float f){ uint32_t u; memcpy(&u,&f,4); u+=0x7fffu+((u>>16)&1u); return (u16)(u>>16); }
static inline float ex(float x){
  x=x<-80.f?-80.f:(x>80.f?80.f:x);
  float t=x*1.44269504f; float fi=floorf(t); float f=t-fi;
  float p=1.f+f*(0.69314718f+f*(0.24022651f+f*(0.05550411f+f*(0.00961813f+f*0.00133336f))));
  int32_t i=((int32_t)fi+127)<<23; float s; memcpy(&s,&i,4); return p*s;
}
#define U16(t) ((u16*)(t).data_ptr())
std::vector<at::Tensor> rms_fwd(at::Tensor x, at::Tensor w, double eps){
  int64_t N=x.size(0),D=x.size(1);
  auto y=at::empty({N,D}, x.options().dtype(at::kBFloat16)); auto r=at::empty({N}, x.options());
  const float* X=x.data_ptr<float>(); const float* W=w.data_ptr<float>(); u16* Y=U16(y); float* R=r.data_ptr<float>();
  for(int64_t i=0;i<N;i++){ const float* p=X+i*D; u16* o=Y+i*D; float s=0;
    for(int64_t j=0;j<D;j++) s+=p[j]*p[j];
    float q=1.f/std::sqrt(s/D+(float)eps); R[i]=q;
    #pragma GCC ivdep
    for(int64_t j=0;j<D;j++) o[j]=dn(p[j]*q*W[j]); }
  return {y,r};
}
// returns dx added to the residual's own gradient g0
std::vector<at::Tensor> rms_bwd(at::Tensor g, at::Tensor x, at::Tensor w, at::Tensor r){
  int64_t N=x.size(0),D=x.size(1);
  auto dx=at::empty_like(x); auto dw=at::zeros_like(w);
  const float* X=x.data_ptr<float>(); const float* W=w.data_ptr<float>(); const u16* G=U16(g); const float* R=r.data_ptr<float>();
  float* O=dx.data_ptr<float>(); float* DW=dw.data_ptr<float>();
  for(int64_t i=0;i<N;i++){ const float* p=X+i*D; const u16* q=G+i*D; float* o=O+i*D; float s=0,c=R[i];
    #pragma GCC ivdep
    for(int64_t j=0;j<D;j++){ float t=up(q[j]); float xh=p[j]*c; DW[j]+=t*xh; s+=t*W[j]*xh; }
    s/=D;
    #pragma GCC ivdep
    for(int64_t j=0;j<D;j++) o[j]=c*(up(q[j])*W[j]-p[j]*c*s); }
  return {dx,dw};
}
at::Tensor rope(at::Tensor x, at::Tensor cs, at::Tensor sn, int64_t H, double sign){
  // x [N, H*hd] bf16; cs, sn [N, hd/2] float
  int64_t N=x.size(0),D=x.size(1),hd=D/H,h2=hd/2; auto y=at::empty_like(x);
  const u16* X=U16(x); u16* Y=U16(y); const float* C=cs.data_ptr<float>(); const float* S=sn.data_ptr<float>(); float sg=sign;
  for(int64_t i=0;i<N;i++) for(int64_t h=0;h<H;h++){ const u16* p=X+i*D+h*hd; u16* o=Y+i*D+h*hd; const float *c=C+i*h2,*s=S+i*h2;
    #pragma GCC ivdep
    for(int64_t j=0;j<h2;j++){ float a=up(p[j]),b=up(p[j+h2]); o[j]=dn(a*c[j]-sg*b*s[j]); o[j+h2]=dn(b*c[j]+sg*a*s[j]); } }
  return y;
}
at::Tensor glu_fwd(at::Tensor a, at::Tensor b){
  auto y=at::empty_like(a); int64_t n=a.numel(); const u16*A=U16(a); const u16*B=U16(b); u16*Y=U16(y);
  #pragma GCC ivdep
  for(int64_t i=0;i<n;i++){ float v=up(A[i]); Y[i]=dn(v/(1.f+ex(-v))*up(B[i])); }
  return y;
}
std::vector<at::Tensor> glu_bwd(at::Tensor g, at::Tensor a, at::Tensor b){
  auto da=at::empty_like(a), db=at::empty_like(b); int64_t n=a.numel(); const u16*G=U16(g); const u16*A=U16(a); const u16*B=U16(b); u16*DA=U16(da); u16*DB=U16(db);
  #pragma GCC ivdep
  for(int64_t i=0;i<n;i++){ float v=up(A[i]),s=1.f/(1.f+ex(-v)),t=up(G[i]); DB[i]=dn(t*v*s); DA[i]=dn(t*up(B[i])*s*(1.f+v*(1.f-s))); }
  return {da,db};
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m){ m.def("rms_fwd",&rms_fwd); m.def("rms_bwd",&rms_bwd); m.def("rope",&rope); m.def("glu_fwd",&glu_fwd); m.def("glu_bwd",&glu_bwd); }
"""
_ext = None


def has_amx():
    try:
        return "amx_bf16" in open("/proc/cpuinfo").read()
    except OSError:
        return False


AMX = has_amx()


def ext():
    global _ext
    if _ext is None:
        from torch.utils.cpp_extension import load_inline
        d = os.path.abspath("work/ext_ops")
        os.makedirs(d, exist_ok=True)
        os.environ.setdefault("MAX_JOBS", "1")
        _ext = load_inline("fastops", SRC, extra_cflags=["-O3", "-march=native", "-ffast-math"], build_directory=d)
    return _ext


class RMS(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, eps):
        y, r = ext().rms_fwd(x, w, eps)
        ctx.save_for_backward(x, w, r)
        return y

    @staticmethod
    def backward(ctx, g):
        x, w, r = ctx.saved_tensors
        dx, dw = ext().rms_bwd(g.contiguous(), x, w, r)
        return dx, dw, None


class Rope(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, c, s, heads):
        ctx.save_for_backward(c, s)
        ctx.h = heads
        return ext().rope(x.contiguous(), c, s, heads, 1.0)

    @staticmethod
    def backward(ctx, g):
        c, s = ctx.saved_tensors
        return ext().rope(g.contiguous(), c, s, ctx.h, -1.0), None, None, None


class GLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return ext().glu_fwd(a, b)

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        return tuple(ext().glu_bwd(g.contiguous(), a, b))


def hidden(net, wt, groups, masks, mid=-1):
    """The forward pass of model.Model.hidden. wt: {parameter name: bf16 leaf} for matrices and the embedding.
    With mid >= 0 the residual stream behind that block is returned as well."""
    tap = None
    shapes = [tuple(g.shape) for g in groups]
    H, eps = net.cfg["n_heads"], net.cfg["rms_norm_eps"]
    x = torch.nn.functional.embedding(torch.cat([g.reshape(-1) for g in groups]), wt["wte.weight"]).float()
    fused = net.cos.shape[1] == 64 and os.environ.get("FASTOPS") != "noattn" and AMX
    if fused:
        flat = [n for s in shapes for n in s]
        lens = torch.cat([torch.full((b,), l) if m is None else m.view(b, l).sum(1) for (b, l), m in zip(shapes, masks)])
    h2 = net.cos.shape[1] // 2
    cos = torch.cat([net.cos[:l, :h2].repeat(b, 1) for b, l in shapes])
    sin = torch.cat([net.sin[:l, :h2].repeat(b, 1) for b, l in shapes])
    sc = net.cos.shape[1] ** -0.5
    for i, blk in enumerate(net.blocks):
        w = lambda n: wt[f"blocks.{i}.{n}.weight"]
        h = RMS.apply(x, blk.attn_norm.weight, eps)
        q, k, v = (h @ w(n).T for n in ("q_proj", "k_proj", "v_proj"))
        q, k = Rope.apply(q, cos, sin, H), Rope.apply(k, cos, sin, H)
        if fused:
            y = fastattn.Attention.apply(q, k, v, flat, lens, H)
        else:
            outs, o = [], 0
            for (b, l), m in zip(shapes, masks):
                qq, kk, vv = (t[o:o + b * l].view(b, l, H, -1).transpose(1, 2) for t in (q, k, v))
                s = torch.matmul(qq * sc, kk.transpose(-1, -2))
                if m is not None:
                    s = s.masked_fill(~m, -1e30)
                outs.append(torch.matmul(torch.softmax(s, -1), vv).transpose(1, 2).reshape(b * l, -1))
                o += b * l
            y = torch.cat(outs)
        x = x + y @ w("attn_out").T
        h = RMS.apply(x, blk.ff_norm.weight, eps)
        x = x + GLU.apply(h @ w("ff_proj").T, h @ w("up_proj").T) @ w("ff_out").T
        if i == mid:
            tap = x
    out = RMS.apply(x, net.ln_f.weight, eps)
    return out if mid < 0 else (out, tap)
