"""Scores on held-out combinations; fixed seeds.

usage: evaluate.py CHECKPOINT [N] [tasks, comma separated] [--pictures FILE]
"""
import os
import re
import sys
import time

import numpy as np
import torch

import data as D
import model as M
import render as R
import sample as S
import vq
import world as W

torch.set_num_threads(1)


def load(path):
    c = torch.load(path)
    net = M.Model(D.VOCAB, c.get("cfg", M.CFG))
    net.load_state_dict({k: v.bfloat16().float() for k, v in c["ema"].items()})
    net.eval()
    return net, c["step"]


def decode(vqnet, codes, head=None):
    """codes [B, 64] -> uint8 [B, s, s, 3]"""
    with torch.no_grad():
        y = torch.cat([vqnet.decoder(vqnet.latents(torch.as_tensor(codes[i:i + 16])), head) for i in range(0, len(codes), 16)])
    return (((y + 1) / 2).clamp(0, 1) * 255).byte().permute(0, 2, 3, 1).numpy()


class Judge:
    """Names the scene in a picture: the layout, stickers and background of least squared error at 32 px."""

    def __init__(self, st):
        self.big = self.table(st, W.BIG)
        self.small = self.table(st, W.SMALL)
        self.bg = R.BG.astype(np.float32)

    @staticmethod
    def table(st, side):
        n = side * 4
        t = np.zeros((8, W.NC, n, n, 3), np.float32)
        for b in range(8):
            for i in range(W.NC):
                p = st[side][i].astype(np.float32)
                v = p[..., :3] + R.BG[b] * (255 - p[..., 3:]) / 255
                t[b, i] = v.reshape(n, 4, n, 4, 3).mean((1, 3))
        return t

    def name(self, im):
        k = im.shape[0] // 32
        x = im.astype(np.float32).reshape(32, k, 32, k, 3).mean((1, 3))
        best = None
        for b in range(8):
            plain = ((x - self.bg[b]) ** 2).sum(-1)
            slots = {}
            for lay, pos in W.LAYOUTS.items():
                rest, err, names = plain.copy(), 0, []
                for (r, c, s) in pos:
                    if (r, c, s) not in slots:
                        t = (self.big if s == W.BIG else self.small)[b]
                        d = ((x[r * 4:(r + s) * 4, c * 4:(c + s) * 4] - t) ** 2).sum((1, 2, 3))
                        slots[(r, c, s)] = (int(d.argmin()), float(d.min()))
                    i, d = slots[(r, c, s)]
                    err += d; names.append(W.NAMES[i])
                    rest[r * 4:(r + s) * 4, c * 4:(c + s) * 4] = 0
                err += float(rest.sum())
                if best is None or err < best[0]:
                    best = (err, lay, names, W.BG_NAMES[b])
        return best


def same(scene, found):
    _, lay, names, bg = found
    want = [n for n, _ in scene.stickers()]
    lay2 = {"two": "beside"}.get(scene.layout, scene.layout)
    return {"two": "beside"}.get(lay, lay) == lay2 and names == want, bg == scene.bg


def score_text(net, rows, length, **kw):
    """rows: (prompt ids, wanted). Returns the answers and how many are right to the letter."""
    outs = [D.TOK.decode(o) for o in S.text(net, [p for p, _ in rows], length, **kw)]
    return outs, sum(o == w for o, (_, w) in zip(outs, rows))


def show(name, rows, outs, k=3):
    bad = [(D.TOK.decode(p[-18:]) if 0 else o, w) for o, (p, w) in zip(outs, rows) if o != w]
    for o, w in bad[:k]:
        print(f"      wanted {w!r} got {o!r}")


