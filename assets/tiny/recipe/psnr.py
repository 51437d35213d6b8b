"""Reconstruction of the picture tokenizer as it is exported (bf16 weights): PSNR over all concepts and backgrounds.

usage: psnr.py    (prints the mean, the share of at least 28 dB and the worst of big and of small stickers)
"""
import numpy as np

import encode_bank as E
import render as R
import world as W
from evaluate import decode


def main():
    st = R.load("work/stickers.npz")
    net, _ = E.load_vq()
    for lay in ("one", "four"):
        res, total = {}, []
        for b in W.BG_NAMES:
            scenes = [W.Scene(lay, [n], b) for n in W.NAMES]
            ims = np.stack([R.compose(st, s) for s in scenes])
            y = decode(net, E.encode(net, ims)).astype(float)
            mask = np.repeat(np.repeat(np.stack([R.object_mask(st, s) for s in scenes]), W.CELL_OUT, 1), W.CELL_OUT, 2)
            err = ((y - ims) ** 2).mean(-1)
            for n, e, m in zip(W.NAMES, err, mask):
                res[n, b] = 10 * np.log10(255 ** 2 / e[m].mean())
                total.append(10 * np.log10(255 ** 2 / e.mean()))
        v = np.array(list(res.values()))
        worst = sorted(res, key=res.get)[:4]
        print(f"{lay}: whole pictures {np.mean(total):.1f} dB; sticker cells alone {v.mean():.1f} dB, {100 * (v >= 28).mean():.0f} % of {len(v)} at least 28 dB, worst "
              + ", ".join(f"{n} on {b} {res[n, b]:.1f}" for n, b in worst))


if __name__ == "__main__":
    main()
