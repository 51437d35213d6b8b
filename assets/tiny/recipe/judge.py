"""A second judge over the files that `unmask eval --dump DIR` wrote: it reads world.json, the stickers and the pictures by
itself, marks every item anew and compares with the program's marks, item by item.

usage: judge.py DIR [FOLDER_OF_WORLD] [--json]

It shares no code with the program. Texts are judged by the same rule and must agree in every item. Pictures are judged at
their full size (the program averages 4 x 4 pixels) against the same stickers, so they may differ where a picture
is mush; the differences are listed. Exit code 1: a text differs, or more than one picture in fifty.
"""
import json
import os
import re
import sys
from collections import defaultdict

import numpy as np
from PIL import Image


class World:
    def __init__(self, folder):
        self.w = json.load(open(f"{folder}/world.json", encoding="utf-8"))
        s = json.load(open(f"{folder}/stickers.json", encoding="utf-8"))
        self.cell, self.px = self.w["cell_px"], self.w["picture_px"]
        self.names = [c["name"] for c in self.w["concepts"]]
        self.by = {c["name"]: c for c in self.w["concepts"]}
        self.bg = [(b["name"], np.array(b["rgb"], float)) for b in self.w["backgrounds"]]
        self.layouts = {k: [(p["row"], p["column"], p["side"]) for p in v] for k, v in self.w["layouts"].items()}
        self.tiles = {}
        for side, file in s["sheets"].items():
            n = int(side) * self.cell
            a = np.asarray(Image.open(f"{folder}/{file}").convert("RGBA")).astype(np.float32)
            at = [s["names"].index(x) for x in self.names]
            t = np.stack([a[i // s["columns"] * n:][:n, i % s["columns"] * n:][:, :n] for i in at])
            for bg, rgb in self.bg:      # every sticker on every background, and its sum of squares
                on = (t[..., :3] + rgb.astype(np.float32) * (1 - t[..., 3:] / 255)).reshape(len(t), -1)
                self.tiles[int(side), bg] = on, (on.astype(np.float64) ** 2).sum(1)

    def slots(self, scene):
        """{(row, column, side): name} of a scene as the dump writes it."""
        pos, n = self.layouts[scene["layout"]], scene["names"] or []
        return {p: n[min(i, len(n) - 1)] for i, p in enumerate(pos)}

    def phrase(self, slots, layout):
        c = [self.by[n] for n in slots.values()]
        v = dict(x=f"{c[0]['article']} {c[0]['name']}", y=f"{c[-1]['article']} {c[-1]['name']}", xs=c[0]["plural"]) if c else {}
        return self.w["layout_phrases"][layout].format(**v)

    def look(self, im):
        """(layout, {slot: name}, background) of least squared error, at full size. |x - t|^2 is opened up so that all stickers
        of a slot are compared by one product."""
        x = im.astype(np.float32)
        best = None
        for bg, rgb in self.bg:
            d = ((x - rgb) ** 2).sum(-1)
            found = {}
            for side in {side for side, _ in self.tiles}:
                n = side * self.cell
                t, tt = self.tiles[side, bg]
                for p in {p for v in self.layouts.values() for p in v if p[2] == side}:
                    y, c = p[0] * self.cell, p[1] * self.cell
                    f = x[y:y + n, c:c + n].reshape(-1)
                    e = tt - 2.0 * (t @ f).astype(np.float64) + float((f.astype(np.float64) ** 2).sum())
                    i = int(e.argmin())
                    found[p] = (float(e[i]), self.names[i], float(d[y:y + n, c:c + n].sum()))
            for lay, pos in self.layouts.items():
                err = float(d.sum()) + sum(found[p][0] - found[p][2] for p in pos)
                if best is None or err < best[0]:
                    best = (err, lay, {p: found[p][1] for p in pos}, bg)
        _, lay, slots, bg = best
        if lay in ("two", "beside"):
            lay = "two" if len(set(slots.values())) == 1 else "beside"
        return lay, slots, bg


def picture(path):
    return np.asarray(Image.open(path).convert("RGB"))


def marks(w, d, folder):
    """[(metric, hits, of)] or, for rebuild, [(metric, decibels, 0)]."""
    it, a = d["item"], d["answer"]
    rule, text = it["rule"], a.get("text", "")
    one = lambda m, ok: (m, int(bool(ok)), 1)
    if rule == "text":
        return [one("right", text == it["want"])]
    if rule == "list":
        m = re.fullmatch(r"(An?) (\w+), (an?) (\w+) and (an?) (\w+)\.", text)
        ok = bool(m) and len({m[2], m[4], m[6]}) == 3 and all(
            n in w.by and w.by[n]["group"] == it["want"] and w.by[n]["article"] == art.lower() for art, n in ((m[1], m[2]), (m[3], m[4]), (m[5], m[6])))
        return [one("right", ok)]
    if rule == "describe":
        said = {n for n, c in w.by.items() for word in re.findall(r"\w+", text.lower()) if word in (n, c["plural"])}
        there = set(w.slots(it["scene"]).values())
        return [("objects", len(there & said), max(len(there), len(said))), one("right", text == it["want"])]
    given = picture(f"{folder}/{it['id']}.given.png") if rule != "draw" else None
    im = picture(f"{folder}/{it['id']}.png")
    if rule == "rebuild":
        r, c, s = next(iter(w.slots(it["scene"])))
        box = (slice(r * w.cell, (r + s) * w.cell), slice(c * w.cell, (c + s) * w.cell))
        db = lambda p, q: float(10 * np.log10(255 ** 2 / max(((p.astype(float) - q) ** 2).mean(), 1e-12)))
        return [("sticker", db(im[box], given[box]), 0), ("picture", db(im, given), 0)]
    lay, saw, bg = w.look(im)
    want, wbg = w.slots(it["scene"]), it["scene"]["background"]
    drawn = [("objects", sum(saw.get(p) == n for p, n in want.items()), len(want)), one("layout", set(saw) == set(want)), one("background", bg == wbg)]
    same = all(h == o for _, h, o in drawn)
    if rule == "draw":
        return drawn
    keep = np.ones(im.shape[:2], bool)
    for r in it["hidden"]:
        keep[r["Min"]["Y"]:r["Max"]["Y"], r["Min"]["X"]:r["Max"]["X"]] = False
    kept = one("kept", d["held"] and (im[keep] == given[keep]).all())
    if rule == "edit":
        return [one("right", same), kept]
    said = f"{w.phrase(saw, lay)} on {'an' if bg[0] in 'aeiou' else 'a'} {bg} background" == text
    return [one("agree", said), one("right", said and same), kept]


def main():
    args = [a for a in sys.argv[1:] if not a.startswith("--")]
    folder = args[0]
    w = World(args[1] if len(args) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    tasks = defaultdict(lambda: [0, 0, defaultdict(lambda: [0, 0])])
    apart, texts, pictures = [], 0, 0
    for line in open(f"{folder}/items.jsonl", encoding="utf-8"):
        d = json.loads(line)
        it = d["item"]
        mine = marks(w, d, folder)
        if it["rule"] == "rebuild":
            differs = any(abs(v - m.get("value", 0)) > 0.01 for (_, v, _), m in zip(mine, d["marks"]))
        else:
            differs = [(m["metric"], m["hits"], m["of"]) for m in d["marks"]] != mine
        row = tasks[it["task"]]
        row[0] += 1
        row[1] += differs
        for m, h, o in mine:
            row[2][m][0] += h
            row[2][m][1] += o or 1
        if differs:
            apart.append((it["id"], mine, d["marks"]))
            if it["rule"] in ("text", "list", "describe"):
                texts += 1
        pictures += it["rule"] not in ("text", "list", "describe")
    if "--json" in sys.argv:
        print(json.dumps({t: {"items": n, "differ": k, "marks": dict(m)} for t, (n, k, m) in tasks.items()}, indent=1))
    else:
        for t, (n, k, m) in tasks.items():
            print(f"{t:16} {n:4} items, {k} judged otherwise   " + "  ".join(f"{x} {h / o:.3f}" for x, (h, o) in m.items()))
        for i, a, b in apart:
            print("  ", i, a, "program:", [(x["metric"], x["hits"], x["of"]) for x in b])
        print(f"{len(apart)} items judged otherwise, {texts} of them texts")
    return texts > 0 or len(apart) - texts > max(pictures // 50, 1)


if __name__ == "__main__":
    sys.exit(main())
