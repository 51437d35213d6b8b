"""Stickers from the Noto SVG files, and scenes made of them as 128-px pictures."""
import io
import json
import os

import numpy as np
from PIL import Image

import world as W

SIZE_OUT = W.GRID * W.CELL_OUT


def render_stickers(icons_json):
    """Returns {side in cells: uint8 [concepts, px, px, 4]}, drawn at their final size."""
    import resvg_py
    d = json.load(open(icons_json, encoding="utf-8"))
    out = {}
    for side in (W.BIG, W.SMALL):
        px = side * W.CELL_OUT
        pad = max(1, px // 32)
        arr = np.zeros((W.NC, px, px, 4), np.uint8)
        for i, c in enumerate(W.CONCEPTS):
            ic = d["icons"][c["icon"]]
            w, h = ic.get("width", d.get("width", 16)), ic.get("height", d.get("height", 16))
            inner = px - 2 * pad
            big = inner * 4
            svg = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{big}" height="{big}" viewBox="0 0 {w} {h}">{ic["body"]}</svg>'
            im = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg)))).convert("RGBA")
            # crop to the drawing, so that all stickers fill their field alike
            box = im.getchannel("A").getbbox()
            im = im.crop(box)
            s = inner / max(im.size)
            p = np.asarray(im).astype(np.float32)
            p[..., :3] *= p[..., 3:] / 255.0
            size = (max(1, round(im.width * s)), max(1, round(im.height * s)))
            ch = [np.asarray(Image.fromarray(p[..., k]).resize(size, Image.BOX)) for k in range(4)]
            x0, y0 = (px - size[0]) // 2, (px - size[1]) // 2
            arr[i, y0:y0 + size[1], x0:x0 + size[0]] = np.clip(np.stack(ch, -1) + 0.5, 0, 255).astype(np.uint8)
        out[side] = arr
    return out


def load(path, icons_json=None):
    if not os.path.exists(path):
        s = render_stickers(icons_json)
        np.savez(path, big=s[W.BIG], small=s[W.SMALL])
    z = np.load(path)
    return {W.BIG: z["big"], W.SMALL: z["small"]}


BG = np.array([b[1] for b in W.BACKGROUNDS], np.uint8)


def compose(st, scene):
    """uint8 [128, 128, 3]; the stickers' colours are premultiplied."""
    im = np.empty((SIZE_OUT, SIZE_OUT, 3), np.uint8)
    im[:] = BG[W.BG_NAMES.index(scene.bg)]
    for name, (r, c, s) in scene.stickers():
        y, x, n = r * W.CELL_OUT, c * W.CELL_OUT, s * W.CELL_OUT
        p = st[s][W.NAMES.index(name)]
        v = im[y:y + n, x:x + n].astype(np.uint16)
        v = p[..., :3] + (v * (255 - p[..., 3:].astype(np.uint16)) + 127) // 255
        im[y:y + n, x:x + n] = np.minimum(v, 255).astype(np.uint8)
    return im


def object_mask(st, scene):
    """bool [8, 8]: cells that a sticker touches."""
    m = np.zeros((W.GRID, W.GRID), bool)
    for name, (r, c, s) in scene.stickers():
        al = st[s][W.NAMES.index(name)][..., 3].reshape(s, W.CELL_OUT, s, W.CELL_OUT).max((1, 3)) > 8
        m[r:r + s, c:c + s] |= al
    return m
