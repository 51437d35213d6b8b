"""Token sequences of the four tasks, in the formats that the program assembles."""
import os
from functools import lru_cache

import numpy as np
from tokenizers import Tokenizer

import words as V
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
CELL_CLASSES = len(W.BACKGROUNDS) + W.NC       # what a picture cell shows: a background or a sticker


def cell_classes(s, obj):
    """[64]: the class of every cell of scene s; obj says where a sticker is."""
    c = np.full((W.GRID, W.GRID), W.BG_NAMES.index(s.bg), np.int64)
    for n, (r, k, side) in s.stickers():
        c[r:r + side, k:k + side] = len(W.BACKGROUNDS) + W.NAMES.index(n)
    return np.where(obj, c.reshape(-1), W.BG_NAMES.index(s.bg))


@lru_cache(maxsize=200000)
def enc(s):
    return tuple(TOK.encode(s, add_special_tokens=False).ids)


NL, USER, ASSISTANT, SYSTEM = enc("\n"), enc("user"), enc("assistant"), enc("system")
KEY = np.zeros(VOCAB, np.float32)          # tokens that carry an answer
for _w in [f for c in W.CONCEPTS for f in (c["name"], c["plural"])] + W.COLOURS + list(W.GROUPS) + W.CANS + \
        ["no", "none", "nothing", "one", "two", "three", "four", "Yes", "No", "above", "left", "right", "top", "bottom", "sky", "bigger", "smaller"]:
    for _s in (" " + _w, _w, W.cap(_w)):
        if len(enc(_s)) == 1:
            KEY[enc(_s)[0]] = 1
for _d in "0123456789":
    KEY[enc(_d)[0]] = 1
for _d in ("Yes", "No"):                  # one token decides, among dozens that are easy
    KEY[enc(_d)[0]] = 6


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


def mask_text(r, ids, w, full=0.3, low=0.1, key=0.25):
    """Masks every row in one of three ways: all of it (share full), one to three of the tokens that carry the answer
    (share key; the last states of a sampler that fills the surest first), or a share t from low to 1."""
    ids = ids.copy()
    tgt = np.full_like(ids, -1)
    n = len(ids)
    ts = (np.arange(n) + r.random(n)) / n
    r.shuffle(ts)
    for i in range(n):
        pos = np.flatnonzero(w[i] > 0)
        keys = pos[w[i, pos] >= 1]
        if ts[i] < full:
            m = pos
        elif ts[i] < full + key and len(keys):
            m = r.permutation(keys)[:int(r.integers(1, 4))]
        else:
            t = low + (1 - low) * r.random()
            m = r.permutation(pos)[:max(1, int(round(t * len(pos))))]
        tgt[i, m] = ids[i, m]
        ids[i, m] = MASK
    return ids, tgt


EQUALS, ARROW = enc("=")[0], enc("</")[0]
DIGITS = np.isin(np.arange(VOCAB), [enc(d)[0] for d in "0123456789"])
YES_NO = np.isin(np.arange(VOCAB), [enc(d)[0] for d in ("Yes", "No")])


def mask_steps(r, ids, w):
    """Masks of rows with think steps as a sampler leaves them: the results alone (and the answer), from some step on, or
    everything from some position on; the rest of the rows as mask_text does."""
    out, tgt = mask_text(r, ids, w, full=0.3, low=0.05, key=0.1)
    for i in range(len(ids)):
        u = r.random()
        if u >= 0.7:
            continue
        pos = np.flatnonzero(w[i] > 0)
        if u < 0.5:
            m, on = [], False
            for j in pos:
                t = ids[i, j]
                on = (t == EQUALS) or (on and DIGITS[t])
                if (on or (len(m) and ARROW in ids[i, pos[0]:j])) and DIGITS[t]:
                    m.append(j)
            m = np.array(m)
            if not len(m):
                continue
            if r.random() < 0.5:
                m = m[int(r.integers(len(m))):]
        else:
            m = pos[int(r.integers(max(1, int((w[i] >= 0.4).sum())))):]
        out[i] = ids[i]
        tgt[i] = -1
        tgt[i, m] = ids[i, m]
        out[i, m] = MASK
    return out, tgt


def mask_yes_no(r, ids, tgt, plain, share):
    """In a share of the rows that hold such answers, "Yes" and "No" alone are masked: the sampler decides them last."""
    for i in range(len(ids)):
        m = np.flatnonzero(YES_NO[plain[i]])
        if len(m) and r.random() < share:
            ids[i] = plain[i]
            tgt[i] = -1
            tgt[i, m] = plain[i, m]
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

    def has(self, s):
        return self.key(s) in self.index

    def get(self, s):
        i = self.index[self.key(s)]
        return self.codes[i].astype(np.int64), self.obj[i]

    def scene(self, r, **kw):
        """A random scene that is in the bank (a bank may hold a part of the pairs)."""
        while True:
            s = W.random_scene(r, **kw)
            if self.key(s) in self.index:
                return s


