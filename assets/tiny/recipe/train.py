"""Trains the transformer on all tasks at once. Resumable; a file work/mix.json may change the mix while it runs.

usage: train.py OUT MINUTES [--opt muon|adamw] [--lr LR] [--stages FILE]
"""
import argparse
import json
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

import data as D
import model as M
from optim import Muon

MID = 2                        # the block behind which every picture cell names its sticker


class Extra:
    """What only training has: a part of the code embeddings that is linear in the code's bits (codes that differ in a
    bit or two share most of it; folded into the table on export), and a head that names every picture cell."""

    def __init__(self, d):
        self.bits = torch.zeros(D.BITS, d, requires_grad=True)
        self.cells = (torch.randn(D.CELL_CLASSES, d) * 0.02).requires_grad_()
        n = torch.arange(1 << D.BITS)[:, None]
        self.sign = (((n >> torch.arange(D.BITS - 1, -1, -1)) & 1) * 2 - 1).float()

    def fold(self, table, bits):
        t = table.detach().clone()
        t[D.OFF:] += self.sign @ bits.detach()
        return t


ap = argparse.ArgumentParser()
ap.add_argument("out")
ap.add_argument("minutes", type=float)
ap.add_argument("--opt", default="muon")
ap.add_argument("--lr", type=float, default=2e-3)
ap.add_argument("--stages", default="", help="a file of stages: shares of the minutes, mix and rate of each")
ap.add_argument("--mix", default="work/mix.json")
ap.add_argument("--tasks", default="t2i,mmu,text,sums")
ap.add_argument("--bank", default="work/bank.npz")
ap.add_argument("--init", default="")
ap.add_argument("--ns", type=int, default=4)
A = ap.parse_args()
torch.set_num_threads(1)
torch.manual_seed(0)
tasks = A.tasks.split(",")
bank = D.Bank(A.bank) if ("t2i" in tasks or "mmu" in tasks) else None
net = M.Model(D.VOCAB)
mats = [p for n, p in net.named_parameters() if p.ndim == 2 and "wte" not in n]
rest = [p for n, p in net.named_parameters() if p.ndim != 2 or "wte" in n]


muon = Muon(mats, iters=A.ns) if A.opt == "muon" else None
opt = torch.optim.AdamW([{"params": [net.wte.weight], "weight_decay": 0.0}, {"params": [p for p in rest if p is not net.wte.weight], "weight_decay": 0.0}]
                        + ([] if muon else [{"params": mats, "weight_decay": 0.02}]), lr=A.lr, betas=(0.9, 0.98), eps=1e-9)
extra = Extra(net.cfg["d_model"])
opt.add_param_group({"params": [extra.bits], "weight_decay": 0.0})
opt.add_param_group({"params": [extra.cells], "weight_decay": 0.0})
ema = [p.detach().clone() for p in net.parameters()]
ema_bits = extra.bits.detach().clone()
step, spent = 0, 0.0
CK = f"work/{A.out}.pt"
src = CK if os.path.exists(CK) else A.init
if src:
    c = torch.load(src)
    net.load_state_dict(c["net"]); ema = c["ema"]; step = c["step"]; spent = c["spent"]
    if "bits" in c:
        with torch.no_grad():
            extra.bits.copy_(c["bits"]); extra.cells.copy_(c["cells"]); ema_bits.copy_(c["ema_bits"])
    if "opt" in c and len(c["opt"]["param_groups"]) == len(opt.param_groups):
        opt.load_state_dict(c["opt"])
    if muon and c.get("muon"):
        muon.buf = c["muon"]
    print("resumed", src, step, round(spent), flush=True)
start_step = step
FAST = bool(os.environ.get("FASTOPS"))
if FAST:                       # bf16 copies of the matrices for the passes; the float32 ones are stepped
    import fastops
    wide = {n: p for n, p in net.named_parameters() if p.ndim == 2}
    wt = {n: (extra.fold(p, extra.bits) if n == "wte.weight" else p.detach()).bfloat16().requires_grad_() for n, p in wide.items()}


def save():
    torch.save(dict(net=net.state_dict(), ema=ema, opt=opt.state_dict(), muon=muon.buf if muon else None, bits=extra.bits.detach(), cells=extra.cells.detach(), ema_bits=ema_bits, step=step, spent=spent, cfg=net.cfg), CK + ".tmp")
    os.replace(CK + ".tmp", CK)
    names = [n for n, _ in net.named_parameters()]
    folded = {n: (extra.fold(e, ema_bits) if n == "wte.weight" else e.clone()) for n, e in zip(names, ema)}
    torch.save(dict(ema=folded, step=step, cfg=net.cfg), f"work/{A.out}.ema.pt.tmp")
    os.replace(f"work/{A.out}.ema.pt.tmp", f"work/{A.out}.ema.pt")


MIX = dict(n=dict(t2i=10, mmu=12, text=10, sums=12), w=dict(t2i=1.0, joint=0.3, mmu=1.0, text=0.8, sums=1.0, cells=0.5), scene=None)
STAGES = json.load(open(A.stages))["stages"] if A.stages else None


