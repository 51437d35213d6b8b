"""Rollouts and log-probabilities on groups: the N responses of one prompt are one group [N, L], so nothing is padded.

The sampling rules are those of sample.py (text: all positions of the canvas, low-confidence remasking; pictures: MaskGIT, cosine).
The head runs at the masked positions alone, which is most of a pass' cost on a 5,000-row vocabulary.

usage: grpo_rollout.py CHECKPOINT      compares greedy answers with those of sample.text
"""
import math

import torch

import data as D

PASSES = {"n": 0, "rows": 0}        # forward passes and sequences since the program's start


class Policy:
    """A network with bf16 copies of its matrices for fast passes. net: model.Model in float32 (the master copy)."""

    def __init__(self, net, fast):
        self.net, self.fast = net, fast
        self.wide = {n: p for n, p in net.named_parameters() if p.ndim == 2}
        self.wt = {n: p.detach().bfloat16().requires_grad_() for n, p in self.wide.items()}

    def refresh(self):
        with torch.no_grad():
            for n, p in self.wide.items():
                self.wt[n].copy_(p)

    def hidden(self, groups):
        """Normed hidden states [sum N*L, d] in bf16."""
        PASSES["n"] += 1
        PASSES["rows"] += sum(len(g) for g in groups)
        if self.fast:
            import fastops
            return fastops.hidden(self.net, self.wt, groups, [None] * len(groups))
        with torch.autocast("cpu", torch.bfloat16):
            return self.net.hidden(groups).bfloat16()

    def table(self, picture):
        t = self.wt["wte.weight"] if self.fast else self.net.wte.weight.bfloat16()
        return t[D.OFF:] if picture else t

    def gather_grads(self):
        """Moves gradients from the bf16 copies to the float32 parameters."""
        if self.fast:
            for n, p in self.wide.items():
                p.grad, self.wt[n].grad = self.wt[n].grad.float(), None


def layout(prompts, n, length, picture):
    """Row-position indices of the canvases in the flat hidden states, [P*n, length], and each group's head and tail ids."""
    idx, o, heads, tails = [], 0, [], []
    for p in prompts:
        tail = [D.EOI] if picture else []
        l = len(p) + length + len(tail)
        idx.append(o + torch.arange(n)[:, None] * l + len(p) + torch.arange(length)[None])
        heads.append(torch.tensor(p)[None].expand(n, -1)); tails.append(torch.tensor(tail, dtype=torch.long)[None].expand(n, -1))
        o += n * l
    return torch.cat(idx), heads, tails


def groups(heads, canvas, tails):
    n = heads[0].shape[0]
    return [torch.cat([h, canvas[i * n:(i + 1) * n], t], 1) for i, (h, t) in enumerate(zip(heads, tails))]


def gumbel(shape, gen):
    return -torch.log((-torch.log(torch.rand(shape, generator=gen).clamp_min(1e-20))).clamp_min(1e-20))


def draw(lg, temperature, gen):
    """One id a row from softmax(lg / temperature) by the inverse distribution function (the law of Gumbel-max at a third of its cost),
    or the best id at temperature 0; and the id's log-probability at temperature 1."""
    p = torch.softmax(lg, -1)
    if temperature > 0:
        c = (p if temperature == 1 else torch.softmax(lg / temperature, -1)).cumsum(-1)
        tok = torch.searchsorted(c, torch.rand(len(c), 1, generator=gen) * c[:, -1:], right=True).clamp_max(c.shape[1] - 1)
    else:
        tok = lg.argmax(-1, keepdim=True)
    return tok[:, 0], p.gather(1, tok)[:, 0].clamp_min(1e-20).log()


@torch.no_grad()
def text(policy, prompts, n, length, passes, temperature, gen):
    """n responses to each prompt, prompt by prompt: ids and the pass that revealed each of them, both [P*n, length]."""
    idx, heads, tails = layout(prompts, n, length, False)
    x, order = torch.full(idx.shape, D.MASK), torch.zeros(idx.shape, dtype=torch.long)
    for k in range(passes):
        count = length // passes + (k < length % passes)
        open_ = x == D.MASK
        h = policy.hidden(groups(heads, x, tails))[idx[open_]]
        lg = (h @ policy.table(False).T).float()
        conf = torch.full(x.shape, -1e9)
        tok, conf[open_] = draw(lg, temperature, gen)
        new = x.clone()
        new[open_] = tok
        top = conf.topk(count, -1).indices
        x.scatter_(1, top, new.gather(1, top))
        order.scatter_(1, top, k)
    return x, order


@torch.no_grad()
def pictures(policy, prompts, n, passes, gen, temperature=1.0):
    """n pictures to each prompt without guidance: codes [P*n, 64] and the pass that revealed each. temperature: of the confidence, as in sample.pictures."""
    idx, heads, tails = layout(prompts, n, D.NT, True)
    img, tau, order = torch.full(idx.shape, -1), temperature, torch.zeros(idx.shape, dtype=torch.long)
    for k in range(passes):
        open_ = img < 0
        h = policy.hidden(groups(heads, torch.where(open_, torch.tensor(D.MASK), img + D.OFF), tails))[idx[open_]]
        lg = (h @ policy.table(True).T).float()
        conf = torch.full(img.shape, 88.7)
        tok, conf[open_] = draw(lg, 1.0, gen)
        r = (k + 1) / passes
        m = torch.maximum(torch.tensor(1), torch.minimum(open_.sum(1) - 1, torch.tensor(int(D.NT * math.cos(math.pi / 2 * r)))))
        tau *= 1 - r
        conf = conf + tau * gumbel(conf.shape, gen)
        cut = conf.sort(1).values.gather(1, m[:, None])
        drawn = img.clone()
        drawn[open_] = tok
        order[open_] = k                             # stands for those that are not masked again
        img = torch.where((conf < cut) & open_, torch.tensor(-1), drawn)
    return drawn, order


def logps(policy, prompts, noised_prompts, canvas, targets, scored, picture, n):
    """Log-probabilities of targets [P*n, K] where scored, at the noised canvases; 0 elsewhere. noised_prompts: per group [n, l] or
    None (questions as they are). Pictures: targets are codes and the softmax runs over codes alone, as in training and sampling."""
    idx, heads, tails = layout(prompts, n, canvas.shape[1], picture)
    h = policy.hidden(groups(noised_prompts or heads, canvas, tails))[idx[scored]]
    lg = (h @ policy.table(picture).T).float()
    out = torch.zeros(canvas.shape)
    out[scored] = torch.log_softmax(lg, -1).gather(1, targets[scored][:, None])[:, 0]
    return out


def main():
    """Both samplers on 32 held-out questions; bf16 products in another order may turn a near tie, so one answer may differ."""
    import sys

    import numpy as np

    import grpo
    import grpo_tasks as T
    import sample as S
    torch.set_num_threads(1)
    policy = Policy(grpo.load(sys.argv[1]), False)
    r, t = np.random.default_rng(5), T.Sums()
    prompts = sorted((t.draw(r, held=True)[0] for _ in range(32)), key=len)
    ids, _ = text(policy, prompts, 1, t.length, t.passes, 0.0, None)
    ours = [x[:T.ended(x) - 1] for x in ids.tolist()]
    theirs = S.text(policy.net, prompts, t.length, steps=t.passes)
    equal = sum(a == b for a, b in zip(ours, theirs))
    print(f"{equal} of 32 greedy answers are those of sample.text")
    if equal < 31:
        sys.exit(1)


if __name__ == "__main__":
    main()
