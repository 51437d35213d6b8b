"""All runs of the comparison, one after another and seed by seed, so that an early stop leaves balanced results.

usage: grpo_experiment.py START SEEDS ESTIMATES [arguments of grpo.py]      e.g. work/start.pt 0,1,2 unigrpo,diffu --steps 50
Logs are work/ESTIMATE-SEED.jsonl; runs that are complete are passed over.
"""
import json
import os
import sys

import grpo


def main():
    start, seeds, estimates, rest = sys.argv[1], sys.argv[2].split(","), sys.argv[3].split(","), sys.argv[4:]
    steps = int(rest[rest.index("--steps") + 1])
    for s in seeds:
        for e in estimates:
            log = f"work/{e}-{s}.jsonl"
            if os.path.exists(log) and any("scalar" not in l and json.loads(l)["step"] >= steps for l in open(log)):
                continue
            print(e, s, flush=True)
            grpo.main([start, f"{e}-{s}", "--estimate", e, "--seed", s, *rest])


if __name__ == "__main__":
    main()
