"""The networks of SRGAN (Ledig et al. 2016): SRResNet, which enlarges, and a discriminator of whole images."""

import math

import torch
from torch import Tensor, nn

from ganarium.layers.colours import ImageNetColours
from ganarium.layers.precision import full


class SRResNet(nn.Module):
    """(b, c, h, w) in [0, 1] -> (b, c, scale h, scale w), linear: `num_blocks` residual blocks with batch norm and
    PReLU, a skip over all of them, then a sub-pixel layer for each factor of 2. `scale` is a power of two.

    With `imagenet`, as PyTorch-GAN has it, colours go in and come out in ImageNet's statistics, with a tanh at the end:
    the result is in [-1, 1] but never reaches black or white.
    """

    def __init__(self, channels: int, width: int, num_blocks: int, scale: int, *, imagenet: bool = False) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, width, 9, 1, 4), nn.PReLU())
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(num_blocks)))
        self.middle = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))
        doublings = [
            nn.Sequential(nn.Conv2d(width, 4 * width, 3, 1, 1), nn.PixelShuffle(2), nn.PReLU())
            for _ in range(round(math.log2(scale)))
        ]
        self.doublings = nn.Sequential(*doublings)
        self.last = nn.Conv2d(width, channels, 9, 1, 4)
        self.colours = ImageNetColours(channels) if imagenet else None
        self.reach = 2 * num_blocks + 8  # pixels of the input around one: 4 + 2 a block + 1, and 3 behind the doublings

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.colours(x) if self.colours else x)
        x = x + self.middle(self.blocks(x))
        made = full(self.last(self.doublings(x)))
        return 2 * self.colours.restored(torch.tanh(made)) - 1 if self.colours else made


class ResidualBlock(nn.Module):
    """(b, width, h, w) -> the same: two 3x3 convolutions with batch norm, PReLU between them, none after the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.PReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Discriminator(nn.Module):
    """(b, c, h, w) -> scores (b,) of whole images: eight 3x3 convolutions, every second of stride 2, to 8 `width`
    channels, and two dense layers. Batch norm behind all convolutions but the first; no sigmoid."""

    def __init__(self, shape: tuple[int, int, int], width: int, units: int = 1024) -> None:
        super().__init__()
        channels, height, wide = shape
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, 1, 1), nn.LeakyReLU(0.2)]
        before = width
        for number in range(1, 8):
            after, stride = width * 2 ** (number // 2), 1 + number % 2
            layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
            before = after
        self.features = nn.Sequential(*layers)
        area = -(-height // 16) * -(-wide // 16)
        self.classifier = nn.Sequential(nn.Linear(before * area, units), nn.LeakyReLU(0.2), nn.Linear(units, 1))

    def forward(self, x: Tensor) -> Tensor:
        return full(self.classifier(self.features(x).flatten(1)).squeeze(1))
