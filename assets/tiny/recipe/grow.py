"""Carries a trained checkpoint over to a larger vocabulary: rows of known pieces are kept, rows of new pieces begin as
the mean of the old pieces they were written with. Optimiser state of the matrices is kept, that of the table is not.

usage: grow.py OLD.pt OLD_TOKENIZER.json NEW.pt    (the new tokenizer is ../tokenizer.json)
"""
import sys

import torch
from tokenizers import Tokenizer

import data as D


def main(src, old_tok, dst):
    old = Tokenizer.from_file(old_tok)
    base = old.token_to_id("<|startoftext|>")
    rows = []
    for i in range(D.BASE):
        piece = D.TOK.id_to_token(i)
        j = old.token_to_id(piece)
        rows.append([j] if j is not None else old.encode(D.TOK.decode([i]), add_special_tokens=False).ids or [base + 1])
    rows += [[base + k] for k in range(269 + (1 << D.BITS))]
    assert len(rows) == D.VOCAB

    def grow(t):
        return torch.stack([t[r].mean(0) for r in rows])

    c = torch.load(src)
    names = list(c["net"])
    k = names.index("wte.weight")
    c["net"]["wte.weight"] = grow(c["net"]["wte.weight"])
    c["ema"][k] = grow(c["ema"][k])
    c.pop("opt", None)
    if "cells" in c:
        new = torch.randn(D.CELL_CLASSES, c["cells"].shape[1]) * 0.02
        new[:len(c["cells"])] = c["cells"]
        c["cells"] = new
    c["step"], c["spent"] = 0, 0.0
    torch.save(c, dst)
    print("rows", len(rows), "of which new", sum(len(r) > 1 for r in rows))


main(*sys.argv[1:4])
