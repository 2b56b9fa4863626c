"""Keeps the outputs of networks in full precision."""

import torch
from torch import Tensor


def full(x: Tensor) -> Tensor:
    """A network's output in at least fp32, also where autocast computed it in half precision."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
