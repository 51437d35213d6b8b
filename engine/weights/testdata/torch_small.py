"""Writes small.pt, which torchbin_test.go reads: python torch_small.py (torch 2.15)."""
import collections

import torch

a = torch.arange(6, dtype=torch.float32).reshape(2, 3)
torch.save({
    "state_dict": collections.OrderedDict([
        ("a", a), ("a.t", a.t()), ("a.row", a[1]), ("half", torch.tensor([1.0, -2.5, 65504.0], dtype=torch.float16)),
        ("bf", torch.nn.Parameter(torch.tensor([[1.0], [-2.5]], dtype=torch.bfloat16))), ("long", torch.tensor(-7)),
        ("bool", torch.tensor([True, False])), ("empty", torch.zeros(0, 4)), ("flip", torch.arange(24.).reshape(2, 3, 4).permute(2, 0, 1)[1:3])]),
    "ema": {"shadow": [torch.tensor([1.5], dtype=torch.float64), torch.tensor([2], dtype=torch.int32)], "decay": 0.999, "step": 2 ** 40},
    "args": ("x", None, True), "device": torch.device("cpu"),
}, "small.pt")
