"""Stage 3: UniGRPO on a trained checkpoint, with diffu-GRPO's estimate as the baseline behind one switch.

usage: grpo.py START OUT [--estimate unigrpo|random|diffu] [--seed 0] [--steps 100] [--tasks sums:5,direct:3] ...
START is an exported model.safetensors or a *.pt of train.py; OUT names work/OUT.pt (resumed if present), work/OUT.ema.pt (for
evaluate.py and export.py) and work/OUT.jsonl (one line a step: rewards by task and kind, KL, share clipped, seconds, passes).

One step: N responses to each prompt are sampled and judged; advantages are (r - mean) / std within a prompt's group; then `--updates`
gradient steps on the same responses, each on its own re-masking. Only the estimate of a response's log-probability differs:
  unigrpo   a share of the response is hidden, the question never; the shares of one step's updates start at a random point and are
            spread evenly over [0.1, 0.9]; the hidden tokens are scored
  random    the same with an independent share for every update (the released reimplementation)
  diffu     the whole response is hidden and each question token with probability 0.15; all tokens are scored (d1)
  trace     a state of the rollout itself: hidden is what was still masked at one of its passes, scored is what that pass revealed
            (TraceRL); the passes of one step's updates are spread like the shares of unigrpo
Objective, clip, KL against the policy that sampled, advantages, optimiser, prompts and rollout seeds are the same for all.
"""
import argparse
import json
import os
import time

import numpy as np
import torch

import data as D
import grpo_losses as G
import grpo_rollout as R
import grpo_tasks as T
import model as M


def arguments(argv):
    ap = argparse.ArgumentParser()
    ap.add_argument("start")
    ap.add_argument("out")
    ap.add_argument("--estimate", choices=("unigrpo", "random", "diffu", "trace"), default="unigrpo")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--steps", type=int, default=100)
    ap.add_argument("--tasks", default="sums:5,direct:3", help="name:prompts a step")
    ap.add_argument("--pool", type=int, default=0, help="batches of prompts that are gone through again and again (0: always new ones)")
    ap.add_argument("--group", type=int, default=8, help="responses to a prompt")
    ap.add_argument("--updates", type=int, default=2, help="gradient steps on one step's responses")
    ap.add_argument("--lr", type=float, default=1e-4)
    ap.add_argument("--warmup", type=int, default=5)
    ap.add_argument("--clip", type=float, default=0.2)
    ap.add_argument("--beta", type=float, default=0.01)
    ap.add_argument("--temperature", type=float, default=1.0)
    ap.add_argument("--prompt-mask", type=float, default=0.15)
    ap.add_argument("--every", type=int, default=20, help="steps between evaluations on held-out prompts (0: none)")
    ap.add_argument("--held", type=int, default=100, help="held-out prompts a task")
    return ap.parse_args(argv)


def load(path):
    """Weights and sizes of an exported checkpoint or of train.py's averaged weights."""
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file
        sd = {k[len("model.transformer."):]: v.float() for k, v in load_file(path).items()}
        c = json.load(open(os.path.join(os.path.dirname(path), "config.json")))
        cfg = {k: c[k] for k in M.CFG}
    else:
        c = torch.load(path)
        sd, cfg = c["ema"], c.get("cfg", M.CFG)
        if isinstance(sd, list):                     # train.py's full state keeps the averages as a list
            sd = dict(zip(c["net"], sd))
    net = M.Model(len(sd["wte.weight"]), cfg)
    net.load_state_dict({k: v.bfloat16().float() for k, v in sd.items()})
    return net


