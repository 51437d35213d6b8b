"""Encodes every scene of the world once: work/bank.npz (codes, cells with a sticker, keys)."""
import os
import sys

import numpy as np
import torch

import data as D
import render as R
import vq
import world as W

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


def load_vq(path="work/vq.pt"):
    c = torch.load(path, map_location="cpu")
    net = vq.VQ()
    net.load_state_dict(c["ema"])
    net.eval()
    # the exported file is bf16: codes must come from the same rounded weights
    for p in net.parameters():
        p.data = p.data.bfloat16().float()
    return net, c


def encode(net, ims):
    """uint8 [B, 128, 128, 3] -> codes [B, 64]. Float32, as the program encodes."""
    x = torch.from_numpy(ims).permute(0, 3, 1, 2).float()
    x = vq.shrink(x).round().clamp(0, 255) / 127.5 - 1
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        return net.codes(net.encoder(x)).numpy()


if __name__ == "__main__":
    net, _ = load_vq()
    net = net.to(memory_format=torch.channels_last)
    st = R.load("work/stickers.npz")
    scenes = list(D.all_scenes())
    if len(sys.argv) > 1:                    # a part of the pairs, for a quick start
        k = int(sys.argv[1])
        scenes = [s for i, s in enumerate(scenes) if s.layout not in W.PAIRS or (i * 7919) % 1009 % k == 0]
    codes, obj, keys = [], [], []
    for i in range(0, len(scenes), 64):
        ch = scenes[i:i + 64]
        codes.append(encode(net, np.stack([R.compose(st, s) for s in ch])).astype(np.int16))
        obj += [R.object_mask(st, s).reshape(-1) for s in ch]
        keys += [D.Bank.key(s) for s in ch]
        if i % 6400 == 0:
            print(i, len(scenes), flush=True)
    np.savez("work/bank.npz.tmp.npz", codes=np.concatenate(codes), obj=np.array(obj), keys=np.array(keys))
    os.replace("work/bank.npz.tmp.npz", "work/bank.npz")
    print("codes in use", len(np.unique(np.concatenate(codes))))
