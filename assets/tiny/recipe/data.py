"""Token sequences of the four tasks, in the formats that the program assembles."""
import os
from functools import lru_cache

import numpy as np
from tokenizers import Tokenizer

import world as W

HERE = os.path.dirname(os.path.abspath(__file__))
TOK = Tokenizer.from_file(os.environ.get("TINY_TOKENIZER", os.path.join(HERE, "..", "tokenizer.json")))
BASE = TOK.token_to_id("<|startoftext|>")
BOS, EOS, MASK = BASE, BASE + 1, BASE + 256
SOI, EOI, T2I, MMU = BASE + 4, BASE + 5, BASE + 8, BASE + 9
SH, EH, EOT = BASE + 266, BASE + 267, BASE + 268
OFF = BASE + 269
BITS = 12
VOCAB = OFF + (1 << BITS)
NT = 64


@lru_cache(maxsize=200000)
def enc(s):
    return tuple(TOK.encode(s, add_special_tokens=False).ids)


NL, USER, ASSISTANT, SYSTEM = enc("\n"), enc("user"), enc("assistant"), enc("system")
KEY = np.zeros(VOCAB, np.float32)          # tokens that carry an answer
for _c in W.CONCEPTS:
    for _f in (_c["name"], _c["plural"]):
        for _s in (" " + _f, _f, W.cap(_f)):
            if len(enc(_s)) == 1:
                KEY[enc(_s)[0]] = 1
for _w in W.COLOURS + W.GROUPS + ["one", "two", "three", "four", "Yes", "No", "not", "cannot"]:
    for _s in (" " + _w, W.cap(_w)):
        if len(enc(_s)) == 1:
            KEY[enc(_s)[0]] = 1
for _d in "0123456789":
    KEY[enc(_d)[0]] = 1


def chat(turns):
    """turns: [(role, text)...] up to and including the question; the assistant's header is added."""
    o = [BOS]
    for role, text in turns:
        o += [SH, *enc(role), EH, *NL, *enc(text), EOT]
    return o + [SH, *ASSISTANT, EH, *NL]


def answer(text):
    return [*enc(text), EOT]


def t2i_prompt(cap):
    return [T2I, BOS, *enc(cap), EOS, SOI]


def mmu_prompt(codes, question):
    return [MMU, SOI, *(int(c) + OFF for c in codes), EOI] + chat([("user", question)])


def mask_text(r, ids, w, full=0.3, low=0.15):
    """Masks a share t of each canvas; t = 1 in the share `full` of the rows."""
    ids = ids.copy()
    tgt = np.full_like(ids, -1)
    n = len(ids)
    ts = (np.arange(n) + r.random(n)) / n
    r.shuffle(ts)
    for i in range(n):
        pos = np.flatnonzero(w[i] > 0)
        t = 1.0 if ts[i] < full else low + (1 - low) * r.random()
        k = max(1, int(round(t * len(pos))))
        m = pos if k == len(pos) else r.permutation(pos)[:k]
        tgt[i, m] = ids[i, m]
        ids[i, m] = MASK
    return ids, tgt


class Bank:
    """Codes of every scene of the world, encoded once."""

    def __init__(self, path):
        z = np.load(path)
        self.codes, self.obj = z["codes"], z["obj"]
        self.index = {k: i for i, k in enumerate(z["keys"].tolist())}

    @staticmethod
    def key(s):
        return s.layout + "/" + "/".join(s.names) + "/" + s.bg

    def get(self, s):
        i = self.index[self.key(s)]
        return self.codes[i].astype(np.int64), self.obj[i]

    def scene(self, r, **kw):
        """A random scene that is in the bank (a bank may hold a part of the pairs)."""
        while True:
            s = W.random_scene(r, **kw)
            if self.key(s) in self.index:
                return s


def worn(r, codes):
    """A few flipped bits, as an encoder makes them on pictures that are not the original rendering."""
    if r.random() < 0.25:
        codes = codes.copy()
        for i in r.integers(0, NT, int(r.integers(1, 6))):
            codes[i] ^= 1 << int(r.integers(BITS))
    return codes


def all_scenes():
    for bg in W.BG_NAMES:
        for lay in W.LAYOUTS:
            for x in W.NAMES:
                if lay in ("beside", "above"):
                    for y in W.NAMES:
                        if y != x:
                            yield W.Scene(lay, [x, y], bg)
                else:
                    yield W.Scene(lay, [x], bg)


def batch_t2i(r, bank, n, weights=None):
    rows, ws = [], []
    us = (np.arange(n) + r.random(n)) / n
    r.shuffle(us)
    kw = dict(weights=weights) if weights else {}
    for i in range(n):
        s = bank.scene(r, **kw)
        c, obj = bank.get(s)
        cap = "" if r.random() < 0.1 else W.caption(r, s)
        p = t2i_prompt(cap)
        k = max(1, int(round(NT * np.cos(np.pi / 2 * us[i] * 0.98))))
        m = r.permutation(NT)[:k]
        rows.append((p, c, m)); ws.append(obj)
    L = max(len(p) for p, _, _ in rows) + NT + 1
    L = (L + 3) // 4 * 4
    ids = np.full((n, L), EOS, np.int64)
    tgt = np.full((n, L), -1, np.int64)
    w = np.zeros((n, L), np.float32)
    vis = np.zeros((n, L), bool)
    for i, (p, c, m) in enumerate(rows):
        o = len(p)
        ids[i, :o] = p
        ids[i, o:o + NT] = c + OFF
        ids[i, o + NT] = EOI
        vis[i, :o + NT + 1] = True
        tgt[i, o + m] = c[m]
        ids[i, o + m] = MASK
        w[i, o:o + NT] = np.where(ws[i], 1.0, 0.25)
    return ids, tgt, w, vis