class Batch:
    """One task's share of a step: prompts, responses, rewards, advantages."""

    def __init__(self, task, policy, A, count, r, gen):
        self.task, self.n = task, A.group
        items = [task.draw(r) for _ in range(count)]
        self.prompts = [p for p, _ in items]
        if task.picture:
            self.ids, self.order = R.pictures(policy, self.prompts, A.group, task.passes, gen)
        else:
            self.ids, self.order = R.text(policy, self.prompts, A.group, task.length, task.passes, A.temperature, gen)
        self.rewards = T.judged(task, [w for _, w in items for _ in range(A.group)], self.ids)
        s = T.scalar(self.rewards).view(count, A.group)
        self.adv = G.group_advantages(s).flatten()
        self.live = (s.amax(1) > s.amin(1)).repeat_interleave(A.group)      # a group of equal rewards teaches nothing
        k = self.ids.shape[1]
        last = torch.tensor([k if task.picture else T.ended(x) for x in self.ids.tolist()])
        self.inside = torch.arange(k)[None] < last[:, None]                 # up to and with the first end token
        self.old = None

    def keep_live(self):
        """Drops groups without a signal; returns whether any is left."""
        g = self.live.view(-1, self.n)[:, 0]
        self.prompts = [p for p, l in zip(self.prompts, g) if l]
        self.ids, self.order, self.adv, self.inside = (x[self.live] for x in (self.ids, self.order, self.adv, self.inside))
        return len(self.prompts) > 0

    def view(self, A, ratios, gen):
        """Canvas, noised questions (or None) and scored positions of one update."""
        as_ids = self.ids + D.OFF if self.task.picture else self.ids
        if A.estimate == "diffu":
            seqs = [torch.tensor(p)[None].expand(self.n, -1) for p in self.prompts]
            noised = [G.diffu_noise(s, D.MASK, torch.rand(s.shape, generator=gen), s.shape[1], A.prompt_mask) for s in seqs]
            return torch.full_like(as_ids, D.MASK), noised, self.inside
        if A.estimate == "trace":
            at = (ratios * self.task.passes).long()[:, None]
            return torch.where(self.order >= at, torch.tensor(D.MASK), as_ids), None, (self.order == at) & self.inside
        canvas, m = G.random_masking(as_ids, D.MASK, ratios, torch.rand(as_ids.shape, generator=gen), 0)
        canvas = torch.where(self.inside, canvas, torch.tensor(D.MASK))     # the tail behind the end is always hidden, never scored
        return canvas, None, m & self.inside

    def plan(self, A, gen):
        """The views of all updates of a step."""
        b = len(self.ids)
        if A.estimate == "trace":
            rs = G.unigrpo_ratios(A.updates, torch.rand(b, generator=gen))
        elif A.estimate == "unigrpo":
            rs = G.unigrpo_ratios(A.updates, torch.rand(b, generator=gen), 0.1, 0.9)
        else:
            rs = 0.1 + 0.8 * torch.rand(A.updates, b, generator=gen)
        self.views = [self.view(A, rs[i], gen) for i in range(A.updates)]

    def logps(self, policy, i):
        canvas, noised, scored = self.views[i]
        return R.logps(policy, self.prompts, noised, canvas, self.ids, scored, self.task.picture, self.n)


def update(policy, opt, batches, A, lr):
    """All gradient steps on one step's responses. Returns mean KL and share of clipped tokens over the updates."""
    stats = []
    with torch.no_grad():          # the sampling policy at each update's noise; the first update sees it unchanged
        for b in batches:
            b.old = [None] + [b.logps(policy, i) for i in range(1, A.updates)]
    for i in range(A.updates):
        total = sum(len(b.ids) for b in batches)
        for b in batches:
            new = b.logps(policy, i)
            old = new.detach() if b.old[i] is None else b.old[i]
            loss, kl, clip = G.unigrpo_loss(new, old, b.adv, b.views[i][2], A.clip, A.beta)
            (loss * len(b.ids) / total).backward()
            if i:                  # at the first update the ratio is 1 by construction
                stats.append((float(kl), float(clip)))
        policy.gather_grads()
        norm = torch.nn.utils.clip_grad_norm_(policy.net.parameters(), 1.0)
        for g in opt.param_groups:
            g["lr"] = lr
        opt.step(); opt.zero_grad(set_to_none=True)
        policy.refresh()
    kl, clip = np.mean(stats, 0) if stats else (0.0, 0.0)
    return float(kl), float(clip), float(norm)


def means(rewards):
    keys = sorted({k for d in rewards for k in d})
    return {k: round(float(np.mean([d[k] for d in rewards if k in d])), 4) for k in keys}


