"""Trains the picture tokenizer on scenes of the closed world. Resumable.

usage: train_vq.py PHASE MINUTES [BATCH] [LR]
  phase 1: encoder and decoder up to 64 px, with a head of its own that is dropped later
  phase 2: the decoder's last level (and, slowly, the rest of the decoder) at 128 px; the encoder stands still
The encoder must give the same codes for the same sticker wherever it stands:
noise on the latents before the sign and a margin term push them away from 0.
"""
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

import render as R
import vq
from optim import Muon
import world as W

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
phase = int(sys.argv[1])
minutes = float(sys.argv[2])
B = int(sys.argv[3]) if len(sys.argv) > 3 else 16
LR = float(sys.argv[4]) if len(sys.argv) > 4 else 2e-3
CYCLE = float(os.environ.get("CYCLE", "0"))
CKPT = "work/vq.pt"
NEW = int(os.environ.get("NEW", "0"))       # concepts at the end of the table that were added later: shown more often
DEV = os.environ.get("DEVICE", "cpu")
WEIGHTS = dict(one=0.32, beside=0.17, above=0.13, two=0.05, three=0.07, four=0.07, left=0.03, right=0.03, top=0.03, bottom=0.03, none=0.07)
st = R.load("work/stickers.npz")
torch.manual_seed(0)
net = vq.VQ().to(DEV)
if vq.FAST:
    net = net.to(memory_format=torch.channels_last)
c1 = vq.ARCH["decoder"]["ch"] * vq.ARCH["decoder"]["ch_mult"][1]
head = torch.nn.Sequential(vq._norm(c1), torch.nn.SiLU(), torch.nn.Conv2d(c1, 3, 3, padding=1)).to(DEV)
step = 0
c = torch.load(CKPT, map_location=DEV) if os.path.exists(CKPT) else None
if c:
    net.load_state_dict(c["net"]); head.load_state_dict(c["head"]); step = c["step"]
if c and c["phase"] != phase:       # the next phase starts from the averaged weights
    net.load_state_dict(c["ema"])
if phase == 1:
    ps = [p for n, p in net.named_parameters() if not n.startswith(("decoder.up.0.", "decoder.up.1.upsample", "decoder.norm_out", "decoder.conv_out"))] + list(head.parameters())
else:
    for p in net.encoder.parameters():
        p.requires_grad_(False)
    ps = list(net.decoder.parameters())
mats = [p for p in ps if p.ndim == 4 and min(p.shape[0], p[0].numel()) >= 12]
rest = [p for p in ps if all(p is not m for m in mats)]
muon = Muon(mats, momentum=0.9, wd=0.02)
opt = torch.optim.AdamW(rest, lr=LR, betas=(0.9, 0.98), weight_decay=0)
ema = {k: v.clone() for k, v in net.state_dict().items()}
if c and c["phase"] == phase:
    ema = c["ema"]; opt.load_state_dict(c["opt"]); muon.buf = c["muon"]
rng = np.random.default_rng(1000 + step)


def batch(n, r):
    ims, om = [], []
    for _ in range(n):
        s = W.random_scene(r, held=(r.random() < 0.1), weights=WEIGHTS)
        if NEW and r.random() < 0.6:
            s.names = [W.NAMES[W.NC - 1 - int(r.integers(NEW))] for _ in s.names]
        ims.append(R.compose(st, s)); om.append(R.object_mask(st, s))
    x = torch.from_numpy(np.stack(ims)).permute(0, 3, 1, 2).float() / 127.5 - 1
    x = x.contiguous(memory_format=torch.channels_last if vq.FAST else torch.contiguous_format)
    return x.to(DEV), torch.from_numpy(np.stack(om)).to(DEV)


def save():
    torch.save(dict(net=net.state_dict(), ema=ema, head=head.state_dict(), opt=opt.state_dict(), muon=muon.buf, phase=phase, step=step), CKPT + ".tmp")
    os.replace(CKPT + ".tmp", CKPT)


t0 = time.time(); s0 = step; last = t0; acc = []
while True:
    el = (time.time() - t0) / 60
    if el > minutes:
        break
    frac = el / minutes
    lr = LR * min(1, (step - s0 + 1) / 50) * (1 - frac if frac > 0.4 else 0.6) / 0.6
    for g in opt.param_groups:
        g["lr"] = max(lr, LR * 0.01)
    x, om = batch(B, rng)
    x64 = vq.shrink(x)
    with torch.autocast(DEV, torch.bfloat16), torch.set_grad_enabled(phase == 1):
        z = net.encoder(x64 + torch.randn_like(x64) * (0.03 * rng.random())).float()
    hard = torch.where(z > 0, 1.0, -1.0)
    if phase == 1:
        soft = torch.tanh(z + 0.3 * torch.randn_like(z))
        q = soft + (hard - soft).detach()
    else:
        q = hard
    with torch.autocast(DEV, torch.bfloat16):
        y = net.decoder(q, head if phase == 1 else None)
    y = y.float()
    if phase == 1:
        x = x64
    w = 0.35 + 1.3 * F.interpolate(om[:, None].float(), scale_factor=x.shape[-1] / 8, mode="nearest")
    e = (y - x)
    # edges carry the drawing: differences between neighbours count as well
    gx = (e[..., 1:] - e[..., :-1]).abs(); gy = (e[..., 1:, :] - e[..., :-1, :]).abs()
    rec = (w * (e.abs() + 2 * e * e)).mean() + 0.5 * (gx * w[..., 1:]).mean() + 0.5 * (gy * w[..., 1:, :]).mean()
    margin = F.relu(1.0 - z.abs()).mean()
    bal = (torch.tanh(z).mean((0, 2, 3)) ** 2).mean()
    loss = rec + 0.02 * margin + 0.02 * bal + 1e-4 * (z * z).mean()
    cyc = torch.zeros((), device=DEV)
    if phase == 1 and CYCLE and rng.random() < CYCLE:
        # pictures that were decoded must encode to the codes they came from
        k = max(2, B // 2)
        with torch.no_grad():
            b8 = (((y[:k].clamp(-1, 1) + 1) * 127.5).floor() / 127.5 - 1)
        with torch.autocast(DEV, torch.bfloat16):
            z2 = net.encoder(b8).float()
        cyc = F.relu(1.0 - z2 * hard[:k]).mean()
        loss = loss + 0.1 * cyc
    opt.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(rest, 1.0)
    muon.step(opt.param_groups[0]["lr"])
    opt.step(); step += 1
    d = min(0.998, (1 + step) / (10 + step))
    with torch.no_grad():
        for k, v in net.state_dict().items():
            ema[k].lerp_(v, 1 - d)
    acc.append([float(v.detach()) for v in (rec, margin, bal, (e * e).mean(), cyc)])
    if step % 100 == 0:
        m = np.mean(acc, 0); acc = []
        ps = -10 * np.log10(m[3] / 4)
        used = len(torch.unique(net.codes(z)))
        print(f"{step} {el:.1f}min rec {m[0]:.4f} margin {m[1]:.3f} bal {m[2]:.3f} cyc {m[4]:.3f} psnr {ps:.2f} codes {used} {100 * B / (time.time() - last):.1f} im/s", flush=True)
        last = time.time()
        if time.time() - globals().get("lastsave", 0) > 90:
            save(); lastsave = time.time()
save()
print("done", step)