def picture_item(r, s):
    q, a, k = W.ask_picture(r, s)
    if r.random() < 0.08:
        return W.THINKING_PREFIX + q, f"<think>{W.think_picture(s)}</think>{a}"
    return q, a


def pack(rows, slack=0, mult=8):
    """rows: lists of turns (prompt ids, answer ids) that follow one another; every answer is a target."""
    L = max(sum(len(p) + len(a) for p, a in t) for t in rows) + slack
    L = (L + mult - 1) // mult * mult
    ids = np.full((len(rows), L), EOS, np.int64)
    w = np.zeros((len(rows), L), np.float32)
    for i, turns in enumerate(rows):
        o = 0
        for p, a in turns:
            ids[i, o:o + len(p)] = p
            o += len(p)
            ids[i, o:o + len(a)] = a
            w[i, o:o + len(a)] = 0.3 + 0.7 * KEY[np.array(a)]
            o += len(a)
        w[i, o:] = 0.04
        w[i, o:o + 4] = 0.2          # where an answer ends matters more than the rest of the padding
    return ids, w


def turn(question, first, head=()):
    """Ids up to the answer; the first turn begins with BOS (and the picture, if there is one)."""
    o = [*head, BOS] if first else []
    return o + [SH, *USER, EH, *NL, *enc(question), EOT, SH, *ASSISTANT, EH, *NL]


def batch_mmu(r, bank, n, weights=None):
    """Single questions with a canvas behind the answer, or several questions on one picture."""
    rows = []
    kw = dict(weights=weights) if weights else {}
    many = r.random() < 0.5
    for _ in range(max(2, n * 3 // 4) if many else n):
        s = bank.scene(r, **kw)
        c = worn(r, bank.get(s)[0])
        head = [MMU, SOI, *(int(x) + OFF for x in c), EOI]
        if not many:
            q, a = picture_item(r, s)
            rows.append([(turn(q, True, head), answer(a))])
            continue
        kinds = ["what", "describe", "background", "count", "isthere"] + (["where"] * 2 if s.layout in ("beside", "above") else [])
        ts = []
        for k in r.choice(kinds, 3, replace=False):
            q, a, _ = W.ask_picture(r, s, str(k))
            ts.append((turn(q, not ts, head), answer(a)))
        rows.append(ts)
    ids, w = pack(rows, slack=0 if many else int(r.choice([0, 4, 8, 12])))
    ids, tgt = mask_text(r, ids, w, full=0.5, low=0.3)
    return ids, tgt, w


def batch_text(r, n):
    """Single turns of like length with a canvas behind the answer, or rows filled with several turns."""
    if r.random() < 0.5:
        items = []
        for _ in range(3 * n):
            q, a, _ = W.text_item(r)
            items.append([(turn(q, True), answer(a))])
        items.sort(key=lambda t: len(t[0][0]) + len(t[0][1]))
        o = int(r.integers(0, 2 * n + 1))
        rows = items[o:o + n]
        slack = int(r.choice([0, 8, 16, 24]))
    else:
        rows, slack = [], 0
        for _ in range(n):
            ts, l = [], 0
            while True:
                q, a, _ = W.text_item(r)
                t = (turn(q, not ts), answer(a))
                l += len(t[0]) + len(t[1])
                if l > 88 and ts:
                    break
                ts.append(t)
            rows.append(ts)
    ids, w = pack(rows, slack=slack)
    ids, tgt = mask_text(r, ids, w)
    return ids, tgt, w


def batch_sums(r, n):
    """Sums with steps, one a row; or direct sums, three a row."""
    if r.random() < 0.75:
        rows = []
        for _ in range(n):
            if r.random() < 0.08:
                p, q = int(r.integers(10)), int(r.integers(10))
            else:
                p, q = W.random_sum(r)
            rows.append([(turn(W.THINKING_PREFIX + W.sum_question(r, p, q), True), answer(W.sum_steps(p, q)))])
        ids, w = pack(rows, slack=int(r.choice([0, 0, 0, 8])), mult=4)
        ids, tgt = mask_text(r, ids, w, full=0.25, low=0.05)
    else:
        rows = []
        for _ in range(max(2, n * 3 // 4)):
            ts = []
            for _ in range(int(r.integers(1, 4))):
                p, q = (int(r.integers(10)), int(r.integers(10))) if r.random() < 0.7 else W.random_sum(r)
                ts.append((turn(W.sum_question(r, p, q), not ts), answer(str(p + q))))
            rows.append(ts)
        ids, w = pack(rows, slack=int(r.choice([0, 4, 8])), mult=4)
        ids, tgt = mask_text(r, ids, w, full=0.5, low=0.3)
    return ids, tgt, w
