"""Trains the transformer on all tasks at once. Resumable: the batch of a step depends on the seed and the step alone.

usage: train.py OUT MINUTES [--preset cpu|gpu] [--stages stages.json] [--init CHECKPOINT]
A file work/mix.json may change rows, weights, scenes and rate while it runs.
"""
import argparse
import collections
import json
import multiprocessing
import os
import signal
import time

import numpy as np
import torch
import torch.nn.functional as F

import data as D
import model as M
from optim import Muon

TASKS = ("t2i", "mmu", "text", "sums")
MIX = dict(n=dict(t2i=10, mmu=12, text=10, sums=12), w=dict(t2i=1.0, joint=0.3, mmu=1.0, text=0.8, sums=1.0, cells=0.5), scene=None, scene_t2i=None, lr=2e-3)
SEED = 7
MID = 2                        # the block behind which every picture cell names its sticker


class Extra:
    """What only training has: a part of the code embeddings that is linear in the code's bits (codes that differ in a
    bit or two share most of it; folded into the table on export), and a head that names every picture cell."""

    def __init__(self, d, device="cpu"):
        self.bits = torch.zeros(D.BITS, d, device=device, requires_grad=True)
        self.cells = (torch.randn(D.CELL_CLASSES, d) * 0.02).to(device).requires_grad_()
        n = torch.arange(1 << D.BITS)[:, None]
        self.sign = (((n >> torch.arange(D.BITS - 1, -1, -1)) & 1) * 2 - 1).float().to(device)

    def fold(self, table, bits):
        t = table.detach().clone()
        t[D.OFF:] += self.sign @ bits.detach()
        return t


def options():
    ap = argparse.ArgumentParser()
    ap.add_argument("out")
    ap.add_argument("minutes", type=float)
    ap.add_argument("--preset", default="cpu", help="a row of presets.json")
    ap.add_argument("--stages", default="", help="a file of stages: shares of the minutes, mix and rate of each")
    ap.add_argument("--mix", default="work/mix.json")
    ap.add_argument("--bank", default="work/bank.npz")
    ap.add_argument("--init", default="")
    a = ap.parse_args()
    p = json.load(open(os.path.join(D.HERE, "presets.json")))[a.preset]
    for k, v in p.items():
        setattr(a, k, v)
    return a


def mix_at(a, stages, at):
    """The mix at the share `at` of all minutes: from the stages, changed by work/mix.json where there is one.
    Rates run evenly (in their logarithm) from the first to the second number of a stage, straight to nothing where that is 0."""
    m, o, total = dict(MIX), 0.0, sum(s["share"] for s in stages)
    for s in stages:
        f = min(1.0, max(0.0, (at * total - o) / s["share"]))
        o += s["share"]
        if at * total < o or s is stages[-1]:
            x, y = s["lr"]
            m.update({k: s[k] for k in ("scene", "scene_t2i") if k in s})
            m.update(n={**MIX["n"], **s.get("n", {})}, w={**MIX["w"], **s.get("w", {})}, lr=x * (y / x) ** f if y else x * max(0.01, 1 - f))
            break
    try:
        u = json.load(open(a.mix))
    except (OSError, ValueError):
        u = {}
    return {**m, **{k: ({**m[k], **v} if k in ("n", "w") else v) for k, v in u.items()}}


def make_batch(step, n, scene, scene_t2i, bank, scale):
    """[(task, ids, targets, weights, visible or None, cell positions in the group, cell classes)]."""
    out = []
    for k, t in enumerate(TASKS):
        if not n[t]:
            continue
        r = np.random.default_rng([SEED, step, k])
        rows = int(n[t] * scale)
        if t == "t2i":
            out.append((t, *D.batch_t2i(r, bank, rows, scene_t2i or scene)))
        elif t == "mmu":
            ids, y, w, at, cls = D.batch_mmu(r, bank, rows, scene)
            out.append((t, ids, y, w, None, at, cls))
        else:
            out.append((t, *(D.batch_text if t == "text" else D.batch_sums)(r, rows), None, None, None))
    return out


_bank = None


def _start(path):
    global _bank
    _bank = D.Bank(path)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _make(args):
    return make_batch(*args[:4], _bank, args[4])


