"""PyTorch as a contestant: plain blocks, scaled_dot_product_attention, inference mode, the thread count set.

i8 is dynamic quantisation of the linear layers. The block pass feeds the last 32 positions; keys and values of the rest
come from the last whole pass.
"""

import sys
import warnings

import torch
import torch.nn.functional as F

from peer import Checkpoint, serve

BLOCK = 32


def linear(c, name, dtype):
    kind, shape, raw = c.raw(name)
    w = torch.frombuffer(bytearray(raw), dtype=torch.float32 if kind == "F32" else torch.bfloat16).reshape(shape)
    m = torch.nn.Linear(shape[1], shape[0], bias=False, device="meta")
    m.weight = torch.nn.Parameter(w.to(dtype), requires_grad=False)
    return m


def vector(c, name, dtype):
    return torch.from_numpy(c.array(name).copy()).to(dtype)


class Block(torch.nn.Module):
    def __init__(self, c, i, dtype):
        super().__init__()
        at = f"blocks.{i}."
        self.heads, self.eps = c.heads, c.eps
        self.attn_norm, self.ff_norm = vector(c, at + "attn_norm", dtype), vector(c, at + "ff_norm", dtype)
        for name in ("q_proj", "k_proj", "v_proj", "attn_out", "ff_proj", "up_proj", "ff_out"):
            setattr(self, name, linear(c, at + name, dtype))
        self.keys = self.values = None

    def forward(self, x, cos, sin, block):
        t, d = x.shape[1], x.shape[2]
        y = F.rms_norm(x, (d,), self.attn_norm, self.eps)
        q, k, v = (
            m(y).view(1, t, self.heads, d // self.heads).transpose(1, 2) for m in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if block:
            self.keys[:, :, -t:], self.values[:, :, -t:] = k, v
            k, v = self.keys, self.values
        else:
            self.keys, self.values = k, v
        o = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(1, t, d)
        x = x + self.attn_out(o)
        y = F.rms_norm(x, (d,), self.ff_norm, self.eps)
        return x + self.ff_out(F.silu(self.ff_proj(y)) * self.up_proj(y))


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Net(torch.nn.Module):
    def __init__(self, c, dtype):
        super().__init__()
        kind, shape, raw = c.raw("wte")
        self.wte = torch.frombuffer(bytearray(raw), dtype=torch.float32 if kind == "F32" else torch.bfloat16).reshape(shape).to(dtype)
        self.blocks = torch.nn.ModuleList(Block(c, i, dtype) for i in range(c.layers))
        self.norm, self.eps = vector(c, "ln_f", dtype), c.eps
        self.ff_out = linear(c, "ff_out", dtype)
        half = c.width // c.heads // 2
        angle = torch.arange(4096)[:, None] * c.theta ** (-torch.arange(half) / half)[None]
        self.cos, self.sin = angle.cos().to(dtype), angle.sin().to(dtype)

    def forward(self, tokens, block):
        n = len(tokens)
        lo = max(0, n - BLOCK) if block else 0
        x = self.wte[torch.tensor(tokens[lo:])][None]
        for b in self.blocks:
            x = b(x, self.cos[lo:n], self.sin[lo:n], block)
        x = F.rms_norm(x, (x.shape[-1],), self.norm, self.eps)
        return self.ff_out(x)[0]


def main():
    folder, dtype, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    torch.set_num_threads(threads)
    warnings.simplefilter("ignore")
    net = Net(Checkpoint(folder), torch.bfloat16 if dtype == "bf16" else torch.float32).eval()
    if dtype == "i8":
        net = torch.ao.quantization.quantize_dynamic(net, {torch.nn.Linear}, dtype=torch.qint8)

    def run(block):
        def f(tokens):
            with torch.inference_mode():
                out = net(tokens, block)
            return lambda p, i: out[p, i]

        return f

    serve({"torch": torch.__version__}, {"forward": run(False), "block": run(True)})


if __name__ == "__main__":
    main()
