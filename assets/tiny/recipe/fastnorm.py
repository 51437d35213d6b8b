"""GroupNorm followed by SiLU for channels-last bf16 maps, as one C++ kernel (an option: set FASTNORM=1).

PyTorch's own backward of GroupNorm is slow in this layout, while its convolutions are fastest in it.
"""
import os

import torch

SRC = r"""
#include <torch/extension.h>
#include <vector>
#include <cmath>
#include <cstring>
typedef uint16_t u16;
static inline float up(u16 v){ uint32_t u=(uint32_t)v<<16; float f; memcpy(&f,&u,4); return f; }
static inline u16 dn(float f){ uint32_t u; memcpy(&u,&f,4); u+=0x7fffu+((u>>16)&1u); return (u16)(u>>16); }
static inline float ex(float x){               // exp, relative error about 1e-5
  x=x<-80.f?-80.f:(x>80.f?80.f:x);
  float t=x*1.44269504f; float fi=floorf(t); float f=t-fi;
  float p=1.f+f*(0.69314718f+f*(0.24022651f+f*(0.05550411f+f*(0.00961813f+f*0.00133336f))));
  int32_t i=((int32_t)fi+127)<<23; float s; memcpy(&s,&i,4); return p*s;
}
std::vector<at::Tensor> fwd(at::Tensor x, at::Tensor w, at::Tensor b, int64_t G, double eps){
  int64_t B=x.size(0),C=x.size(1),N=x.size(2)*x.size(3),K=C/G;
  auto y=at::empty_like(x, x.options(), at::MemoryFormat::ChannelsLast);
  auto st=at::empty({2,B,C}, at::kFloat);
  const u16* X=(const u16*)x.data_ptr(); u16* Y=(u16*)y.data_ptr(); const float* W=w.data_ptr<float>(); const float* Bb=b.data_ptr<float>();
  float* M=st.data_ptr<float>(); float* R=M+B*C;
  std::vector<float> s(C),q(C),sc(C),sh(C);
  for(int64_t i=0;i<B;i++){
    float *S=s.data(),*Q=q.data();
    for(int64_t c=0;c<C;c++){S[c]=0;Q[c]=0;}
    const u16* p=X+i*N*C;
    for(int64_t n=0;n<N;n++,p+=C){
      #pragma GCC ivdep
      for(int64_t c=0;c<C;c++){ float v=up(p[c]); S[c]+=v; Q[c]+=v*v; }
    }
    for(int64_t g=0;g<G;g++){
      double a=0,e=0; for(int64_t k=0;k<K;k++){a+=S[g*K+k];e+=Q[g*K+k];}
      double m=a/(N*K), v=e/(N*K)-m*m; if(v<0)v=0; float r=1.0/std::sqrt(v+eps);
      for(int64_t k=0;k<K;k++){ int64_t c=g*K+k; M[i*C+c]=m; R[i*C+c]=r; sc[c]=r*W[c]; sh[c]=Bb[c]-m*r*W[c]; }
    }
    p=X+i*N*C; u16* o=Y+i*N*C; float *A=sc.data(),*H=sh.data();
    for(int64_t n=0;n<N;n++,p+=C,o+=C){
      #pragma GCC ivdep
      for(int64_t c=0;c<C;c++){ float u=up(p[c])*A[c]+H[c]; o[c]=dn(u/(1.f+ex(-u))); }
    }
  }
  return {y,st};
}
std::vector<at::Tensor> bwd(at::Tensor g, at::Tensor x, at::Tensor w, at::Tensor b, at::Tensor st, int64_t G){
  int64_t B=x.size(0),C=x.size(1),N=x.size(2)*x.size(3),K=C/G;
  auto dx=at::empty_like(x, x.options(), at::MemoryFormat::ChannelsLast);
  auto dw=at::zeros({C},at::kFloat), db=at::zeros({C},at::kFloat);
  const u16* X=(const u16*)x.data_ptr(); const u16* Gd=(const u16*)g.data_ptr(); u16* O=(u16*)dx.data_ptr();
  const float* W=w.data_ptr<float>(); const float* Bb=b.data_ptr<float>(); float* DW=dw.data_ptr<float>(); float* DB=db.data_ptr<float>();
  const float* M=st.data_ptr<float>(); const float* R=M+B*C;
  std::vector<float> sc(C),sh(C),s1(C),s2(C),c2(C),c3(C);
  std::vector<float> tmp(N*C);
  for(int64_t i=0;i<B;i++){
    const float *m=M+i*C,*r=R+i*C; float *A=sc.data(),*H=sh.data(),*S1=s1.data(),*S2=s2.data(),*C2=c2.data(),*C3=c3.data();
    for(int64_t c=0;c<C;c++){A[c]=r[c]*W[c];H[c]=Bb[c]-m[c]*A[c];S1[c]=0;S2[c]=0;}
    const u16* p=X+i*N*C; const u16* q=Gd+i*N*C; float* t=tmp.data();
    for(int64_t n=0;n<N;n++,p+=C,q+=C,t+=C){
      #pragma GCC ivdep
      for(int64_t c=0;c<C;c++){ float v=up(p[c]); float u=v*A[c]+H[c]; float sg=1.f/(1.f+ex(-u)); float d=up(q[c])*sg*(1.f+u*(1.f-sg)); t[c]=d; S1[c]+=d; S2[c]+=d*v; }
    }
    for(int64_t gI=0;gI<G;gI++){
      double a=0,e=0;
      for(int64_t k=0;k<K;k++){ int64_t c=gI*K+k; float xh=(S2[c]-m[c]*S1[c])*r[c]; DW[c]+=xh; DB[c]+=S1[c]; a+=S1[c]*W[c]; e+=xh*W[c]; }
      a/=N*K; e/=N*K;
      for(int64_t k=0;k<K;k++){ int64_t c=gI*K+k; C2[c]=-r[c]*r[c]*e; C3[c]=-r[c]*a+r[c]*r[c]*e*m[c]; }
    }
    p=X+i*N*C; t=tmp.data(); u16* o=O+i*N*C;
    for(int64_t n=0;n<N;n++,p+=C,t+=C,o+=C){
      #pragma GCC ivdep
      for(int64_t c=0;c<C;c++) o[c]=dn(t[c]*A[c]+up(p[c])*C2[c]+C3[c]);
    }
  }
  return {dx,dw,db};
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m){ m.def("fwd",&fwd); m.def("bwd",&bwd); }
"""
_ext = None


def ext():
    global _ext
    if _ext is None:
        from torch.utils.cpp_extension import load_inline
        os.makedirs("work/ext", exist_ok=True)
        os.environ.setdefault("MAX_JOBS", "1")
        _ext = load_inline("fastnorm", SRC, extra_cflags=["-O3", "-march=native", "-ffast-math"], build_directory=os.path.abspath("work/ext"))
    return _ext


class NormSiLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b, groups, eps):
        x = x.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
        y, st = ext().fwd(x, w, b, groups, eps)
        ctx.save_for_backward(x, w, b, st)
        ctx.groups = groups
        return y

    @staticmethod
    def backward(ctx, g):
        x, w, b, st = ctx.saved_tensors
        g = g.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
        dx, dw, db = ext().bwd(g, x, w, b, st, ctx.groups)
        return dx, dw, db, None, None


def norm_silu(norm, x):
    return NormSiLU.apply(x, norm.weight, norm.bias, norm.num_groups, norm.eps)