class Batches:
    """Batches of the steps from `step` on; with workers they are made ahead in other processes."""

    def __init__(self, a, step):
        self.a, self.next, self.queue = a, step, collections.deque()
        self.pool = multiprocessing.get_context("fork").Pool(a.workers, _start, (a.bank,)) if a.workers else None
        self.bank = None if self.pool else D.Bank(a.bank)

    def get(self, mix):
        job = lambda s: (s, mix["n"], mix["scene"], mix["scene_t2i"], self.a.scale)
        if not self.pool:
            s, self.next = self.next, self.next + 1
            return make_batch(*job(s)[:4], self.bank, self.a.scale)
        while len(self.queue) < 3 * self.a.workers:
            self.queue.append(self.pool.apply_async(_make, (job(self.next),)))
            self.next += 1
        return self.queue.popleft().get()

    def close(self):
        if self.pool:
            self.pool.terminate()
            self.pool.join()


class Trainer:
    def __init__(self, a):
        self.a, dev = a, a.device
        self.net = net = M.Model(D.VOCAB, {**M.CFG, **a.model}).to(dev)
        self.extra = Extra(net.cfg["d_model"], dev)
        self.mats = [p for n, p in net.named_parameters() if p.ndim == 2 and "wte" not in n]
        self.rest = [net.wte.weight] + [p for p in net.parameters() if p.ndim != 2]
        self.muon = Muon(self.mats)
        groups = [[net.wte.weight], self.rest[1:], [self.extra.bits], [self.extra.cells]]
        self.opt = torch.optim.AdamW([{"params": g, "weight_decay": 0.0} for g in groups], lr=1e-3, betas=(0.9, 0.98), eps=1e-9)
        self.ema = [p.detach().clone() for p in net.parameters()]
        self.ema_bits = self.extra.bits.detach().clone()
        self.step, self.spent = 0, 0.0
        self.path = f"work/{a.out}.pt"
        self.load(self.path if os.path.exists(self.path) else a.init)
        self.first = self.step
        self.fast = bool(os.environ.get("FASTOPS")) and dev == "cpu"
        if self.fast:            # bf16 copies of the matrices for the passes; the float32 ones are stepped
            import fastops
            self.ops = fastops
            self.wide = {n: p for n, p in net.named_parameters() if p.ndim == 2}
            self.wt = {n: torch.empty_like(p, dtype=torch.bfloat16).requires_grad_() for n, p in self.wide.items()}
            self.copy()

    def load(self, src):
        if not src:
            return
        c = torch.load(src, map_location=self.a.device)
        self.net.load_state_dict(c["net"])
        self.ema, self.step, self.spent = c["ema"], c["step"], c["spent"]
        if "bits" in c:
            with torch.no_grad():
                self.extra.bits.copy_(c["bits"]); self.extra.cells.copy_(c["cells"]); self.ema_bits.copy_(c["ema_bits"])
        if "opt" in c:
            self.opt.load_state_dict(c["opt"])
        if c.get("muon"):
            self.muon.buf = c["muon"]
        print("resumed", src, self.step, round(self.spent), flush=True)

    def save(self):
        names = [n for n, _ in self.net.named_parameters()]
        folded = {n: (self.extra.fold(e, self.ema_bits) if n == "wte.weight" else e.clone()).cpu() for n, e in zip(names, self.ema)}
        full = dict(net=self.net.state_dict(), ema=self.ema, opt=self.opt.state_dict(), muon=self.muon.buf, bits=self.extra.bits.detach(),
                    cells=self.extra.cells.detach(), ema_bits=self.ema_bits, step=self.step, spent=self.spent, cfg=self.net.cfg)
        for path, what in ((self.path, full), (f"work/{self.a.out}.ema.pt", dict(ema=folded, step=self.step, cfg=self.net.cfg))):
            torch.save(what, path + ".tmp")
            os.replace(path + ".tmp", path)

    def copy(self):
        with torch.no_grad():
            for n, p in self.wide.items():
                self.wt[n].copy_(self.extra.fold(p, self.extra.bits) if n == "wte.weight" else p)

    def passes(self, gs, masks):
        """(hidden states, residual stream behind block MID, table of embeddings)."""
        if self.fast:
            return *self.ops.hidden(self.net, self.wt, gs, masks, MID), self.wt["wte.weight"]
        # the bits' part of the table joins the graph here
        codes = self.net.wte.weight[D.OFF:] + self.extra.sign @ self.extra.bits
        table = torch.cat([self.net.wte.weight[:D.OFF], codes])
        return *self.net.hidden(gs, masks, MID, table), table

    def loss(self, batch, weights, acc):
        dev = self.a.device
        gs = [torch.from_numpy(b[1]).to(dev, non_blocking=True) for b in batch]
        masks = [None if b[4] is None else torch.from_numpy(b[4]).to(dev)[:, None, None, :] for b in batch]
        h, tap, table = self.passes(gs, masks)
        total, o, pos, cls = 0.0, 0, [], []
        for t, ids, y, w, _, at, cc in batch:
            sel = np.flatnonzero(y.reshape(-1) >= 0)
            yy = y.reshape(-1)[sel]
            # text is sampled over the whole vocabulary, pictures over the codes alone
            parts = [(t, sel, 0)] if t != "t2i" else [(t, sel[yy >= D.OFF], D.OFF), ("joint", sel[yy < D.OFF], 0)]
            for name, idx, first in parts:
                if not len(idx):
                    continue
                want = torch.from_numpy(y.reshape(-1)[idx] - first).to(dev)
                ww = torch.from_numpy(w.reshape(-1)[idx]).to(dev)
                ce = F.cross_entropy((h[torch.from_numpy(o + idx).to(dev)] @ table[first:].to(h.dtype).T).float(), want, reduction="none")
                l = (ce * ww).sum() / ww.sum()
                total = total + weights.get(name, 0.3) * l
                acc.setdefault(name, []).append(l.detach())
            if at is not None and len(at):
                pos.append(at + o); cls.append(cc)
            o += ids.size
        if pos:
            hc = F.rms_norm(tap[torch.from_numpy(np.concatenate(pos)).to(dev)].float(), tap.shape[-1:])
            l = F.cross_entropy(hc @ self.extra.cells.T, torch.from_numpy(np.concatenate(cls)).to(dev))
            total = total + weights["cells"] * l
            acc.setdefault("cells", []).append(l.detach())
        return total, o

    def update(self, lr):
        if self.fast:
            for n, p in self.wide.items():
                p.grad, self.wt[n].grad = self.wt[n].grad.float(), None
            self.extra.bits.grad = self.extra.sign.T @ self.net.wte.weight.grad[D.OFF:]
        torch.nn.utils.clip_grad_norm_(self.rest, 1.0)
        lr *= min(1.0, (self.step - self.first + 1) / (100 if self.first == 0 else 20))
        for g in self.opt.param_groups:
            g["lr"] = lr * 0.4                     # the tied embedding and the norms
        self.muon.step(lr)
        self.opt.step(); self.opt.zero_grad(set_to_none=True)
        self.step += 1
        if self.fast:
            self.copy()
        if self.step % 4 == 0:
            d = min(0.998, (10 + self.step) / (100 + self.step)) ** 4
            with torch.no_grad():
                torch._foreach_lerp_(self.ema, list(self.net.parameters()), 1 - d)
                self.ema_bits.lerp_(self.extra.bits, 1 - d)
        return lr


