"""Curves, steps to the same reward with intervals, and a plot, from the logs of grpo_experiment.py.

usage: grpo_report.py LOGS OUT [--window 3] [--share 0.9]      LOGS: folder of ESTIMATE-SEED.jsonl; OUT: folder for the results
Writes OUT/grpo_curves.csv, OUT/grpo_summary.json and OUT/grpo.svg.
"""
import argparse
import csv
import json
import math
import os
import re

import numpy as np

T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365}
COLOUR = {"unigrpo": "#1f6fb4", "diffu": "#c8511b", "random": "#3a8f4d", "trace": "#7a4fa3"}
LABEL = {"unigrpo": "UniGRPO", "diffu": "diffu-GRPO's estimate", "random": "random shares", "trace": "TraceRL's states"}


def read(folder):
    """{(estimate, seed): lines}; only complete runs, i.e. with scores at the end."""
    runs = {}
    for f in sorted(os.listdir(folder)):
        m = re.fullmatch(r"(unigrpo|diffu|random|trace)-(\d+)\.jsonl", f)
        if m:
            with open(os.path.join(folder, f)) as h:
                lines = [json.loads(l) for l in h]
            if lines and "scalar" not in lines[-1]:
                runs[m[1], int(m[2])] = lines
    return runs


def smooth(y, w):
    """Mean over the last w steps; element i belongs to step i + w - 1."""
    return np.convolve(y, np.ones(w) / w, "valid")


def interval(x):
    """Mean and half width of the 95 % t-interval of a few values."""
    x = np.asarray(x, float)
    n = len(x)
    return float(x.mean()), (float(T95[n - 1] * x.std(ddof=1) / math.sqrt(n)) if n > 1 else None)


def steps_to(curve, level, w):
    """The first step after which the smoothed curve has reached the level, or None."""
    i = np.flatnonzero(curve >= level - 1e-9)
    return int(i[0]) + w if len(i) else None


GAIN = 0.1           # of the reward; a run whose best window is not that far above its start has not learned, and has no time to a level


def compare(runs, w, share):
    """Per seed: both start from the same smoothed reward (mean of the two first windows); the level is `share` of the way from there
    to the lower of the two best rewards, so that both reach it. Seeds in which one of them gained less than GAIN give no ratio of
    steps; the mean reward of whole runs is compared in all seeds."""
    seeds = sorted({s for e, s in runs if e == "unigrpo"} & {s for e, s in runs if e == "diffu"})
    per, logs, areas = [], [], []
    for s in seeds:
        c = {e: smooth([l["scalar"] for l in runs[e, s] if "scalar" in l], w) for e in ("unigrpo", "diffu")}
        start = float(np.mean([v[0] for v in c.values()]))
        top = min(float(v.max()) for v in c.values())
        learned = top - start >= GAIN
        level = start + share * (top - start) if learned else None
        n = {e: steps_to(v, level, w) if learned else None for e, v in c.items()}
        row = {"seed": s, "start": round(start, 3), "level": level and round(level, 3), "best": {e: round(float(v.max()), 3) for e, v in c.items()}, "steps": n,
               "mean_reward": {e: round(float(v.mean()), 4) for e, v in c.items()}}
        per.append(row)
        if learned:
            logs.append(math.log(n["unigrpo"] / n["diffu"]))
        areas.append(float(c["unigrpo"].mean() - c["diffu"].mean()))
    m, h = interval(logs) if logs else (None, None)
    a, b = interval(areas)
    fewer = lambda x: round(100 * (1 - math.exp(x)), 1)
    return {"seeds": per, "seeds_with_a_ratio": len(logs), "fewer_steps_percent": None if m is None else fewer(m), "fewer_steps_95": [fewer(m + h), fewer(m - h)] if h else None,
            "mean_reward_difference": round(a, 4), "mean_reward_difference_95": [round(a - b, 4), round(a + b, 4)] if b else None}


def scores(runs):
    """Held-out scores before and after, per estimate: mean over seeds and 95 % interval of the change."""
    out = {}
    for e in sorted({e for e, _ in runs}):
        for name in sorted(next(l for l in runs[next(k for k in runs if k[0] == e)] if "held" in l)["held"]):
            pairs = []
            for k, lines in runs.items():
                if k[0] == e:
                    h = [l["held"][name] for l in lines if "held" in l]
                    pairs.append((h[0], h[-1]))
            for kind in pairs[0][0]:
                d, h = interval([b[kind] - a[kind] for a, b in pairs])
                out[f"{e} {name} {kind}"] = {"before": round(float(np.mean([a[kind] for a, _ in pairs])), 4), "after": round(float(np.mean([b[kind] for _, b in pairs])), 4),
                                             "change": round(d, 4), "change_95": [round(d - h, 4), round(d + h, 4)] if h is not None else None}
    return out


