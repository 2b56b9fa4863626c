"""The U-Net of pix2pix (Isola et al. 2016, appendix 6.1.1), for any height and width."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ganarium.layers.precision import full
from ganarium.layers.shapes import reflect_to_multiple
from ganarium.layers.upsampling import Upsampling, doubled


class UNet(nn.Module):
    """(b, in_channels, h, w) -> (b, out_channels, h, w) in [-1, 1].

    `levels` convolutions of stride 2 lead down, C64-C128-C256-C512-C512-..., and as many lead up again; each way up
    also reads what came down at its own size. Batch norm follows every layer but the first and the innermost on the way
    down (a 1x1 map normalised by its own statistics would be 0 everywhere) and the last on the way up; only the last
    has a bias. `dropout` (a share) stands behind the norm of the three innermost layers on the way up; `dropped`
    "released" has it one layer further out, and none behind the four outermost layers. `upsampling` is
    a transposed convolution (paper), or nearest-neighbour resizing and a convolution, which draws no checkerboards. A
    side that is no multiple of 2^levels is padded by reflection at its end, and the result cropped.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int,
        levels: int,
        *,
        dropout: float = 0.5,
        dropped: Literal["paper", "released"] = "paper",
        upsampling: Upsampling = "transposed",
    ) -> None:
        super().__init__()
        with_dropout = range(levels - 3, levels) if dropped == "paper" else range(4, levels - 1)
        widths = [width * min(2**level, 8) for level in range(levels)]  # of the maps, from the outside in
        self.levels = levels
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()  # from the outside in as well
        for level, channels in enumerate(widths):
            first, innermost = level == 0, level == levels - 1
            convolution = nn.Conv2d(in_channels if first else widths[level - 1], channels, 4, 2, 1, bias=False)
            norm = [] if first or innermost else [nn.BatchNorm2d(channels)]
            self.down.append(nn.Sequential(*([] if first else [nn.LeakyReLU(0.2)]), convolution, *norm))
            inputs = channels if innermost else 2 * channels
            if first:
                self.up.append(nn.Sequential(nn.ReLU(), doubled(inputs, out_channels, upsampling, bias=True)))
            else:
                outputs = widths[level - 1]
                layers = [nn.ReLU(), doubled(inputs, outputs, upsampling, bias=False), nn.BatchNorm2d(outputs)]
                drops = dropout > 0 and level in with_dropout
                self.up.append(nn.Sequential(*layers, *([nn.Dropout(dropout)] if drops else [])))

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        x = reflect_to_multiple(x, 2**self.levels)
        maps = []
        for down in self.down:
            x = down(x)
            maps.append(x)
        x = self.up[-1](maps[-1])
        for up, own in zip(reversed(self.up[:-1]), reversed(maps[:-1]), strict=True):
            x = up(torch.cat([own, x], 1))
        return torch.tanh(full(x[:, :, :height, :width]))


def num_levels(height: int, width: int) -> int:
    """How often the shorter side can be halved until it is 1: 8 for 256 pixels, which is also the most; 1 at least."""
    return max(1, min(8, int(math.log2(min(height, width)))))
