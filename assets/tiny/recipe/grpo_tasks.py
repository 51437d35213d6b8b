"""Tasks of the reinforcement-learning stage: prompts from the world, and rewards that no network gives.

A task draws prompts and judges responses. A response is the canvas as sampled; text is read up to its first end token. Rewards are
named numbers in [0, 1]; WEIGHT turns them into the scalar of a response (right 2.0 and format 0.5, as MMaDA weighs them).
"""
import re

import numpy as np
import torch

import data as D
import words as V
import world as W

WEIGHT = {"right": 2.0, "format": 0.5, "picture": 2.0, "background": 0.5}
THOUGHT = re.compile(r"<think>[^<>]+</think>[^<>]+")


def ended(ids):
    """Index behind the first end token (the canvas' length if there is none): the part of a response that is scored."""
    for i, t in enumerate(ids):
        if t in (D.EOT, D.EOS):
            return i + 1
    return len(ids)


def read(ids):
    """The text of a response, or None if it never ends."""
    n = ended(ids)
    return D.TOK.decode(ids[:n - 1]) if ids[n - 1] in (D.EOT, D.EOS) else None


class Sums:
    """Two-digit sums and differences, thinking first: `<think>steps</think>number`."""
    name, length, passes, picture, think = "sums", 28, 7, False, True

    def draw(self, r, held=False):
        q, a, _ = V.number_item(r, self.think, 2, held=held, word=False)
        return D.chat([("user", (W.THINKING_PREFIX if self.think else "") + q)]), a

    def judge(self, wanted, ids):
        t = read(ids)
        if not self.think:
            return {"right": float(t == wanted)}
        return {"right": float(t is not None and t.rsplit("</think>", 1)[-1] == wanted),
                "format": float(t is not None and THOUGHT.fullmatch(t) is not None)}


class Direct(Sums):
    """The same without thinking: the answer is the number alone."""
    name, length, passes, think = "direct", 8, 4, False


class Questions:
    """Questions on a picture given as codes; the answer counts if it is right to the letter."""
    name, length, passes, picture = "questions", 12, 6, False

    def __init__(self, bank):
        self.bank = bank

    def draw(self, r, held=False):
        s = self.bank.scene(r, held=held)
        q, a, _ = V.ask_picture(r, s)
        return D.mmu_prompt(self.bank.get(s)[0], q), a

    def judge(self, wanted, ids):
        return {"right": float(read(ids) == wanted)}


class Drawing:
    """Text to picture without guidance. The judge decodes the codes and takes the nearest scene in pixels (evaluate.Judge)."""
    name, length, passes, picture = "drawing", D.NT, 8, True

    def __init__(self, vq, judge, decode, same):
        self.vq, self.nearest, self.decode, self.same = vq, judge, decode, same

    def draw(self, r, held=False):
        s = W.random_scene(r, held=held)
        return D.t2i_prompt(f"{s.phrase()} on a {s.bg} background"), s

    def judge_all(self, wanted, codes):
        out = []
        for s, im in zip(wanted, self.decode(self.vq, codes)):
            objects, bg = self.same(s, self.nearest.name(im))
            out.append({"picture": float(objects), "background": float(bg)})
        return out


def judged(task, wanted, resp):
    """wanted: one a response; resp [n, K] (codes without the vocabulary's offset for pictures). Returns a list of named rewards."""
    if task.picture:
        return task.judge_all(wanted, resp)
    return [task.judge(w, x) for w, x in zip(wanted, resp.tolist())]


def scalar(rewards):
    return torch.tensor([sum(WEIGHT[k] * v for k, v in d.items()) for d in rewards])


def make(names):
    """The tasks of a comma-separated list; what a task needs on disk is read from work/ as evaluate.py does."""
    out = []
    for n in names.split(","):
        if n == "sums":
            out.append(Sums())
        elif n == "direct":
            out.append(Direct())
        elif n == "questions":
            out.append(Questions(D.Bank("work/bank.npz")))
        elif n == "drawing":
            import evaluate as E
            import render as R
            from encode_bank import load_vq
            out.append(Drawing(load_vq()[0], E.Judge(R.load("work/stickers.npz")), E.decode, E.same))
        else:
            raise SystemExit(f"unknown task {n!r}")
    return out