def svg(runs, w, path):
    """Smoothed reward against steps: thin lines are seeds, thick lines their mean."""
    W, H, L, B, R_, T_ = 720, 400, 56, 44, 16, 34
    curves = {k: smooth([l["scalar"] for l in v if "scalar" in l], w) for k, v in runs.items()}
    n = max(len(c) for c in curves.values()) + w - 1
    lo = math.floor(min(c.min() for c in curves.values()) * 5) / 5
    hi = math.ceil(max(c.max() for c in curves.values()) * 5) / 5
    X = lambda s: L + (W - L - R_) * (s - w) / max(1, n - w)
    Y = lambda v: H - B - (H - B - T_) * (v - lo) / (hi - lo)
    o = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {W} {H}" font-family="sans-serif" font-size="12"><rect width="{W}" height="{H}" fill="#fff"/>']
    v = lo
    while v <= hi + 1e-9:
        o.append(f'<path d="M{L} {Y(v):.1f}H{W - R_}" stroke="#e4e4e4"/><text x="{L - 8}" y="{Y(v) + 4:.1f}" text-anchor="end" fill="#444">{v:.1f}</text>')
        v += 0.2
    for s in range(w, n + 1):
        if s % 5 == 0:
            o.append(f'<text x="{X(s):.1f}" y="{H - B + 18}" text-anchor="middle" fill="#444">{s}</text>')
    o.append(f'<text x="{(L + W) / 2:.0f}" y="{H - 8}" text-anchor="middle" fill="#222">step (mean over the last {w})</text>'
             f'<text x="{L}" y="20" fill="#222">reward of a response (right 2.0, format 0.5)</text>')
    line = lambda c: "M" + "L".join(f"{X(i + w):.1f} {Y(y):.1f}" for i, y in enumerate(c))
    x = W - 360
    for e in [e for e in COLOUR if any(k[0] == e for k in curves)]:
        cs = [c for k, c in curves.items() if k[0] == e]
        for c in cs:
            o.append(f'<path d="{line(c)}" fill="none" stroke="{COLOUR[e]}" stroke-opacity="0.35"/>')
        m = np.mean([c[:min(map(len, cs))] for c in cs], 0)
        o.append(f'<path d="{line(m)}" fill="none" stroke="{COLOUR[e]}" stroke-width="2.5"/>')
        o.append(f'<path d="M{x} 16h22" stroke="{COLOUR[e]}" stroke-width="2.5"/><text x="{x + 28}" y="20" fill="#222">{LABEL[e]} ({len(cs)} seeds)</text>')
        x += 150
    with open(path, "w") as f:
        f.write("\n".join(o) + "\n</svg>\n")


def table(runs, path):
    kinds = sorted({f"{t}.{k}" for v in runs.values() for l in v for t, d in l.get("reward", {}).items() for k in d})
    with open(path, "w", newline="") as f:
        c = csv.writer(f)
        c.writerow(["estimate", "seed", "step", "reward", *kinds, "kl", "clipped", "responses_with_signal", "cpu_seconds", "forward_passes", "sequences"])
        for (e, s), v in sorted(runs.items()):
            for l in v:
                if "scalar" in l:
                    r = [l["reward"].get(k.split(".")[0], {}).get(k.split(".")[1], "") for k in kinds]
                    c.writerow([e, s, l["step"], l["scalar"], *r, l["kl"], l["clip"], l["live"], l["seconds"], l["passes"], l["rows"]])


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("logs")
    ap.add_argument("out")
    ap.add_argument("--window", type=int, default=3)
    ap.add_argument("--share", type=float, default=0.9)
    ap.add_argument("--name", default="grpo", help="prefix of the files")
    A = ap.parse_args()
    os.makedirs(A.out, exist_ok=True)
    runs = read(A.logs)
    if not runs:
        raise SystemExit("no complete run in " + A.logs)
    table(runs, os.path.join(A.out, A.name + "_curves.csv"))
    svg(runs, A.window, os.path.join(A.out, A.name + ".svg"))
    res = {"runs": [f"{e}-{s}" for e, s in sorted(runs)], "window": A.window, "share": A.share, "held_out": scores(runs)}
    if {"unigrpo", "diffu"} <= {e for e, _ in runs}:
        res["comparison"] = compare(runs, A.window, A.share)
    with open(os.path.join(A.out, A.name + "_summary.json"), "w") as f:
        json.dump(res, f, indent=1)
    print(json.dumps(res, indent=1))


if __name__ == "__main__":
    main()
