"""Compares the exported files with the training model and writes check vectors.

A forward pass written from scratch in numpy reads the safetensors; it must agree with
the training code on the same rounded weights. The vectors (check.json) are what any
other implementation of the formats must give.

usage: check_export.py TRANSFORMER.ema.pt [FOLDER]
"""
import json
import struct
import sys

import numpy as np
import torch

import data as D
import model as M
import vq
import world as W


def read(path):
    f = open(path, "rb")
    n = struct.unpack("<Q", f.read(8))[0]
    h = json.loads(f.read(n))
    b = f.read()
    out = {}
    for k, v in h.items():
        if k == "__metadata__":
            continue
        s, e = v["data_offsets"]
        if v["dtype"] == "BF16":
            a = (np.frombuffer(b[s:e], np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            a = np.frombuffer(b[s:e], {"F32": np.float32, "I64": np.int64}[v["dtype"]])
        out[k] = a.reshape(v["shape"])
    return out


# ------------------------------------------------------------ transformer
def forward(t, c, ids):
    d, H = c["d_model"], c["n_heads"]
    hd, n = d // H, len(ids)
    p = "model.transformer."

    def norm(x, w):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + c["rms_norm_eps"]) * w
    inv = 1.0 / c["rope_theta"] ** (np.arange(0, hd, 2) / hd)
    ang = np.arange(n)[:, None] * inv
    cos, sin = np.cos(np.concatenate([ang, ang], 1)), np.sin(np.concatenate([ang, ang], 1))

    def rot(x):
        a, b = x[..., :hd // 2], x[..., hd // 2:]
        return x * cos[:, None] + np.concatenate([-b, a], -1) * sin[:, None]
    x = t[p + "wte.weight"].astype(np.float64)[ids]
    for i in range(c["n_layers"]):
        w = {k: t[f"{p}blocks.{i}.{k}.weight"].astype(np.float64) for k in ("attn_norm", "q_proj", "k_proj", "v_proj", "attn_out", "ff_norm", "ff_proj", "up_proj", "ff_out")}
        h = norm(x, w["attn_norm"])
        q, k, v = ((h @ w[m].T).reshape(n, H, hd) for m in ("q_proj", "k_proj", "v_proj"))
        s = np.einsum("ihd,jhd->hij", rot(q), rot(k)) / np.sqrt(hd)
        s = np.exp(s - s.max(-1, keepdims=True)); s /= s.sum(-1, keepdims=True)
        x = x + np.einsum("hij,jhd->ihd", s, v).reshape(n, d) @ w["attn_out"].T
        h = norm(x, w["ff_norm"])
        g = h @ w["ff_proj"].T
        x = x + (g / (1 + np.exp(-g)) * (h @ w["up_proj"].T)) @ w["ff_out"].T
    return norm(x, t[p + "ln_f.weight"]) @ t[p + "wte.weight"].astype(np.float64).T


# ------------------------------------------------------------ picture tokenizer
def conv(x, w, b, stride=1, pad=(1, 1, 1, 1)):
    """x [C, H, W]; pad = top, bottom, left, right."""
    k = w.shape[-1]
    if k == 1:
        return np.einsum("oc,chw->ohw", w[:, :, 0, 0], x) + b[:, None, None]
    x = np.pad(x, ((0, 0), pad[:2], pad[2:]))
    H, Wd = (x.shape[1] - k) // stride + 1, (x.shape[2] - k) // stride + 1
    o = np.zeros((w.shape[0], H, Wd)) + b[:, None, None]
    for i in range(k):
        for j in range(k):
            o += np.einsum("oc,chw->ohw", w[:, :, i, j], x[:, i:i + H * stride:stride, j:j + Wd * stride:stride])
    return o


class Net:
    def __init__(self, t, arch):
        self.t, self.a = t, arch

    def c(self, n, x, **k):
        return conv(x, self.t[n + ".weight"], self.t[n + ".bias"], **k)

    def norm(self, n, x):
        g = x.reshape(self.a["group_norm_groups"], -1)
        g = (g - g.mean(1, keepdims=True)) / np.sqrt(g.var(1, keepdims=True) + self.a["group_norm_eps"])
        return g.reshape(x.shape) * self.t[n + ".weight"][:, None, None] + self.t[n + ".bias"][:, None, None]

    @staticmethod
    def act(x):
        return x / (1 + np.exp(-x))

    def res(self, n, x):
        h = self.c(n + ".conv1", self.act(self.norm(n + ".norm1", x)))
        h = self.c(n + ".conv2", self.act(self.norm(n + ".norm2", h)))
        return h + (self.c(n + ".nin_shortcut", x) if n + ".nin_shortcut.weight" in self.t else x)

    def mid(self, n, x):
        x = self.res(n + ".block_1", x)
        C, H, Wd = x.shape
        y = self.norm(n + ".attn_1.norm", x)
        q, k, v = (self.c(f"{n}.attn_1.{m}", y).reshape(C, -1) for m in "qkv")
        s = q.T @ k * C ** -0.5
        s = np.exp(s - s.max(1, keepdims=True)); s /= s.sum(1, keepdims=True)
        x = x + self.c(n + ".attn_1.proj_out", (v @ s.T).reshape(C, H, Wd))
        return self.res(n + ".block_2", x)

    def encode(self, x):
        a = self.a["encoder"]
        x = self.c("encoder.conv_in", x)
        for i, n in enumerate(a["num_res_blocks"]):
            for j in range(n):
                x = self.res(f"encoder.down.{i}.block.{j}", x)
            if i + 1 < len(a["num_res_blocks"]):
                x = self.c(f"encoder.down.{i}.downsample.conv", x, stride=2, pad=(0, 1, 0, 1))
        x = self.act(self.norm("encoder.norm_out", self.mid("encoder.mid", x)))
        return self.c("encoder.quant_conv", self.c("encoder.conv_out", x))

    def decode(self, codes):
        a = self.a["decoder"]
        b = (codes[None] >> np.arange(self.a["codebook_dim"] - 1, -1, -1)[:, None]) & 1
        x = (b * 2.0 - 1).reshape(-1, 8, 8)
        x = self.mid("decoder.mid", self.c("decoder.conv_in", self.c("decoder.post_quant_conv", x)))
        for i in reversed(range(len(a["num_res_blocks"]))):
            for j in range(a["num_res_blocks"][i]):
                x = self.res(f"decoder.up.{i}.block.{j}", x)
            if i:
                x = self.c(f"decoder.up.{i}.upsample.conv", x.repeat(2, 1).repeat(2, 2))
        return self.c("decoder.conv_out", self.act(self.norm("decoder.norm_out", x)))


def test_picture():
    """64x64, from a formula: r = 4x, g = 4y, b = 2 (x xor y), with a white square of 24 px in the middle."""
    y, x = np.mgrid[0:64, 0:64]
    im = np.stack([4 * x, 4 * y, 2 * (x ^ y)], -1).astype(np.uint8)
    im[20:44, 20:44] = 255
    return im


def main():
    ck, out = sys.argv[1], (sys.argv[2] if len(sys.argv) > 2 else "..")
    t = read(out + "/model.safetensors")
    c = json.load(open(out + "/config.json"))
    arch = json.load(open(out + "/vq/architecture.json"))
    vt = {k: v.astype(np.float64) for k, v in read(out + "/vq/pytorch_model.safetensors").items()}
    assert c["vocab_size"] == c["embedding_size"] == c["new_vocab_size"] == t["model.transformer.wte.weight"].shape[0] == D.VOCAB
    e = torch.load(ck)
    net = M.Model(D.VOCAB, e["cfg"])
    net.load_state_dict({k: v.bfloat16().float() for k, v in e["ema"].items()})
    net.eval()
    bank = D.Bank("work/bank.npz")
    scene = W.Scene("one", ["cat"], "blue")
    codes = bank.get(scene)[0].astype(int)
    cases = {
        "chat": D.chat([("user", "What colour is a banana?")]) + [D.MASK] * 16,
        "t2i": D.t2i_prompt("a cat on a blue background") + [D.MASK] * D.NT + [D.EOI],
        "mmu": D.mmu_prompt(codes, "What is this?") + [D.MASK] * 16,
        "sum": D.chat([("user", W.THINKING_PREFIX + "What is 47+38?")]) + [D.MASK] * 32,
    }
    texts = {"chat": "What colour is a banana?", "t2i": "a cat on a blue background", "mmu": "What is this?", "sum": W.THINKING_PREFIX + "What is 47+38?"}
    res = {"note": "float64 forward on the stored bf16 weights. logits: [position, id, value]. argmax over the whole vocabulary (text) or the codes alone (t2i) at the masked positions.",
           "offset": D.OFF, "mask": D.MASK, "sequences": {}, "vq": {}}
    for name, ids in cases.items():
        lg = forward(t, c, np.array(ids))
        with torch.no_grad():
            ref = net(torch.tensor([ids]))[0].double().numpy()
        err = np.abs(lg - ref).max()
        pos = [i for i, x in enumerate(ids) if x == D.MASK]
        part = lg[pos][:, D.OFF:] if name == "t2i" else lg[pos]
        am = part.argmax(1)
        s = np.sort(part, 1)
        gap = (s[:, -1] - s[:, -2])
        pick = pos[:: max(1, len(pos) // 6)]
        res["sequences"][name] = {
            "text": texts[name], "input_ids": [int(x) for x in ids], "masked": pos,
            "argmax": [int(x) for x in am], "argmax_gap": [round(float(x), 4) for x in gap],
            "logits": [[int(i), int(j), round(float(lg[i, j]), 5)] for i in pick for j in sorted({int(lg[i].argmax()), 10, D.EOT, D.OFF, D.OFF + 1234})],
        }
        print(f"{name}: max difference to the training code {err:.2e}, least argmax gap {gap.min():.3f}")
        assert err < 5e-3
    n = Net(vt, arch)
    im = test_picture()
    z = n.encode(im.transpose(2, 0, 1) / 127.5 - 1)
    b = (z > 0).astype(int).reshape(z.shape[0], -1)
    ids = (b * (2 ** np.arange(D.BITS - 1, -1, -1))[:, None]).sum(0)
    v = vq.VQ()
    v.load_state_dict({k: x.bfloat16().float() for k, x in torch.load("work/vq.pt")["ema"].items()})
    v.eval()
    with torch.no_grad():
        tz = v.encoder(torch.from_numpy(im).permute(2, 0, 1)[None].float() / 127.5 - 1)[0].double().numpy()
        ty = v.decoder(v.latents(torch.from_numpy(codes)[None]))[0].double().numpy()
    y = n.decode(codes)
    print(f"vq: z {np.abs(z - tz).max():.2e}, decoded {np.abs(y - ty).max():.2e}, least |z| {np.abs(z).min():.4f}")
    assert np.abs(z - tz).max() < 5e-3 and np.abs(y - ty).max() < 5e-3
    px = [(8, 8), (40, 64), (64, 40), (64, 64), (80, 90), (100, 30), (127, 127), (0, 127)]
    res["vq"] = {
        "picture": test_picture.__doc__, "normalise": "v / 127.5 - 1", "encode_ids": [int(x) for x in ids],
        "least_abs_z": round(float(np.abs(z).min()), 5), "z_first_position": [round(float(x), 5) for x in z[:, 0, 0]],
        "decode_codes": [int(x) for x in codes],
        "decode_codes_of": "a cat on a blue background, rendered at 128 px, shrunk to 64 px (bicubic, antialias), encoded",
        "decoded": [[r, q] + [round(float(x), 5) for x in y[:, r, q]] for r, q in px],
        "decoded_note": "[row, column, r, g, b] before clamping, 128x128",
    }
    json.dump(res, open(out + "/check.json", "w"), separators=(",", ":"))
    import os
    print("check.json", os.path.getsize(out + "/check.json"))


if __name__ == "__main__":
    main()