def worn(r, codes, share=0.35):
    """A few flipped bits, as an encoder makes them on pictures that are not the original rendering."""
    if r.random() < share:
        codes = codes.copy()
        for i in r.integers(0, NT, int(r.integers(1, 12))):
            codes[i] ^= 1 << int(r.integers(BITS))
    return codes


def all_scenes():
    for bg in W.BG_NAMES:
        for lay in W.LAYOUTS:
            if lay == "none":
                yield W.Scene(lay, [], bg)
                continue
            for x in W.NAMES:
                if lay in W.PAIRS:
                    for y in W.NAMES:
                        if y != x:
                            yield W.Scene(lay, [x, y], bg)
                else:
                    yield W.Scene(lay, [x], bg)


# ---------------------------------------------------------------- text to picture
def box(pos):
    """bool [64]: the cells of a sticker's field."""
    m = np.zeros((W.GRID, W.GRID), bool)
    r, c, s = pos
    m[r:r + s, c:c + s] = True
    return m.reshape(-1)


OPPOSITE = {"left": ("beside", 1), "right": ("beside", 0), "top": ("above", 1), "bottom": ("above", 0)}


def edited(r, bank, s):
    """For editing: (field to fill, codes of another scene that shows outside of it, whether the place word is needed).
    The other scene has another sticker in the field, or one where scene s has none."""
    z = W.NAMES[r.integers(W.NC)]
    if s.layout == "none":
        old, field = W.Scene("one", [z], s.bg), box(W.LAYOUTS["one"][0])
    elif s.layout in W.PLACED:
        lay, k = OPPOSITE[s.layout]
        names = [s.names[0]] * 2
        names[k] = z
        old, field = W.Scene(lay, names, s.bg), box(W.LAYOUTS[lay][k])
    else:
        k = int(r.integers(s.count))
        field = box(W.LAYOUTS[s.layout][k])
        if s.layout in W.PAIRS:
            names = list(s.names)
            names[k] = z
            old = W.Scene(s.layout, names, s.bg)
        elif s.layout == "one":
            old = W.Scene("one", [z], s.bg)
        else:
            old = s
    if len(set(old.names)) < len(old.names) and old.layout == "beside":
        old = W.Scene("two", old.names[:1], s.bg)
    if not bank.has(old):
        old = s
    return field, bank.get(old)[0]


def region(r):
    """bool [64]: a half or a rectangle of at least four cells."""
    m = np.zeros((W.GRID, W.GRID), bool)
    if r.random() < 0.5:
        k = int(r.integers(4))
        [m[:, :4], m[:, 4:], m[:4], m[4:]][k][:] = True
    else:
        h, w = (int(x) for x in r.integers(2, 8, 2))
        y, x = int(r.integers(0, 9 - h)), int(r.integers(0, 9 - w))
        m[y:y + h, x:x + w] = True
    return m.reshape(-1)


def mask_caption(r, p):
    """bool over a prompt's tokens: its caption half hidden (names first), or all of it."""
    n = len(p) - 4
    m = np.zeros(len(p), bool)
    if n <= 0:
        return m
    u = r.random()
    body = np.arange(2, 2 + n)
    if u < 0.35:
        keys = body[KEY[np.array(p)[body]] > 0]
        m[keys[r.random(len(keys)) < 0.7]] = True
    elif u < 0.85:
        m[r.permutation(body)[:max(1, int(round(n * r.uniform(0.3, 0.8))))]] = True
    else:
        m[body] = True
    return m


def batch_t2i(r, bank, n, weights=None):
    """Pictures with a random share of codes hidden, or (structured) a sticker's field, a half or a rectangle of them;
    some captions are hidden in part as well. Targets are ids; codes and words are told apart by OFF."""
    rows = []
    us = (np.arange(n) + r.random(n)) / n
    r.shuffle(us)
    for i in range(n):
        s = bank.scene(r, weights=weights)
        c, obj = bank.get(s)
        shown, field, place, hide = c, np.ones(NT, bool), True, False
        u = r.random()
        if u < 0.30:
            field, shown = edited(r, bank, s)
            place = s.layout not in W.PLACED or r.random() < 0.6
        elif u < 0.50:
            field = region(r)
        cap = "" if r.random() < 0.1 else W.caption(r, s, place)
        p = t2i_prompt(cap)
        if u >= 0.40 and u < 0.65:
            hide = mask_caption(r, p)
        cells = np.flatnonzero(field)
        k = max(1, int(round(len(cells) * np.cos(np.pi / 2 * us[i] * 0.98))))
        if hide is not False and r.random() < 0.15:
            k = 0                                    # the whole picture shows: a caption task
        m = r.permutation(cells)[:k]
        x = np.where(field, c, shown)
        rows.append((p, x, m, hide, obj, cell_classes(s, obj)))
    L = max(len(row[0]) for row in rows) + NT + 1
    L = (L + 3) // 4 * 4
    ids = np.full((n, L), EOS, np.int64)
    tgt = np.full((n, L), -1, np.int64)
    w = np.zeros((n, L), np.float32)
    vis = np.zeros((n, L), bool)
    at, cls = [], []
    for i, (p, x, m, hide, obj, cc) in enumerate(rows):
        o = len(p)
        ids[i, :o] = p
        ids[i, o:o + NT] = x + OFF
        ids[i, o + NT] = EOI
        vis[i, :o + NT + 1] = True
        if hide is not False:
            h = np.flatnonzero(hide)
            tgt[i, h] = ids[i, h]
            ids[i, h] = MASK
            w[i, h] = 0.4 + 0.6 * KEY[tgt[i, h]]
        tgt[i, o + m] = x[m] + OFF
        ids[i, o + m] = MASK
        w[i, o:o + NT] = np.where(obj, 1.0, 0.25)
        if o > 4 and hide is False:
            at.append(i * L + o + np.arange(NT)); cls.append(cc)
    cat = lambda v: np.concatenate(v) if v else np.zeros(0, np.int64)
    return ids, tgt, w, vis, cat(at), cat(cls)


