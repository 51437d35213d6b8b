"""Scores on held-out combinations; fixed seeds.

usage: evaluate.py CHECKPOINT [N] [tasks, comma separated] [--pictures=FILE] [--json=FILE] [--bar=0.9]
tasks: numbers, text, mmu, draw, edit, joint
"""
import json
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
import words as V
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


def interval(k, n):
    """Wilson's 95 % interval in per cent."""
    z, p = 1.96, k / n
    m, h = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return 100 * (m - h) / (1 + z * z / n), 100 * (m + h) / (1 + z * z / n)


SCORES = {}


def report(name, ok, n, bad=()):
    lo, hi = interval(ok, n)
    SCORES[name] = dict(right=ok, of=n, low=round(lo, 1), high=round(hi, 1))
    print(f"  {name}: {ok}/{n} = {100 * ok / n:.0f} % ({lo:.0f} to {hi:.0f})", flush=True)
    for q, o, w in bad:
        print(f"      {q!r} wanted {w!r} got {o!r}")


def last(t):
    return re.sub(r"<think>.*?</think>", "", t)


def ask(net, name, rows, length, show=2, right=None, bar=0.9):
    """rows: (prompt ids, question, wanted). Right to the letter behind the think steps, unless right(got, wanted) says otherwise."""
    outs = [D.TOK.decode(o) for o in S.text(net, [p for p, _, _ in rows], length, bar=bar)]
    right = right or (lambda o, w: last(o) == last(w))
    ok = [right(o, w) for o, (_, _, w) in zip(outs, rows)]
    bad = [(q[-70:], o, w) for o, (_, q, w), k in zip(outs, rows, ok) if not k]
    report(name, sum(ok), len(rows), bad[:show])


def prompt(q):
    return D.chat([("user", q)])


def numbers(net, N, bar):
    for size, think, op in ((2, True, "+"), (2, True, "-"), (3, True, "+"), (3, True, "-"), (1, False, "+"), (1, False, "-"), (2, False, "+"), (2, False, "-"), (3, False, "+")):
        r = np.random.default_rng(11)
        rows = []
        while len(rows) < N:
            q, a, th = V.number_item(r, think, size, op, held=True, word=False)
            q = (W.THINKING_PREFIX if think else "") + q
            rows.append((prompt(q), q, f"<think>{th}</think>{a}" if think else a))
        ask(net, f"numbers {op} {size} digits{', thinking' if think else ', direct'}", rows, 40 if think else 16, bar=bar)
    for think in (False, True):
        r = np.random.default_rng(12)
        rows = []
        while len(rows) < N:
            q, a, th = V.number_item(r, think, held="phrasing" if len(rows) % 2 else False, word=True)
            q = (W.THINKING_PREFIX if think else "") + q
            rows.append((prompt(q), q, a))
        ask(net, f"word problems{', thinking' if think else ''}", rows, 40, bar=bar)


def texts(net, N, bar):
    for held in (False, True):
        ph = "held-out" if held else "trained"
        for k in V.FACTS:
            r = np.random.default_rng(13)
            rows = []
            for _ in range(N):
                q, a, _, _ = V.fact(r, k, held)
                rows.append((prompt(q), q, a))
            ask(net, f"facts {k}, {ph} phrasings", rows, 24, 1, bar=bar)
        r = np.random.default_rng(14)
        rows = [(prompt(q), q, t[2]) for t in V.TALK for q in t[1 if held else 0]]
        ask(net, f"talk, {ph} phrasings", rows, 32, bar=bar)
        for name, f in (("stories", V.story), ("counting", V.counting)):
            rows = []
            for _ in range(N):
                q, a, *_ = f(r, held=held)
                rows.append((prompt(q), q, a))
            ask(net, f"{name}, {ph} phrasings", rows, 40, bar=bar)
        rows = []
        for _ in range(N):
            q, a, *_ = V.list_group(r, held=held)
            rows.append((prompt(q), q, a))
        group = {W.cap(W.a(c["name"])).lower(): c["group"] for c in W.CONCEPTS}

        def three(o, w):
            names = re.fullmatch(r"(.*), (.*) and (.*)\.", o)
            gs = [group.get(x.lower()) for x in names.groups()] if names else []
            return bool(gs) and len(set(names.groups())) == 3 and set(gs) == {group[w.split(",")[0].lower()]}
        ask(net, f"lists, {ph} phrasings", rows, 24, right=three, bar=bar)


def questions(net, N, bar, bank):
    for name, lays, kinds in (("one", ("one",), ("what", "describe", "background", "background_yn", "count", "count_of", "isthere")),
                              ("two different", W.PAIRS, ("what", "describe", "background", "count", "count_of", "isthere", "where", "place", "beside", "above", "below")),
                              ("several of a kind", W.COUNTS, ("what", "describe", "count", "count_of", "isthere")),
                              ("one small", W.PLACED, ("describe", "place"))):
        for held in (False, True):
            for k in kinds:
                if held and k not in ("describe", "isthere", "where", "count"):
                    continue
                r = np.random.default_rng(15)
                rows = []
                while len(rows) < N:
                    s = bank.scene(r, held=True, weights={x: 1 for x in lays})
                    if k not in V.picture_kinds(s):
                        continue
                    q, a, _ = V.ask_picture(r, s, k, held)
                    rows.append((D.mmu_prompt(bank.get(s)[0], q), q, a))
                ask(net, f"picture questions, {name}: {k}{', held-out phrasings' if held else ''}", rows, 24, 1, bar=bar)


def picture_of(text):
    return W.fill_in("{scene} on a {bg} background", scene=text[0], bg=text[1])


