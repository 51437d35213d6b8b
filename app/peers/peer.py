"""What every contestant of `unmask bench --against` shares: the checkpoint, the clocks, and the loop that runs one pass
whenever a line asks for it.

A peer is started as: python NAME.py MODEL_DIR DTYPE THREADS. It prints one line of JSON when it is ready, then answers
each line of JSON on its standard input with one on its standard output.
"""

import json
import mmap
import os
import sys
import time


class Checkpoint:
    """A LLaDA in the released layout, of one safetensors file: sizes, and tensors as (dtype, shape, bytes)."""

    def __init__(self, folder):
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
            c = json.load(f)
        self.width, self.heads, self.layers = c["d_model"], c["n_heads"], c["n_layers"]
        self.ff, self.vocab = c["mlp_hidden_size"], c["vocab_size"]
        self.theta, self.eps = float(c["rope_theta"]), float(c["rms_norm_eps"])
        f = open(os.path.join(folder, "model.safetensors"), "rb")
        self.data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        n = int.from_bytes(self.data[:8], "little")
        self.header = json.loads(self.data[8 : 8 + n])
        self.start = 8 + n

    def raw(self, name):
        e = self.header["model.transformer." + name + ".weight"]
        lo, hi = e["data_offsets"]
        return e["dtype"], e["shape"], self.data[self.start + lo : self.start + hi]

    def array(self, name):
        """The tensor as a float32 array of numpy."""
        import numpy as np

        dtype, shape, raw = self.raw(name)
        if dtype == "F32":
            return np.frombuffer(raw, np.float32).reshape(shape)
        wide = np.frombuffer(raw, np.uint16).astype(np.uint32) << 16
        return wide.view(np.float32).reshape(shape)


def serve(versions, passes, peak=None):
    """Answers requests {"pass": NAME, "tokens": [...], "want": [[pos, id], ...]} with times and the wanted logits.

    passes maps a name to a function of tokens that returns a function of (pos, id) giving a logit.
    """
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    print(json.dumps({"ready": True, "versions": versions, "passes": sorted(passes)}), file=out, flush=True)
    for line in sys.stdin:
        ask = json.loads(line)
        wall, cpu = time.perf_counter(), time.process_time()
        logits = passes[ask["pass"]](ask["tokens"])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        got = [float(logits(p, i)) for p, i in ask.get("want") or []]
        print(json.dumps({"wall": wall, "cpu": cpu, "logits": got}), file=out, flush=True)