def main():
    args = [a for a in sys.argv[1:] if not a.startswith("--")]
    net, step = load(args[0])
    N = int(args[1]) if len(args) > 1 else 50
    tasks = args[2].split(",") if len(args) > 2 else ["sums", "facts", "talk", "mmu", "t2i"]
    t0 = time.time()
    print("step", step)
    if "sums" in tasks:
        for name, think, lo in (("two digits, thinking, held out", True, 10), ("one digit, direct", False, 0), ("two digits, direct, held out", False, 10)):
            r = np.random.default_rng(11)
            rows = []
            while len(rows) < N:
                if lo:
                    p, q = int(r.integers(10, 100)), int(r.integers(10, 100))
                    if not W.held_out_sum(p, q):
                        continue
                else:
                    p, q = int(r.integers(10)), int(r.integers(10))
                qs = f"What is {p}+{q}?"
                rows.append((D.chat([("user", (W.THINKING_PREFIX if think else "") + qs)]), W.sum_steps(p, q) if think else str(p + q)))
            outs = [D.TOK.decode(o) for o in S.text(net, [p for p, _ in rows], 32 if think else 16)]
            ok = sum(re.sub(r"<think>.*</think>", "", o) == re.sub(r"<think>.*</think>", "", w) for o, (_, w) in zip(outs, rows))
            print(f"  sums {name}: {ok}/{N}"); show("", rows, outs)
    if "facts" in tasks:
        r = np.random.default_rng(12)
        for k in ("isa", "colour", "about", "isa_yn", "colour_yn", "can"):
            rows = []
            for _ in range(N):
                q, a, _ = W.fact(r, k)
                rows.append((D.chat([("user", q)]), a))
            outs, ok = score_text(net, rows, 32)
            print(f"  facts {k}: {ok}/{N}"); show("", rows, outs, 1)
    if "talk" in tasks:
        rows = [(D.chat([("user", q)]), a) for qs, a in W.TALK for q in qs]
        outs, ok = score_text(net, rows, 32)
        print(f"  talk: {ok}/{len(rows)}"); show("", rows, outs, 2)
        r = np.random.default_rng(13)
        rows = []
        while len(rows) < N:
            q, a, _ = W.story(r)
            rows.append((D.chat([("user", q)]), a))
        outs, ok = score_text(net, rows, 32)
        print(f"  stories: {ok}/{len(rows)}"); show("", rows, outs, 1)
    if "mmu" in tasks:
        bank = D.Bank("work/bank.npz")
        r = np.random.default_rng(14)
        for name, w in (("one", (1, 0, 0, 0, 0, 0)), ("beside/above", (0, 1, 1, 0, 0, 0)), ("counts", (0, 0, 0, 1, 1, 1))):
            for k in ("what", "describe", "background", "count", "isthere", "where"):
                if k == "where" and name != "beside/above":
                    continue
                rows = []
                while len(rows) < N:
                    s = bank.scene(r, held=True, weights=w)
                    q, a, _ = W.ask_picture(r, s, k)
                    rows.append((D.mmu_prompt(bank.get(s)[0], q), a))
                outs, ok = score_text(net, rows, 16)
                print(f"  mmu {name} {k}: {ok}/{N}"); show("", rows, outs, 1)
    if "t2i" in tasks:
        from encode_bank import load_vq
        vqn, c = load_vq()
        head = None
        if c["phase"] == 1:
            h = c["head"]
            c1 = vq.ARCH["decoder"]["ch"] * vq.ARCH["decoder"]["ch_mult"][1]
            head = torch.nn.Sequential(vq._norm(c1), torch.nn.SiLU(), torch.nn.Conv2d(c1, 3, 3, padding=1)); head.load_state_dict(h)
        st = R.load("work/stickers.npz")
        J = Judge(st)
        g = float(os.environ.get("GUIDANCE", "2"))
        steps = int(os.environ.get("STEPS", "12"))
        tau = float(os.environ.get("TAU", "1"))
        grid = []
        for name, w in (("one", (1, 0, 0, 0, 0, 0)), ("beside", (0, 1, 0, 0, 0, 0)), ("above", (0, 0, 1, 0, 0, 0)), ("two", (0, 0, 0, 1, 0, 0)), ("three", (0, 0, 0, 0, 1, 0)), ("four", (0, 0, 0, 0, 0, 1))):
            r = np.random.default_rng(15)
            sc = [W.random_scene(r, held=True, weights=w) for _ in range(N)]
            codes = S.pictures(net, [f"{s.phrase()} on a {s.bg} background" for s in sc], steps=steps, guidance=g, temperature=tau, gen=torch.Generator().manual_seed(1))
            ims = decode(vqn, codes, head)
            res = [same(s, J.name(im)) for s, im in zip(sc, ims)]
            print(f"  draw {name}: {sum(a for a, _ in res)}/{N}, background {sum(b for _, b in res)}/{N}")
            grid.append(ims[:10])
        for a_ in sys.argv:
            if a_.startswith("--pictures="):
                from PIL import Image
                Image.fromarray(np.concatenate([np.concatenate(list(x), 1) for x in grid], 0)).save(a_.split("=")[1])
    print(f"  {time.time() - t0:.0f} s")


if __name__ == "__main__":
    main()
