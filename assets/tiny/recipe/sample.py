"""The samplers of the reference: block sampler for text, MaskGIT for pictures."""
import numpy as np
import torch

import data as D


@torch.no_grad()
def text(net, prompts, length, steps=None, block=None, temperature=0.0, gen=None, bar=0.0):
    """prompts: id lists, any lengths; rows of one length run together. Low-confidence remasking; with bar > 0 all
    positions at least that sure are filled at once (fewer passes). Returns id lists cut at the first end token."""
    block = block or length
    steps = steps or length
    out = [None] * len(prompts)
    by = {}
    for i, p in enumerate(prompts):
        by.setdefault(len(p), []).append(i)
    for l, idx in by.items():
        for o in range(0, len(idx), 32):
            ii = idx[o:o + 32]
            x = torch.full((len(ii), l + length), D.MASK)
            x[:, :l] = torch.tensor([prompts[i] for i in ii])
            nb = length // block
            per = steps // nb
            for b in range(nb):
                s, e = l + b * block, l + (b + 1) * block
                counts = [block // per + (1 if k < block % per else 0) for k in range(per)]
                for k in counts:
                    with torch.autocast("cpu", torch.bfloat16):
                        lg = (net.hidden([x]).view(len(ii), l + length, -1)[:, l:e] @ net.wte.weight.T).float()
                    noisy = lg
                    if temperature > 0:
                        noisy = lg - temperature * torch.log(-torch.log(torch.rand(lg.shape, generator=gen).clamp_min(1e-20)))
                    tok = noisy.argmax(-1)
                    conf = torch.softmax(lg, -1).gather(-1, tok[..., None])[..., 0]
                    m = x[:, l:e] == D.MASK
                    m[:, :s - l] = False
                    k = max(1, min(k, int(m.sum(1).max()))) if bar > 0 else k
                    conf = conf.masked_fill(~m, -1e9)
                    top = conf.topk(k, -1).indices
                    cur = x[:, l:e]
                    cur.scatter_(1, top, tok.gather(1, top))
                    if bar > 0:
                        cur = torch.where(m & (conf >= bar), tok, cur)
                    x[:, l:e] = cur
                    if bar > 0 and not (x[:, s:e] == D.MASK).any():
                        break
            for r, i in enumerate(ii):
                a = x[r, l:].tolist()
                cut = [j for j, t in enumerate(a) if t in (D.EOT, D.EOS)]
                out[i] = a[:cut[0]] if cut else a
    return out


@torch.no_grad()
def pictures(net, captions, steps=12, guidance=2.0, temperature=1.0, gen=None, fixed=None, sample_t=1.0):
    """Returns codes [n, 64]. fixed: codes with -1 at the holes, for inpainting."""
    n, NT = len(captions), D.NT
    res = np.zeros((n, NT), np.int64)
    prompts = [D.t2i_prompt(c) for c in captions]
    by = {}
    for i, p in enumerate(prompts):
        by.setdefault(len(p), []).append(i)
    up = D.t2i_prompt("")
    for l, idx in by.items():
        for o in range(0, len(idx), 32):
            ii = idx[o:o + 32]
            B = len(ii)
            cond = torch.tensor([prompts[i] for i in ii])
            unc = torch.tensor([up] * B)
            eoi = torch.full((B, 1), D.EOI)
            img = torch.full((B, NT), -1)
            if fixed is not None:
                img = torch.tensor(np.asarray(fixed)[ii])
            total = (img < 0).sum(1)
            tau = temperature
            for k in range(steps):
                toks = torch.where(img < 0, torch.tensor(D.MASK), img + D.OFF)
                gs = [torch.cat([cond, toks, eoi], 1)]
                if guidance > 0:
                    gs.append(torch.cat([unc, toks, eoi], 1))
                with torch.autocast("cpu", torch.bfloat16):
                    h = net.hidden(gs)
                    hs, q = [], 0
                    for g in gs:
                        hs.append(h[q:q + g.numel()].view(B, g.shape[1], -1)[:, -NT - 1:-1]); q += g.numel()
                    lg = [(t @ net.wte.weight[D.OFF:].T).float() for t in hs]
                lo = (1 + guidance) * lg[0] - guidance * lg[1] if guidance > 0 else lg[0]
                p = torch.softmax(lo / sample_t, -1)
                e = -torch.log(torch.rand(p.shape, generator=gen).clamp_min(1e-20))
                tok = (p / e).argmax(-1)
                known = img >= 0
                tok = torch.where(known, img, tok)
                r = (k + 1) / steps
                m = torch.floor(NT * torch.cos(torch.tensor(np.pi / 2 * r))).long()
                unk = (~known).sum(1)
                m = torch.maximum(torch.tensor(1), torch.minimum(unk - 1, m))
                tau *= 1 - r
                conf = torch.log(p.gather(-1, tok[..., None])[..., 0].clamp_min(1e-20))
                conf = torch.where(known, torch.tensor(88.7), conf)
                conf = conf - tau * torch.log((-torch.log(torch.rand(conf.shape, generator=gen).clamp_min(1e-20))).clamp_min(1e-20))
                cut = conf.sort(1).values.gather(1, m.clamp_max(NT - 1)[:, None])
                img = torch.where((conf < cut) & ~known, torch.tensor(-1), tok)
            res[ii] = tok.numpy()
    return res


@torch.no_grad()
def joint(net, prompt, codes, steps=12):
    """Completes a caption and a picture in one sequence: in every step the surest share of both is filled (no noise).
    prompt: ids of [t2i] BOS caption EOS [soi] with masks; codes: -1 at the holes. Returns both, filled."""
    p, c = torch.as_tensor(prompt).clone(), torch.as_tensor(codes).clone()
    for k in range(steps):
        ids = torch.cat([p, torch.where(c < 0, torch.tensor(D.MASK), c + D.OFF), torch.tensor([D.EOI])])[None]
        with torch.autocast("cpu", torch.bfloat16):
            h = net.hidden([ids])
            lt = (h[:len(p)] @ net.wte.weight[:D.OFF].T).float()
            lc = (h[len(p):-1] @ net.wte.weight[D.OFF:].T).float()
        for x, lg, hole in ((p, lt, D.MASK), (c, lc, -1)):
            m = x == hole
            left = int(m.sum())
            if not left:
                continue
            n = -(-left // (steps - k))
            conf, tok = torch.softmax(lg, -1).max(-1)
            top = conf.masked_fill(~m, -1).topk(n).indices
            x[top] = tok[top]
    return p.numpy(), c.numpy()