def main():
    a = options()
    torch.set_num_threads(a.threads)
    torch.manual_seed(SEED)
    t = Trainer(a)
    batches = Batches(a, t.step)
    stages = json.load(open(a.stages))["stages"] if a.stages else [dict(share=1, lr=[2e-3, 0])]
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    acc, toks = {}, 0
    prev = last = saved = time.time()
    while t.spent < a.minutes * 60 and not stop:
        if t.step % 20 == 0 or t.step == t.first:
            mix = mix_at(a, stages, t.spent / (a.minutes * 60))
        with torch.autocast(a.device, torch.bfloat16, enabled=not t.fast):
            loss, n = t.loss(batches.get(mix), mix["w"], acc)
        loss.backward()
        lr = t.update(mix["lr"])
        toks += n
        now = time.time()
        t.spent += now - prev
        prev = now
        if t.step % 100 == 0:
            print(f"{t.step} {t.spent / 60:.1f}min lr {lr:.1e} " + " ".join(f"{k} {torch.stack(v).mean():.3f}" for k, v in acc.items())
                  + f" {100 / (now - last):.2f} step/s {toks / (now - last):.0f} tok/s", flush=True)
            acc, last, toks = {}, now, 0
            if now - saved > 120:
                t.save()
                saved = now
    t.save()
    batches.close()
    print("done", t.step)


if __name__ == "__main__":
    main()
