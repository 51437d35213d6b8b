"""Picture tokenizer in MAGVITv2's layout and tensor names, at a small size.

The encoder takes 64-px pictures (stride 8), the decoder has one level more and
gives 128-px pictures; both see an 8x8 grid of codes.
"""
import os

import torch
import torch.nn as nn
import torch.nn.functional as F

BITS = 12
ARCH = {
    "encoder": {"ch": 32, "ch_mult": [1, 2, 3, 4], "num_res_blocks": [1, 1, 1, 2], "resolution": 64, "z_channels": BITS},
    "decoder": {"ch": 32, "ch_mult": [1, 1, 2, 4, 4], "num_res_blocks": [1, 1, 1, 2, 2], "resolution": 128, "z_channels": BITS},
    "codebook_dim": BITS,
    "group_norm_groups": 8,
    "group_norm_eps": 1e-6,
}


def _norm(c):
    return nn.GroupNorm(ARCH["group_norm_groups"], c, eps=ARCH["group_norm_eps"])


FAST = bool(os.environ.get("FASTNORM"))


def act(norm, x):
    if FAST and torch.is_autocast_enabled("cpu"):
        import fastnorm
        return fastnorm.norm_silu(norm, x)
    return F.silu(norm(x))


class Res(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.norm1, self.conv1 = _norm(i), nn.Conv2d(i, o, 3, padding=1)
        self.norm2, self.conv2 = _norm(o), nn.Conv2d(o, o, 3, padding=1)
        if i != o:
            self.nin_shortcut = nn.Conv2d(i, o, 1)

    def forward(self, x):
        h = self.conv1(act(self.norm1, x))
        h = self.conv2(act(self.norm2, h))
        return (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x) + h


class Attn(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm = _norm(c)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(c, c, 1) for _ in range(4))

    def forward(self, x):
        b, c, h, w = x.shape
        y = self.norm(x)
        q, k, v = (f(y).reshape(b, c, h * w).transpose(1, 2) for f in (self.q, self.k, self.v))
        o = torch.softmax(q.float() @ k.float().transpose(1, 2) * c ** -0.5, -1).to(v.dtype) @ v
        return x + self.proj_out(o.transpose(1, 2).reshape(b, c, h, w))


class Down(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, stride=2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Up(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Mid(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.block_1, self.attn_1, self.block_2 = Res(c, c), Attn(c), Res(c, c)

    def forward(self, x):
        return self.block_2(self.attn_1(self.block_1(x)))


class Level(nn.Module):
    def __init__(self, i, o, n):
        super().__init__()
        self.block = nn.ModuleList([Res(i if k == 0 else o, o) for k in range(n)])


class Encoder(nn.Module):
    def __init__(self, a):
        super().__init__()
        chs = [a["ch"] * m for m in a["ch_mult"]]
        self.conv_in = nn.Conv2d(3, a["ch"], 3, padding=1)
        self.down = nn.ModuleList()
        c = a["ch"]
        for i, o in enumerate(chs):
            lv = Level(c, o, a["num_res_blocks"][i])
            c = o
            if i + 1 < len(chs):
                lv.downsample = Down(c)
            self.down.append(lv)
        self.mid, self.norm_out = Mid(c), _norm(c)
        self.conv_out = nn.Conv2d(c, a["z_channels"], 3, padding=1)
        self.quant_conv = nn.Conv2d(a["z_channels"], a["z_channels"], 1)

    def forward(self, x):
        x = self.conv_in(x)
        for lv in self.down:
            for b in lv.block:
                x = b(x)
            if hasattr(lv, "downsample"):
                x = lv.downsample(x)
        return self.quant_conv(self.conv_out(act(self.norm_out, self.mid(x))))


class Decoder(nn.Module):
    def __init__(self, a):
        super().__init__()
        chs = [a["ch"] * m for m in a["ch_mult"]]
        c = chs[-1]
        self.post_quant_conv = nn.Conv2d(a["z_channels"], a["z_channels"], 1)
        self.conv_in = nn.Conv2d(a["z_channels"], c, 3, padding=1)
        self.mid = Mid(c)
        ups = [None] * len(chs)
        for i in reversed(range(len(chs))):
            ups[i] = Level(c, chs[i], a["num_res_blocks"][i])
            c = chs[i]
            if i > 0:
                ups[i].upsample = Up(c)
        self.up = nn.ModuleList(ups)
        self.norm_out = _norm(c)
        self.conv_out = nn.Conv2d(c, 3, 3, padding=1)

    def forward(self, q, head64=None):
        """head64: a head for training that ends after level 1, at 64 px."""
        x = self.mid(self.conv_in(self.post_quant_conv(q)))
        for i, lv in reversed(list(enumerate(self.up))):
            for b in lv.block:
                x = b(x)
            if i == 1 and head64 is not None:
                return head64[2](act(head64[0], x))
            if hasattr(lv, "upsample"):
                x = lv.upsample(x)
        return self.conv_out(act(self.norm_out, x))


class VQ(nn.Module):
    def __init__(self, arch=ARCH):
        super().__init__()
        self.encoder, self.decoder = Encoder(arch["encoder"]), Decoder(arch["decoder"])
        self.bits = arch["codebook_dim"]

    def codes(self, z):
        """[B, bits, h, w] -> [B, h*w]; the first channel is the most significant bit, 0 counts as bit 0."""
        b = (z > 0).long()
        w = 2 ** torch.arange(self.bits - 1, -1, -1, device=z.device)
        return (b * w.view(1, -1, 1, 1)).sum(1).flatten(1)

    def latents(self, codes, h=8, w=8):
        s = torch.arange(self.bits - 1, -1, -1)
        b = (codes.view(-1, 1, h, w) >> s.view(1, -1, 1, 1)) & 1
        return b.float() * 2 - 1


def shrink(x128):
    """128-px pictures to the encoder's 64 px, as Pillow's bicubic does it."""
    return F.interpolate(x128, size=(64, 64), mode="bicubic", antialias=True)
