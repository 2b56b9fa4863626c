"""Normalises the features of each pixel (Karras et al. 2018, section 4.2)."""

import torch
from torch import Tensor, nn

from ganarium.layers.precision import full


def pixel_norm(x: Tensor) -> Tensor:
    """(b, c, ...) -> the same, divided by the root of the mean square over the channels."""
    return x * torch.rsqrt(full(x).square().mean(1, keepdim=True) + 1e-8).to(x.dtype)


class PixelNorm(nn.Module):
    """`pixel_norm` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        return pixel_norm(x)
