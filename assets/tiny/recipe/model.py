"""The transformer: LLaDA's block (RMS norm, rotary positions, SwiGLU, no biases), tied head."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

CFG = dict(d_model=256, n_layers=6, n_heads=4, mlp_hidden_size=704, rope_theta=10000.0, rms_norm_eps=1e-5,
           max_sequence_length=512)


def rope(theta, hd, n):
    inv = 1.0 / theta ** (torch.arange(0, hd, 2, dtype=torch.float32) / hd)
    f = torch.arange(n, dtype=torch.float32)[:, None] * inv
    f = torch.cat([f, f], -1)
    return f.cos(), f.sin()


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


def attend(q, k, v, mask):
    """Plain attention; for short sequences on a CPU its backward is far cheaper than the fused one's."""
    s = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2)).float()
    if mask is not None:
        s = s.masked_fill(~mask, -1e30)
    return torch.matmul(torch.softmax(s, -1).to(v.dtype), v)


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, m = c["d_model"], c["mlp_hidden_size"]
        self.attn_norm, self.ff_norm = nn.RMSNorm(d, eps=c["rms_norm_eps"]), nn.RMSNorm(d, eps=c["rms_norm_eps"])
        self.q_proj, self.k_proj, self.v_proj, self.attn_out = (nn.Linear(d, d, bias=False) for _ in range(4))
        self.ff_proj, self.up_proj = nn.Linear(d, m, bias=False), nn.Linear(d, m, bias=False)
        self.ff_out = nn.Linear(m, d, bias=False)
        self.h = c["n_heads"]

    def forward(self, x, shapes, cos, sin, masks):
        """x [N, d]: all groups of the batch after one another; attention runs group by group."""
        h = self.attn_norm(x)
        q, k, v = self.q_proj(h), self.k_proj(h), self.v_proj(h)
        q, k, v = (t.view(t.shape[0], self.h, -1) for t in (q, k, v))
        q, k = rotate(q.float(), cos, sin).to(v.dtype), rotate(k.float(), cos, sin).to(v.dtype)
        outs, o = [], 0
        for (b, l), m in zip(shapes, masks):
            s = [t[o:o + b * l].view(b, l, self.h, -1).transpose(1, 2) for t in (q, k, v)]
            outs.append(attend(*s, m).transpose(1, 2).reshape(b * l, -1))
            o += b * l
        x = x + self.attn_out(torch.cat(outs) if len(outs) > 1 else outs[0])
        h = self.ff_norm(x)
        return x + self.ff_out(F.silu(self.ff_proj(h)) * self.up_proj(h))


class Model(nn.Module):
    def __init__(self, vocab, cfg=CFG):
        super().__init__()
        self.cfg = cfg
        self.wte = nn.Embedding(vocab, cfg["d_model"])
        self.blocks = nn.ModuleList([Block(cfg) for _ in range(cfg["n_layers"])])
        self.ln_f = nn.RMSNorm(cfg["d_model"], eps=cfg["rms_norm_eps"])
        nn.init.normal_(self.wte.weight, std=0.04)
        for b in self.blocks:
            for n, m in b.named_modules():
                if isinstance(m, nn.Linear):
                    s = 1 / math.sqrt(m.in_features)
                    nn.init.normal_(m.weight, std=s if n not in ("attn_out", "ff_out") else s / math.sqrt(2 * cfg["n_layers"]))
        cos, sin = rope(cfg["rope_theta"], cfg["d_model"] // cfg["n_heads"], cfg["max_sequence_length"])
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def hidden(self, groups, masks=None, mid=-1, table=None):
        """groups: list of id tensors [B, L]. Returns the normed hidden states [sum B*L, d],
        with mid >= 0 also the residual stream behind that block. table: embeddings in place of wte."""
        tap = None
        shapes = [tuple(g.shape) for g in groups]
        masks = masks or [None] * len(groups)
        x = F.embedding(torch.cat([g.reshape(-1) for g in groups]), self.wte.weight if table is None else table)
        cos = torch.cat([self.cos[:l].repeat(b, 1) for b, l in shapes])[:, None]
        sin = torch.cat([self.sin[:l].repeat(b, 1) for b, l in shapes])[:, None]
        for i, b in enumerate(self.blocks):
            x = b(x, shapes, cos, sin, masks)
            if i == mid:
                tap = x
        return self.ln_f(x) if mid < 0 else (self.ln_f(x), tap)

    def forward(self, ids, mask=None):
        b, l = ids.shape
        return (self.hidden([ids], [mask]) @ self.wte.weight.T).view(b, l, -1)
