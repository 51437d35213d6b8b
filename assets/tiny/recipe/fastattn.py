"""Attention for training on a CPU with AMX: forward and backward of whole groups of short sequences in one call each.

Optional, as fastops.py is; heads of 64, bf16 in and out, float32 sums. About a third of the time of separate
matrix products, softmax and transpositions at 60 to 150 positions.
"""
import os

import torch

SRC = r"""
#include <torch/extension.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>
#include <cstring>
typedef uint16_t u16; typedef uint32_t u32;
static const int HD=64;
struct alignas(64) Cfg { uint8_t palette,start,pad[14]; u16 colsb[16]; uint8_t rows[16]; };
// oneDNN remembers which tile configuration it loaded last: it is put back at the end of every call.
struct Tiles {
  alignas(64) Cfg old;
  Tiles(){ static long once=syscall(SYS_arch_prctl,0x1023,18); (void)once; memset(&old,0,64); _tile_storeconfig(&old);
    Cfg c; memset(&c,0,64); c.palette=1; for(int i=0;i<8;i++){c.colsb[i]=64;c.rows[i]=16;} _tile_loadconfig(&c); }
  ~Tiles(){ if(old.palette) _tile_loadconfig(&old); else _tile_release(); }
};
// C [M,N] = A [M,K] B; B in pairs of rows [K/2][N][2]; M, N, K multiples of 32
static void gemm(const u16*A,int lda,const u32*B,int ldb,float*C,int ldc,int M,int N,int K){
  for(int m=0;m<M;m+=32) for(int n=0;n<N;n+=32){
    _tile_zero(0);_tile_zero(1);_tile_zero(2);_tile_zero(3);
    for(int k=0;k<K;k+=32){
      const u16*a=A+(size_t)m*lda+k; const u32*b=B+(size_t)(k/2)*ldb+n;
      _tile_loadd(4,a,lda*2);_tile_loadd(5,a+16*lda,lda*2);_tile_loadd(6,b,ldb*4);_tile_loadd(7,b+16,ldb*4);
      _tile_dpbf16ps(0,4,6);_tile_dpbf16ps(1,4,7);_tile_dpbf16ps(2,5,6);_tile_dpbf16ps(3,5,7);
    }
    float*c=C+(size_t)m*ldc+n;
    _tile_stored(0,c,ldc*4);_tile_stored(1,c+16,ldc*4);_tile_stored(2,c+16*ldc,ldc*4);_tile_stored(3,c+16*ldc+16,ldc*4);
  }
}
// rows [R][HD] of a matrix with stride D into [Rp][HD], zeros below
static void load(u16*d,const u16*s,int64_t D,int R,int Rp){
  for(int i=0;i<R;i++) memcpy(d+i*HD,s+i*D,HD*2);
  if(Rp>R) memset(d+R*HD,0,(size_t)(Rp-R)*HD*2);
}
// [R][HD] -> transposed, in pairs: [HD/2][R]
static void pairs_t(u32*d,const u16*s,int R){
  const u32*p=(const u32*)s;
  for(int n=0;n<R;n+=16) for(int r=0;r<HD/2;r++){ u32*o=d+(size_t)r*R+n; const u32*q=p+(size_t)n*(HD/2)+r;
    for(int j=0;j<16;j++) o[j]=q[j*(HD/2)]; }
}
// [R][N] -> pairs of rows [R/2][N]
static void pairs(u32*d,const u16*s,int R,int N){
  for(int r=0;r<R;r+=2) for(int c=0;c<N;c+=16){
    __m512i a=_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)(s+(size_t)r*N+c)));
    __m512i b=_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)(s+(size_t)(r+1)*N+c)));
    _mm512_storeu_si512(d+(size_t)(r/2)*N+c,_mm512_or_si512(a,_mm512_slli_epi32(b,16)));
  }
}
static void transpose(u16*d,const u16*s,int R){      // [R][HD] -> [HD][R]
  for(int r=0;r<R;r+=32) for(int c=0;c<HD;c++){ u16*o=d+(size_t)c*R+r; const u16*q=s+(size_t)r*HD+c; for(int j=0;j<32;j++) o[j]=q[j*HD]; }
}
static inline __m512 vexp(__m512 x){
  __m512 t=_mm512_mul_ps(_mm512_max_ps(x,_mm512_set1_ps(-80.f)),_mm512_set1_ps(1.44269504f));
  __m512 n=_mm512_roundscale_ps(t,8),f=_mm512_sub_ps(t,n),p=_mm512_set1_ps(0.00133336f);
  p=_mm512_fmadd_ps(p,f,_mm512_set1_ps(0.00961813f)); p=_mm512_fmadd_ps(p,f,_mm512_set1_ps(0.05550411f));
  p=_mm512_fmadd_ps(p,f,_mm512_set1_ps(0.24022651f)); p=_mm512_fmadd_ps(p,f,_mm512_set1_ps(0.69314718f));
  p=_mm512_fmadd_ps(p,f,_mm512_set1_ps(1.f)); return _mm512_scalef_ps(p,n);
}
static inline void st(u16*d,__m512 v){ _mm256_storeu_si256((__m256i*)d,(__m256i)_mm512_cvtneps_pbh(v)); }
static inline __m512 ld(const u16*s){ return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)s)),16)); }
static int up32(int n){ return (n+31)/32*32; }
#define U16(t) ((u16*)(t).data_ptr())
struct Buf { std::vector<u16> a,b,c,d,e,f; std::vector<u32> x,y; std::vector<float> s;
  void size(int Lp){ size_t n=(size_t)Lp*HD,m=(size_t)Lp*Lp; a.resize(n);b.resize(n);c.resize(n);d.resize(n);e.resize(n);f.resize(m);x.resize(std::max(n,m)/2);y.resize(n/2);s.resize(std::max(m,n)); } };
static thread_local Buf W;

// q, k, v [N, H*64]; shapes: b0, l0, b1, l1, ...; lens: visible keys of every sequence
std::vector<at::Tensor> fwd(at::Tensor q,at::Tensor k,at::Tensor v,std::vector<int64_t> shapes,at::Tensor lens,int64_t H){
  int64_t D=q.size(1); auto o=at::empty_like(q); int64_t total=0;
  for(size_t g=0;g<shapes.size();g+=2){ int64_t Lp=up32(shapes[g+1]); total+=shapes[g]*H*Lp*Lp; }
  auto P=at::empty({total},q.options()); u16*p=U16(P); const int64_t*len=lens.data_ptr<int64_t>();
  Tiles tiles; int64_t row=0,seq=0; const float sc=0.125f;
  for(size_t g=0;g<shapes.size();g+=2){ int B=shapes[g],L=shapes[g+1],Lp=up32(L); W.size(Lp);
    for(int b=0;b<B;b++,row+=L,seq++) for(int h=0;h<H;h++,p+=(size_t)Lp*Lp){
      int n=std::min<int64_t>(len[seq],L); int64_t at=row*D+h*HD;
      load(W.a.data(),U16(q)+at,D,L,Lp); load(W.b.data(),U16(k)+at,D,L,Lp); load(W.c.data(),U16(v)+at,D,L,Lp);
      pairs_t(W.x.data(),W.b.data(),Lp);
      gemm(W.a.data(),HD,W.x.data(),Lp,W.s.data(),Lp,Lp,Lp,HD);
      for(int i=0;i<Lp;i++){ float*s=W.s.data()+(size_t)i*Lp; u16*r=p+(size_t)i*Lp;
        if(i>=L){ memset(r,0,Lp*2); continue; }
        __m512 mx=_mm512_set1_ps(-1e30f),sum=_mm512_setzero_ps();
        for(int j=0;j<Lp;j+=16){ int left=n-j; __mmask16 m=left>=16?0xffff:left<=0?0:(1<<left)-1; mx=_mm512_mask_max_ps(mx,m,mx,_mm512_loadu_ps(s+j)); }
        mx=_mm512_set1_ps(_mm512_reduce_max_ps(mx));
        for(int j=0;j<Lp;j+=16){ int left=n-j; __mmask16 m=left>=16?0xffff:left<=0?0:(1<<left)-1;
          __m512 e=_mm512_maskz_mov_ps(m,vexp(_mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(s+j),mx),_mm512_set1_ps(sc)))); sum=_mm512_add_ps(sum,e); _mm512_storeu_ps(s+j,e); }
        __m512 inv=_mm512_set1_ps(1.f/_mm512_reduce_add_ps(sum));
        for(int j=0;j<Lp;j+=16) st(r+j,_mm512_mul_ps(_mm512_loadu_ps(s+j),inv));
      }
      pairs(W.x.data(),W.c.data(),Lp,HD);
      gemm(p,Lp,W.x.data(),HD,W.s.data(),HD,Lp,HD,Lp);
      for(int i=0;i<L;i++) for(int c=0;c<HD;c+=16) st(U16(o)+at+i*D+c,_mm512_loadu_ps(W.s.data()+i*HD+c));
    }
  }
  return {o,P};
}
std::vector<at::Tensor> bwd(at::Tensor go,at::Tensor q,at::Tensor k,at::Tensor v,at::Tensor P,std::vector<int64_t> shapes,int64_t H){
  int64_t D=q.size(1); auto dq=at::empty_like(q),dk=at::empty_like(q),dv=at::empty_like(q); const u16*p=U16(P);
  Tiles tiles; int64_t row=0; const __m512 sc=_mm512_set1_ps(0.125f);
  for(size_t g=0;g<shapes.size();g+=2){ int B=shapes[g],L=shapes[g+1],Lp=up32(L); W.size(Lp);
    for(int b=0;b<B;b++,row+=L) for(int h=0;h<H;h++,p+=(size_t)Lp*Lp){
      int64_t at=row*D+h*HD;
      load(W.a.data(),U16(q)+at,D,L,Lp); load(W.b.data(),U16(k)+at,D,L,Lp); load(W.c.data(),U16(v)+at,D,L,Lp); load(W.d.data(),U16(go)+at,D,L,Lp);
      float*s=W.s.data();
      transpose(W.e.data(),W.d.data(),Lp); pairs(W.x.data(),p,Lp,Lp);            // dV^T = dO^T P
      gemm(W.e.data(),Lp,W.x.data(),Lp,s,Lp,HD,Lp,Lp);
      for(int i=0;i<L;i++){ u16*o=U16(dv)+at+i*D; for(int c=0;c<HD;c+=16) st(o+c,_mm512_i32gather_ps(_mm512_mullo_epi32(_mm512_set1_epi32(Lp),_mm512_setr_epi32(0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15)),s+(size_t)c*Lp+i,4)); }
      pairs_t(W.x.data(),W.c.data(),Lp);                                         // dP = dO V^T
      gemm(W.d.data(),HD,W.x.data(),Lp,s,Lp,Lp,Lp,HD);
      for(int i=0;i<Lp;i++){ float*r=s+(size_t)i*Lp; const u16*pr=p+(size_t)i*Lp; u16*o=W.f.data()+(size_t)i*Lp; __m512 t=_mm512_setzero_ps();
        for(int j=0;j<Lp;j+=16) t=_mm512_fmadd_ps(ld(pr+j),_mm512_loadu_ps(r+j),t);
        __m512 de=_mm512_set1_ps(_mm512_reduce_add_ps(t));
        for(int j=0;j<Lp;j+=16) st(o+j,_mm512_mul_ps(_mm512_mul_ps(ld(pr+j),sc),_mm512_sub_ps(_mm512_loadu_ps(r+j),de))); }
      pairs(W.y.data(),W.b.data(),Lp,HD);                                        // dQ = dS K
      gemm(W.f.data(),Lp,W.y.data(),HD,s,HD,Lp,HD,Lp);
      for(int i=0;i<L;i++) for(int c=0;c<HD;c+=16) st(U16(dq)+at+i*D+c,_mm512_loadu_ps(s+i*HD+c));
      transpose(W.e.data(),W.a.data(),Lp); pairs(W.x.data(),W.f.data(),Lp,Lp);   // dK^T = Q^T dS
      gemm(W.e.data(),Lp,W.x.data(),Lp,s,Lp,HD,Lp,Lp);
      for(int i=0;i<L;i++){ u16*o=U16(dk)+at+i*D; for(int c=0;c<HD;c+=16) st(o+c,_mm512_i32gather_ps(_mm512_mullo_epi32(_mm512_set1_epi32(Lp),_mm512_setr_epi32(0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15)),s+(size_t)c*Lp+i,4)); }
    }
  }
  return {dq,dk,dv};
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m){ m.def("fwd",&fwd); m.def("bwd",&bwd); }
"""
_ext = None


def ext():
    global _ext
    if _ext is None:
        from torch.utils.cpp_extension import load_inline
        d = os.path.abspath("work/ext_attn")
        os.makedirs(d, exist_ok=True)
        os.environ.setdefault("MAX_JOBS", "1")
        _ext = load_inline("fastattn", SRC, extra_cflags=["-O3", "-march=native", "-mamx-tile", "-mamx-bf16", "-ffast-math"], build_directory=d)
    return _ext


class Attention(torch.autograd.Function):
    """q, k, v [N, heads*64] bf16, sequences of all groups after one another; shapes: flat list of (batch, length);
    lens [sequences]: keys that can be seen."""

    @staticmethod
    def forward(ctx, q, k, v, shapes, lens, heads):
        o, p = ext().fwd(q.contiguous(), k.contiguous(), v.contiguous(), shapes, lens, heads)
        ctx.save_for_backward(q, k, v, p)
        ctx.shapes, ctx.heads = shapes, heads
        return o

    @staticmethod
    def backward(ctx, g):
        q, k, v, p = ctx.saved_tensors
        return (*ext().bwd(g.contiguous(), q.contiguous(), k.contiguous(), v.contiguous(), p, ctx.shapes, ctx.heads), None, None, None)