def evaluate(policy, tasks, A):
    """Scores on held-out prompts, the same for every run: by task, sampled as in training and (text) greedy."""
    out = {}
    for t in tasks:
        r = np.random.default_rng(2024)
        items = [t.draw(r, held=True) for _ in range(A.held // (4 if t.picture else 1))]
        ps, ws = [p for p, _ in items], [w for _, w in items]
        order = sorted(range(len(ps)), key=lambda i: len(ps[i]))
        ps, ws = [ps[i] for i in order], [ws[i] for i in order]
        gen = torch.Generator().manual_seed(7)
        for name, temp in (("sampled", A.temperature), ("greedy", 0.0)):
            if t.picture:
                if name == "sampled":
                    out[t.name] = means(T.judged(t, ws, R.pictures(policy, ps, 1, t.passes, gen)[0]))
                continue
            ids = R.text(policy, ps, 1, t.length, t.passes, temp, gen)[0]
            out[f"{t.name} {name}"] = means(T.judged(t, ws, ids))
    return out


BEFORE = {}          # scores of a start checkpoint, taken once for all runs of a process


def scored(policy, tasks, A):
    """evaluate() outside the budget: its passes are not counted."""
    was = dict(R.PASSES)
    out = evaluate(policy, tasks, A)
    R.PASSES.update(was)
    return out


def save(path, net, opt, step, seconds):
    names = [n for n, _ in net.named_parameters()]
    torch.save(dict(net=net.state_dict(), opt=opt.state_dict(), step=step, seconds=seconds, passes=dict(R.PASSES), cfg=net.cfg), path + ".pt.tmp")
    os.replace(path + ".pt.tmp", path + ".pt")
    torch.save(dict(ema={n: p.detach().clone() for n, p in zip(names, net.parameters())}, step=step, cfg=net.cfg), path + ".ema.pt.tmp")
    os.replace(path + ".ema.pt.tmp", path + ".ema.pt")


def main(argv=None):
    A = arguments(argv)
    torch.set_num_threads(1)
    R.PASSES.update(n=0, rows=0)
    counts = {n: int(c) for n, c in (t.split(":") for t in A.tasks.split(","))}
    tasks = T.make(",".join(counts))
    net = load(A.start)
    opt = torch.optim.AdamW(net.parameters(), lr=A.lr, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.0)
    path, step, seconds = "work/" + A.out, 0, 0.0
    lines = []
    if os.path.exists(path + ".pt"):
        c = torch.load(path + ".pt")
        net.load_state_dict(c["net"]); opt.load_state_dict(c["opt"]); step, seconds = c["step"], c["seconds"]
        R.PASSES.update(c["passes"])
        lines = [l for l in open(path + ".jsonl") if json.loads(l)["step"] < step and "scalar" in l]
    policy = R.Policy(net, bool(os.environ.get("FASTOPS")))
    log = open(path + ".jsonl", "w")
    log.writelines(lines)
    while step < A.steps:
        line = {"step": step}
        if A.every and step % A.every == 0:
            key = (A.start, A.tasks, A.held)
            line["held"] = BEFORE[key] if step == 0 and key in BEFORE else scored(policy, tasks, A)
            if step == 0:
                BEFORE[key] = line["held"]
        t0 = time.process_time()
        r = np.random.default_rng([A.seed, step % A.pool if A.pool else step])
        gen = torch.Generator().manual_seed(A.seed * 1_000_003 + step)
        batches = [Batch(t, policy, A, counts[t.name], r, gen) for t in tasks]
        line["reward"] = {b.task.name: means(b.rewards) for b in batches}
        line["scalar"] = round(float(torch.cat([T.scalar(b.rewards) for b in batches]).mean()), 4)
        t1 = time.process_time()
        line["live"] = int(sum(b.live.sum() for b in batches))
        batches = [b for b in batches if b.keep_live()]
        for b in batches:
            b.plan(A, gen)
        kl, clip, norm = update(policy, opt, batches, A, A.lr * min(1, (step + 1) / A.warmup)) if batches else (0.0, 0.0, 0.0)
        seconds += time.process_time() - t0
        step += 1
        line.update(kl=round(kl, 6), clip=round(clip, 4), norm=round(norm, 3), rollout=round(t1 - t0, 2),
                    seconds=round(seconds, 1), passes=R.PASSES["n"], rows=R.PASSES["rows"])
        log.write(json.dumps(line) + "\n"); log.flush()
        if step % 10 == 0 or step == A.steps or "held" in line:
            print(json.dumps(line), flush=True)
        if step % 20 == 0 or step == A.steps:
            save(path, net, opt, step, seconds)
    if A.every and step:
        end = {"step": step, "held": scored(policy, tasks, A)}
        log.write(json.dumps(end) + "\n"); log.close()
        print(json.dumps(end), flush=True)


if __name__ == "__main__":
    main()
