"""The precision of what a network gives."""

import torch
from torch import Tensor


def full(x: Tensor) -> Tensor:
    """A network's output in at least fp32, whatever autocast made of it."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
