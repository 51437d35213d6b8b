"""Writes legacy.pt, which torchlegacy_test.go reads: python torch_legacy.py (torch 2.15), in the form of torch before 1.6."""
import collections

import torch

a = torch.arange(6, dtype=torch.float32).reshape(2, 3)
torch.save({
    "state_dict": collections.OrderedDict([
        ("a", a), ("a.t", a.t()), ("a.row", a[1]), ("half", torch.tensor([1.0, -2.5, 65504.0], dtype=torch.float16)),
        ("bf", torch.nn.Parameter(torch.tensor([[1.0], [-2.5]], dtype=torch.bfloat16))), ("long", torch.tensor(-7)),
        ("bool", torch.tensor([True, False]))]),
    "ema": {"shadow": [torch.tensor([1.5], dtype=torch.float64), torch.tensor([2], dtype=torch.int32)], "step": 2 ** 40},
}, "legacy.pt", _use_new_zipfile_serialization=False)
