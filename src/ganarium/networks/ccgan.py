"""The networks of CC-GAN (Denton et al. 2016): one that fills holes, and a VGG that judges and classifies."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.precision import full
from ganarium.layers.shapes import reflect_to_multiple

CONVOLUTIONS, WIDTHS = (1, 1, 2, 2, 2), (1, 2, 4, 8, 8)  # of VGG-A: in each stage, and channels in units of the first


class Generator(nn.Module):
    """Images (b, inputs, h, w) and noise (b, noise_dim) -> (b, c, h, w) in [-1, 1], down to about 4x4 and up again.

    Convolutions of 4x4 and stride 2 as in DCGAN, with batch norm behind all but the first and the last. Noise joins at
    the smallest size. Other sizes are padded by reflection to what can be halved.
    """

    def __init__(self, inputs: int, shape: tuple[int, int, int], noise_dim: int, width: int) -> None:
        super().__init__()
        channels, *sides = shape
        levels = max(1, round(math.log2(min(sides) / 4)))
        widths = [width * 2 ** min(3, level) for level in range(levels)]
        down: list[nn.Module] = []
        for fan_in, fan_out in zip([inputs, *widths], widths, strict=False):
            norm = [nn.BatchNorm2d(fan_out)] if down else []
            down += [nn.Conv2d(fan_in, fan_out, 4, 2, 1, bias=not norm), *norm, nn.LeakyReLU(0.2)]
        up: list[nn.Module] = []
        for fan_in, fan_out in zip([widths[-1] + noise_dim, *widths[-2::-1]], widths[-2::-1], strict=False):
            up += [nn.ConvTranspose2d(fan_in, fan_out, 4, 2, 1, bias=False), nn.BatchNorm2d(fan_out), nn.ReLU()]
        last = width if levels > 1 else width + noise_dim
        self.down, self.up = nn.Sequential(*down), nn.Sequential(*up, nn.ConvTranspose2d(last, channels, 4, 2, 1))
        self.step = 2**levels

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        height, width = x.shape[2:]
        inner = self.down(reflect_to_multiple(x, self.step))
        noise = z[:, :, None, None].expand(-1, -1, *inner.shape[2:])
        return full(self.up(torch.cat([inner, noise], 1))[:, :, :height, :width]).tanh()


class Discriminator(nn.Module):
    """(b, c, h, w) -> score (b,): VGG-A with batch norm and LeakyReLU; `class_logits` reads the same features.

    It has as many of the five stages as leave at least 2x2 of the picture.
    """

    def __init__(self, shape: tuple[int, int, int], num_classes: int | None, width: int, dropout: float) -> None:
        super().__init__()
        channels, *sides = shape
        stages = max(1, min(len(WIDTHS), int(math.log2(min(sides) / 2))))
        layers: list[nn.Module] = []
        for count, times in zip(CONVOLUTIONS[:stages], WIDTHS, strict=False):
            for _ in range(count):
                layers += [nn.Conv2d(channels, width * times, 3, 1, 1, bias=False), nn.BatchNorm2d(width * times)]
                layers += [nn.LeakyReLU(0.2)]
                channels = width * times
            layers.append(nn.MaxPool2d(2))
        rest = (sides[0] // 2**stages, sides[1] // 2**stages)
        self.features = nn.Sequential(*layers)
        self.score = nn.Conv2d(channels, 1, rest)
        self.classes = nn.Conv2d(channels, num_classes, rest) if num_classes else None
        self.dropout = dropout

    def class_logits(self, x: Tensor) -> Tensor:
        """(b, num_classes); whole channels of the features are dropped while it trains."""
        assert self.classes is not None
        features = F.dropout2d(self.features(x), self.dropout, self.training)
        return full(self.classes(features)).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return full(self.score(self.features(x))).flatten(1)[:, 0]
