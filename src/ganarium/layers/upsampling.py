"""How generators that map images to images enlarge their maps."""

from typing import Literal

from torch import nn

Upsampling = Literal["transposed", "resize"]
"""Transposed convolutions, as most papers have them; or nearest-neighbour resizing and a convolution, which draws no
checkerboards (Odena, Dumoulin and Olah 2016)."""


def doubled(inputs: int, outputs: int, upsampling: Upsampling, *, bias: bool) -> nn.Module:
    """(b, inputs, h, w) -> (b, outputs, 2h, 2w): a transposed convolution of 4x4, or resizing and one of 3x3."""
    if upsampling == "transposed":
        return nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias)
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, 1, 1, bias=bias))
