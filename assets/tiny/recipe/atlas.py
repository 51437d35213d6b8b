"""Writes the sticker sheets that the program's judge compares pictures with: ../stickers.json and one lossless WebP a size.

usage: atlas.py [STICKERS.npz] [OUT_FOLDER]

Tiles are rows of eight in the order of the concepts, colours premultiplied, each sticker reduced to 60 colours of its own
(39 dB from the drawing that the tokenizer was trained on), which keeps the sheets small.
"""
import json
import sys

import numpy as np
from PIL import Image

import world as W

COLUMNS, COLOURS = 8, 60


def sheet(tiles):
    n, px = tiles.shape[:2]
    rows = -(-n // COLUMNS)
    out = np.zeros((rows * px, COLUMNS * px, 4), np.uint8)
    for i, t in enumerate(tiles):
        q = Image.fromarray(t, "RGBA").quantize(COLOURS, method=Image.Quantize.FASTOCTREE, kmeans=4).convert("RGBA")
        y, x = i // COLUMNS * px, i % COLUMNS * px
        out[y:y + px, x:x + px] = np.asarray(q)
    return Image.fromarray(out, "RGBA")


def main():
    src = sys.argv[1] if len(sys.argv) > 1 else "work/stickers.npz"
    out = sys.argv[2] if len(sys.argv) > 2 else ".."
    z = np.load(src)
    files = {}
    for side, key in ((W.BIG, "big"), (W.SMALL, "small")):
        assert len(z[key]) == W.NC, f"{src} has {len(z[key])} stickers, the world {W.NC} concepts"
        files[side] = f"stickers-{side * W.CELL_OUT}.webp"
        sheet(z[key]).save(f"{out}/{files[side]}", lossless=True, quality=100, method=6, exact=True)
    json.dump({"columns": COLUMNS, "names": W.NAMES, "sheets": files}, open(f"{out}/stickers.json", "w"), indent=1)


if __name__ == "__main__":
    main()
