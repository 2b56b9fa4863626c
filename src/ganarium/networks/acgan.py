"""The discriminator of AC-GAN's CIFAR-10 experiment for any height and width, without its two heads."""

import math
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.shapes import halvings, pyramid


class Trunk(nn.Module):
    """(b, c, h, w) -> features (b, num_features): pairs of 3x3 convolutions, the first of a pair with stride 2, batch
    norm but in the first, LeakyReLU(0.2), dropout. Channels double from `width` with every layer, up to 32 `width`."""

    def __init__(self, shape: tuple[int, int, int], width: int, dropout: float) -> None:
        super().__init__()
        channels, height, wide = shape
        levels = halvings(height, wide)
        widths = [channels] + [width * min(2**layer, 32) for layer in range(2 * levels)]
        blocks = []
        for layer, (fan_in, fan_out) in enumerate(pairwise(widths)):
            stride = 1 if layer % 2 else 2
            norm = [nn.BatchNorm2d(fan_out)] if layer else []
            convolution = nn.Conv2d(fan_in, fan_out, 3, stride, 1, bias=not layer)
            blocks.append(nn.Sequential(convolution, *norm, nn.LeakyReLU(0.2)))
        self.blocks = nn.ModuleList(blocks)
        self.dropout = dropout
        self.num_features = math.prod((widths[-1], *pyramid(height, wide, levels)[-1]))

    def forward(self, x: Tensor, *, steady: bool = False) -> Tensor:
        """`steady`: without dropout, in training too."""
        for block in self.blocks:
            x = F.dropout(block(x), self.dropout, self.training and not steady)
        return x.flatten(1)