# ---------------------------------------------------------------- text
def picture_item(r, s):
    q, a, k = V.ask_picture(r, s)
    if r.random() < 0.08:
        return W.THINKING_PREFIX + q, f"<think>{V.think_picture(s)}</think>{a}"
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
            w[i, o:o + len(a)] = 0.4 + 0.6 * KEY[np.array(a)]
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
    rows, cls = [], []
    many = r.random() < 0.6
    for _ in range(max(2, n * 3 // 4) if many else n):
        s = bank.scene(r, weights=weights)
        c, obj = bank.get(s)
        cls.append(cell_classes(s, obj))
        c = worn(r, c)
        head = [MMU, SOI, *(int(x) + OFF for x in c), EOI]
        if not many:
            q, a = picture_item(r, s)
            rows.append([(turn(q, True, head), answer(a))])
            continue
        kinds = V.picture_kinds(s)
        p = np.array([V.PICTURE_WEIGHTS[k] for k in kinds])
        ts = []
        for k in r.choice(kinds, 3, replace=False, p=p / p.sum()):
            q, a, _ = V.ask_picture(r, s, str(k))
            ts.append((turn(q, not ts, head), answer(a)))
        rows.append(ts)
    plain, w = pack(rows, slack=0 if many else int(r.choice([0, 4, 8, 16])))
    ids, tgt = mask_text(r, plain, w, full=0.5, low=0.3, key=0.2)
    ids, tgt = mask_yes_no(r, ids, tgt, plain, 0.3)
    at = (np.arange(len(rows))[:, None] * ids.shape[1] + 2 + np.arange(NT)).reshape(-1)
    return ids, tgt, w, at, np.concatenate(cls)


def batch_text(r, n):
    """Single turns of like length with a canvas behind the answer, or rows filled with several turns."""
    yes_no = r.random() < 0.35
    if not yes_no and r.random() < 0.4:
        items = []
        for _ in range(3 * n):
            q, a, _ = V.text_item(r)
            items.append([(turn(q, True), answer(a))])
        items.sort(key=lambda t: len(t[0][0]) + len(t[0][1]))
        o = int(r.integers(0, 2 * n + 1))
        rows = items[o:o + n]
        slack = int(r.choice([0, 8, 16, 24, 32]))
    else:
        rows, slack = [], 0
        for _ in range(n):
            ts, l = [], 0
            while True:
                q, a, *_ = V.fact(r, V.YES_NO[r.integers(len(V.YES_NO))]) if yes_no else V.text_item(r)
                t = (turn(q, not ts), answer(a))
                l += len(t[0]) + len(t[1])
                if l > 100 and ts:
                    break
                ts.append(t)
            rows.append(ts)
    plain, w = pack(rows, slack=slack)
    ids, tgt = mask_text(r, plain, w)
    if yes_no:
        ids, tgt = mask_yes_no(r, ids, tgt, plain, 0.75)
    return ids, tgt, w


def batch_sums(r, n):
    """Numbers with steps, one a row and of like size; or direct ones, three a row."""
    if r.random() < 0.85:
        size = int(r.choice([0, 1, 2, 3], p=[.12, .10, .48, .30]))
        rows = []
        for _ in range(n):
            q, a, th = V.number_item(r, True, size or None, word=True if size == 0 else False)
            rows.append([(turn(W.THINKING_PREFIX + q, True), answer(f"<think>{th}</think>{a}"))])
        ids, w = pack(rows, slack=int(r.choice([0, 0, 0, 8])), mult=4)
        ids, tgt = mask_steps(r, ids, w)
    else:
        rows = []
        for _ in range(max(2, n * 3 // 4)):
            ts = []
            for _ in range(int(r.integers(1, 4))):
                q, a, _ = V.number_item(r, False)
                ts.append((turn(q, not ts), answer(a)))
            rows.append(ts)
        ids, w = pack(rows, slack=int(r.choice([0, 4, 8, 24])), mult=4)
        ids, tgt = mask_text(r, ids, w, full=0.5, low=0.3, key=0.2)
    return ids, tgt, w