def drawing(net, N, tasks, show):
    from encode_bank import encode, load_vq
    vqn, _ = load_vq()
    st = R.load("work/stickers.npz")
    J = Judge(st)
    grid = []

    def judged(name, scenes, captions, fixed=None, keep=None, **kw):
        codes = S.pictures(net, captions, gen=torch.Generator().manual_seed(1), fixed=fixed, **kw)
        ims = decode(vqn, codes)
        res = [same(s, J.name(im)) for s, im in zip(scenes, ims)]
        wrong = [(c, str(J.name(im)[1:]), str((s.layout, s.names, s.bg))) for c, s, im, k in zip(captions, scenes, ims, res) if not k[0]][:2]
        report(name, sum(a for a, _ in res), len(res), wrong)
        report(name + ", background", sum(b for _, b in res), len(res))
        grid.append(ims[:10])
        return codes
    kw = dict(steps=int(os.environ.get("STEPS", "12")), guidance=float(os.environ.get("GUIDANCE", "2")), temperature=float(os.environ.get("TAU", "1")))
    if "draw" in tasks:
        for lay in W.LAYOUTS:
            r = np.random.default_rng(16)
            n = N if lay in ("one", "beside", "above") else max(10, N // 2)
            sc = [W.random_scene(r, held=True, weights={lay: 1}) for _ in range(n)]
            judged(f"draw {lay}", sc, [picture_of((s.phrase(), s.bg)) for s in sc], **kw)
    if "edit" in tasks:
        r = np.random.default_rng(17)
        for kind in ("replace", "remove", "refill"):
            sc, caps, fixed, n = [], [], [], 0
            while len(sc) < N:
                w = dict(one=2, beside=1, above=1) if kind == "replace" else dict(none=1, left=1, right=1, top=1, bottom=1) if kind == "remove" else dict(one=1, beside=1, above=1, three=1, four=1)
                s = W.random_scene(r, held=False if kind == "remove" else True, weights=w)
                if kind == "refill":
                    field, shown = np.zeros((8, 8), bool), R.compose(st, s)
                    k = int(r.integers(4))
                    [field[:, :4], field[:, 4:], field[:4], field[4:]][k][:] = True
                    field = field.reshape(-1)
                    c = encode(vqn, shown[None])[0]
                else:
                    field, c = D.edited(r, Pictures(vqn, st), s)
                sc.append(s); caps.append(picture_of((s.phrase(place=r.random() < 0.5), s.bg))); fixed.append(np.where(field, -1, c))
            judged(kind, sc, caps, np.array(fixed), **kw)
    if "joint" in tasks:
        r = np.random.default_rng(18)
        ok, n, bad = 0, N, []
        rows = []
        for _ in range(n):
            s = W.random_scene(r, held=True, weights=dict(one=1, beside=1, above=1, three=1))
            cap = picture_of((s.phrase(), s.bg))
            p = np.array(D.t2i_prompt(cap))
            body = np.arange(2, len(p) - 2)
            hide = r.permutation(body)[:(len(body) + 1) // 2]
            p[hide] = D.MASK
            field = np.zeros((8, 8), bool)
            [field[:, :4], field[:, 4:], field[:4], field[4:]][int(r.integers(4))][:] = True
            rows.append((p, np.where(field.reshape(-1), -1, encode(vqn, R.compose(st, s)[None])[0])))
        for p, c in rows:
            text, codes = S.joint(net, p, c)
            said = D.TOK.decode([int(x) for x in text[2:-2]])
            _, lay, names, bg = J.name(decode(vqn, codes[None])[0])
            t = [W.Scene(l, (names if l in W.PAIRS else names[:1]), bg) for l in {lay, "two" if lay == "beside" else lay}]
            good = any(said == picture_of((x.phrase(), x.bg)) for x in t)
            ok += good
            if not good:
                bad.append((D.TOK.decode([int(x) for x in p[2:-2]], skip_special_tokens=False).replace("<|mdm_mask|>", " _"), said, str((lay, names, bg))))
        report("joint completion: caption and picture agree", ok, n, bad[:2])
    if show and grid:
        from PIL import Image
        Image.fromarray(np.concatenate([np.concatenate(list(x) + [np.zeros_like(x[0])] * (10 - len(x)), 1) for x in grid], 0)).save(show)


class Pictures:
    """A bank that renders and encodes on demand."""

    def __init__(self, vqn, st):
        self.vqn, self.st = vqn, st

    def has(self, s):
        return True

    def get(self, s):
        from encode_bank import encode
        return encode(self.vqn, R.compose(self.st, s)[None])[0], R.object_mask(self.st, s).reshape(-1)


def main():
    args = [a for a in sys.argv[1:] if not a.startswith("--")]
    opts = dict(a[2:].split("=", 1) for a in sys.argv[1:] if a.startswith("--") and "=" in a)
    net, step = load(args[0])
    N = int(args[1]) if len(args) > 1 else 50
    tasks = args[2].split(",") if len(args) > 2 else ["numbers", "text", "mmu", "draw", "edit", "joint"]
    bar = float(opts.get("bar", "0.9"))          # 0: one position a step, as the sampler of the reference
    t0 = time.time()
    print("step", step)
    if "numbers" in tasks:
        numbers(net, N, bar)
    if "text" in tasks:
        texts(net, N, bar)
    if "mmu" in tasks:
        questions(net, N, bar, D.Bank("work/bank.npz"))
    if {"draw", "edit", "joint"} & set(tasks):
        drawing(net, N, tasks, opts.get("pictures"))
    if "json" in opts:
        json.dump(dict(step=step, scores=SCORES), open(opts["json"], "w"), indent=1)
    print(f"  {time.time() - t0:.0f} s")


if __name__ == "__main__":
    main()