def mix(at):
    """The mix at the share `at` of all minutes: from the stages file, changed by work/mix.json where there is one.
    Rates run evenly (in their logarithm) from the first to the second number of a stage, to nothing where that is 0."""
    m = dict(MIX)
    if STAGES:
        o, total = 0.0, sum(s["share"] for s in STAGES)
        for s in STAGES:
            f = min(1.0, max(0.0, (at * total - o) / s["share"]))
            o += s["share"]
            if at * total < o or s is STAGES[-1]:
                a, b = s["lr"]
                m.update(n={**MIX["n"], **s.get("n", {})}, w={**MIX["w"], **s.get("w", {})}, scene=s.get("scene"),
                         lr=a * (b / a) ** f if b else a * max(0.01, 1 - f), stage=s["name"])
                break
    try:
        u = json.load(open(A.mix))
    except (OSError, ValueError):
        return m
    return {**m, **{k: ({**m[k], **v} if k in ("n", "w") else v) for k, v in u.items()}}


rng = np.random.default_rng(step * 7 + 1)
mx = mix(spent / (A.minutes * 60))
t0 = time.time(); acc = {}; last = t0; lastsave = t0; toks = 0; prev = t0
while spent < A.minutes * 60:
    if step % 20 == 0:
        mx = mix(spent / (A.minutes * 60))
    gs, masks, tg, ws, names, cellpos, cellcls, base = [], [], [], [], [], [], [], toks
    for t in tasks:
        n = mx["n"][t]
        if not n:
            continue
        vis = cells = None
        if t == "t2i":
            ids, y, w, vis, *cells = D.batch_t2i(rng, bank, n, mx["scene"])
        elif t == "mmu":
            ids, y, w, *cells = D.batch_mmu(rng, bank, n, mx["scene"])
        elif t == "text":
            ids, y, w = D.batch_text(rng, n)
        else:
            ids, y, w = D.batch_sums(rng, n)
        gs.append(torch.from_numpy(ids))
        masks.append(None if vis is None else torch.from_numpy(vis)[:, None, None, :])
        tg.append(torch.from_numpy(y).view(-1)); ws.append(torch.from_numpy(w).view(-1)); names.append(t)
        if cells:              # (positions in the batch, classes)
            cellpos.append(torch.from_numpy(cells[0]) + toks - base)
            cellcls.append(torch.from_numpy(cells[1]))
        toks += ids.size
    with torch.autocast("cpu", torch.bfloat16, enabled=not FAST):
        h, tap = fastops.hidden(net, wt, gs, masks, MID) if FAST else net.hidden(gs, masks, MID)
        table = wt["wte.weight"] if FAST else net.wte.weight
        loss, o = 0.0, 0
        for t, y, w in zip(names, tg, ws):
            sel = (y >= 0).nonzero().squeeze(1)
            # text is sampled over the whole vocabulary, pictures over the codes alone
            parts = [(t, sel, 0)]
            if t == "t2i":
                is_code = y[sel] >= D.OFF
                parts = [(t, sel[is_code], D.OFF), ("joint", sel[~is_code], 0)]
            for name, idx, first in parts:
                if not len(idx):
                    continue
                ce = F.cross_entropy((h[o + idx] @ table[first:].T).float(), y[idx] - first, reduction="none")
                ww = w[idx]
                l = (ce * ww).sum() / ww.sum()
                loss = loss + mx["w"].get(name, 0.3) * l
                acc.setdefault(name, []).append(float(l.detach()))
            o += len(y)
        if cellpos:
            hc = F.rms_norm(tap[torch.cat(cellpos)].float(), tap.shape[-1:])
            l = F.cross_entropy(hc @ extra.cells.T, torch.cat(cellcls))
            loss = loss + mx["w"].get("cells", 0.5) * l
            acc.setdefault("cells", []).append(float(l.detach()))
    loss.backward()
    if FAST:
        for n, p in wide.items():
            p.grad, wt[n].grad = wt[n].grad.float(), None
        extra.bits.grad = extra.sign.T @ net.wte.weight.grad[D.OFF:]
    torch.nn.utils.clip_grad_norm_(rest, 1.0)
    el = (time.time() - t0) / 60
    lr = (mx.get("lr") or A.lr) * min(1.0, (step - start_step + 1) / (100 if start_step == 0 else 20))
    for g in opt.param_groups:
        g["lr"] = lr * (0.4 if muon else 1.0)      # the tied embedding and the norms
    if muon:
        muon.step(lr)
    else:
        torch.nn.utils.clip_grad_norm_(mats, 1.0)
    opt.step(); opt.zero_grad(set_to_none=True)
    step += 1
    if FAST:
        with torch.no_grad():
            for n, p in wide.items():
                wt[n].copy_(extra.fold(p, extra.bits) if n == "wte.weight" else p)
    if step % 4 == 0:
        d = min(0.998, (10 + step) / (100 + step)) ** 4
        with torch.no_grad():
            torch._foreach_lerp_(ema, list(net.parameters()), 1 - d)
            ema_bits.lerp_(extra.bits, 1 - d)
    now = time.time(); spent += now - prev; prev = now
    if step % 100 == 0:
        print(f"{step} {el:.1f}min lr {lr:.1e} " + " ".join(f"{k} {np.mean(v):.3f}" for k, v in acc.items()) + f" {100 / (now - last):.2f} step/s {toks / (now - last):.0f} tok/s", flush=True)
        acc, last, toks = {}, now, 0
        if now - lastsave > 120:
            save(); lastsave = now
save()
print("done", step)
