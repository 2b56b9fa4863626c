"""SRResNet as the toolbox BasicSR has it, for weights that were trained with that."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.precision import full

SLOPE = 0.1


class MSRResNet(nn.Module):
    """(b, c, h, w) in [0, 1] -> (b, c, scale h, scale w) around [-1, 1], linear: the network gives what has to be added
    to the picture enlarged bilinearly.

    No batch norm, 3x3 convolutions only, LeakyReLU for PReLU, no skip over all blocks, and one convolution more behind
    the sub-pixel layers. `scale` is a power of two.
    """

    def __init__(self, channels: int, width: int, num_blocks: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.first = nn.Conv2d(channels, width, 3, 1, 1)
        self.blocks = nn.Sequential(*(PlainBlock(width) for _ in range(num_blocks)))
        self.doublings = nn.ModuleList(nn.Conv2d(width, 4 * width, 3, 1, 1) for _ in range(round(math.log2(scale))))
        self.before_last = nn.Conv2d(width, width, 3, 1, 1)
        self.last = nn.Conv2d(width, channels, 3, 1, 1)
        self.reach = 2 * num_blocks + 4  # pixels of the input around one

    def forward(self, x: Tensor) -> Tensor:
        maps = self.blocks(F.leaky_relu(self.first(x), SLOPE))
        for doubling in self.doublings:
            maps = F.leaky_relu(F.pixel_shuffle(doubling(maps), 2), SLOPE)
        added = full(self.last(F.leaky_relu(self.before_last(maps), SLOPE)))
        made = added + F.interpolate(full(x), scale_factor=self.scale, mode="bilinear", align_corners=False)
        return 2 * made - 1


class PlainBlock(nn.Module):
    """(b, width, h, w) -> the same: two 3x3 convolutions, ReLU between them, and the input added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)
