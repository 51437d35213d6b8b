"""Trains the transformer on all tasks at once. Resumable; a file work/mix.json may change the mix while it runs.

usage: train.py OUT MINUTES [--opt muon|adamw] [--lr LR] [--decay MINUTES_OF_DECAY_AT_THE_END]
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

ap = argparse.ArgumentParser()
ap.add_argument("out")
ap.add_argument("minutes", type=float)
ap.add_argument("--opt", default="muon")
ap.add_argument("--lr", type=float, default=2e-3)
ap.add_argument("--decay", type=float, default=0)
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
ema = [p.detach().clone() for p in net.parameters()]
step, spent = 0, 0.0
CK = f"work/{A.out}.pt"
src = CK if os.path.exists(CK) else A.init
if src:
    c = torch.load(src)
    net.load_state_dict(c["net"]); ema = c["ema"]; step = c["step"]; spent = c["spent"]
    if "opt" in c:
        opt.load_state_dict(c["opt"])
    if muon and c.get("muon"):
        muon.buf = c["muon"]
    print("resumed", src, step, round(spent), flush=True)
start_step = step
FAST = bool(os.environ.get("FASTOPS"))
if FAST:                       # bf16 copies of the matrices for the passes; the float32 ones are stepped
    import fastops
    wide = {n: p for n, p in net.named_parameters() if p.ndim == 2}
    wt = {n: p.detach().bfloat16().requires_grad_() for n, p in wide.items()}


def save():
    torch.save(dict(net=net.state_dict(), ema=ema, opt=opt.state_dict(), muon=muon.buf if muon else None, step=step, spent=spent, cfg=net.cfg), CK + ".tmp")
    os.replace(CK + ".tmp", CK)
    names = [n for n, _ in net.named_parameters()]
    torch.save(dict(ema=dict(zip(names, [e.clone() for e in ema])), step=step, cfg=net.cfg), f"work/{A.out}.ema.pt.tmp")
    os.replace(f"work/{A.out}.ema.pt.tmp", f"work/{A.out}.ema.pt")


MIX = dict(n=dict(t2i=10, mmu=12, text=10, sums=12), w=dict(t2i=1.0, mmu=1.0, text=0.8, sums=1.0), scene=None)


def mix():
    try:
        m = json.load(open("work/mix.json"))
        return dict(n={**MIX["n"], **m.get("n", {})}, w={**MIX["w"], **m.get("w", {})}, scene=m.get("scene"), lr=m.get("lr"))
    except (OSError, ValueError):
        return MIX


rng = np.random.default_rng(step * 7 + 1)
mx = mix()
t0 = time.time(); acc = {}; last = t0; lastsave = t0; toks = 0; prev = t0
while time.time() - t0 < A.minutes * 60:
    if step % 50 == 0:
        mx = mix()
    gs, masks, tg, ws, names = [], [], [], [], []
    for t in tasks:
        n = mx["n"][t]
        if not n:
            continue
        vis = None
        if t == "t2i":
            ids, y, w, vis = D.batch_t2i(rng, bank, n, mx["scene"])
        elif t == "mmu":
            ids, y, w = D.batch_mmu(rng, bank, n, mx["scene"])
        elif t == "text":
            ids, y, w = D.batch_text(rng, n)
        else:
            ids, y, w = D.batch_sums(rng, n)
        gs.append(torch.from_numpy(ids))
        masks.append(None if vis is None else torch.from_numpy(vis)[:, None, None, :])
        tg.append(torch.from_numpy(y).view(-1)); ws.append(torch.from_numpy(w).view(-1)); names.append(t)
        toks += ids.size
    with torch.autocast("cpu", torch.bfloat16, enabled=not FAST):
        h = fastops.hidden(net, wt, gs, masks) if FAST else net.hidden(gs, masks)
        table = wt["wte.weight"] if FAST else net.wte.weight
        loss, o = 0.0, 0
        for t, y, w in zip(names, tg, ws):
            sel = (y >= 0).nonzero().squeeze(1)
            hh = h[o + sel]
            o += len(y)
            # text is sampled over the whole vocabulary, pictures over the codes alone
            E = table[D.OFF:] if t == "t2i" else table
            ce = F.cross_entropy((hh @ E.T).float(), y[sel], reduction="none")
            ww = w[sel]
            l = (ce * ww).sum() / ww.sum()
            loss = loss + mx["w"][t] * l
            acc.setdefault(t, []).append(float(l.detach()))
    loss.backward()
    if FAST:
        for n, p in wide.items():
            p.grad, wt[n].grad = wt[n].grad.float(), None
    torch.nn.utils.clip_grad_norm_(rest, 1.0)
    el = (time.time() - t0) / 60
    lr = (mx.get("lr") or A.lr) * min(1.0, (step - start_step + 1) / (100 if start_step == 0 else 20))
    if A.decay and el > A.minutes - A.decay:
        lr *= max(0.02, (A.minutes - el) / A.decay)
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
                wt[n].copy_(p)
    if step % 4 == 0:
        d = min(0.998, (10 + step) / (100 + step)) ** 4
        with torch.no_grad():
            torch._foreach_lerp_(ema, list(net.parameters()), 1 - d)
    now = time.time(); spent += now - prev; prev = now
    if step % 100 == 0:
        print(f"{step} {el:.1f}min lr {lr:.1e} " + " ".join(f"{k} {np.mean(v):.3f}" for k, v in acc.items()) + f" {100 / (now - last):.2f} step/s {toks / (now - last):.0f} tok/s", flush=True)
        acc, last, toks = {}, now, 0
        if now - lastsave > 150:
            save(); lastsave = now
save()
print("done", step)
