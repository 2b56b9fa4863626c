"""Convolutions whose masks hide what comes later in an image (van den Oord et al. 2016, section 3.4)."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def groups(count: int, channels: int) -> Tensor:
    """(count,) the image channel each of `count` maps belongs to: equal shares, in the order of channels."""
    return torch.arange(count) * channels // count


class MaskedConv2d(nn.Conv2d):
    """A convolution whose taps right of the centre in its row, and in all rows below, are zero.

    At the centre, a map of group g sees the groups before g (mask "A"), or those and its own (mask "B").
    """

    mask: Tensor  # bool, the shape of the weight

    def __init__(self, fan_in: int, fan_out: int, kernel: int, kind: Literal["A", "B"], channels: int) -> None:
        super().__init__(fan_in, fan_out, kernel, padding=kernel // 2)
        centre, seen, seeing = kernel // 2, groups(fan_in, channels), groups(fan_out, channels)[:, None]
        mask = torch.ones(fan_out, fan_in, kernel, kernel, dtype=torch.bool)
        mask[:, :, centre, centre] = seen < seeing if kind == "A" else seen <= seeing
        mask[:, :, centre, centre + 1 :] = False
        mask[:, :, centre + 1 :] = False
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)
