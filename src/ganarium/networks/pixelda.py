"""The networks of PixelDA (Bousmalis et al. 2016): a residual generator, a noisy D, and a classifier of two domains."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.gaussian_noise import GaussianNoise
from ganarium.layers.precision import full
from ganarium.layers.shapes import halvings, pyramid


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Generator(nn.Module):
    """Image (b, c, h, w) and noise (b, noise_dim) -> (b, c, h, w) in [-1, 1].

    A dense layer makes one more channel of the noise; residual blocks of 3x3 convolutions follow, and a 1x1.
    """

    def __init__(self, shape: tuple[int, int, int], noise_dim: int, width: int, num_blocks: int) -> None:
        super().__init__()
        channels, self.height, self.width = shape
        size = self.height * self.width
        self.noise = nn.Sequential(nn.Linear(noise_dim, size, bias=False), nn.BatchNorm1d(size), nn.ReLU())
        self.layers = nn.Sequential(
            nn.Conv2d(channels + 1, width, 3, 1, 1),
            nn.ReLU(),
            *(Block(width) for _ in range(num_blocks)),
            nn.Conv2d(width, channels, 1),
        )

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        extra = self.noise(z).view(-1, 1, self.height, self.width)
        if extra.shape[2:] != x.shape[2:]:
            extra = F.interpolate(extra, x.shape[2:], mode="bilinear")
        return full(self.layers(torch.cat([x, extra], 1))).tanh()


class Discriminator(nn.Module):
    """(b, c, h, w) -> score (b,): convolutions of 3x3 and stride 2, with noise and dropout at every layer."""

    def __init__(self, shape: tuple[int, int, int], width: int, dropout: float, noise: float) -> None:
        super().__init__()
        channels, height, wide = shape
        levels = halvings(height, wide)
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, 1, 1), nn.LeakyReLU(0.2)]
        for level in range(levels):
            fan_in, fan_out = width * 2**level, width * 2 ** (level + 1)
            layers += [nn.Dropout(dropout), GaussianNoise(noise), nn.Conv2d(fan_in, fan_out, 3, 2, 1, bias=False)]
            layers += [nn.BatchNorm2d(fan_out), nn.LeakyReLU(0.2)]
        rest = pyramid(height, wide, levels)[-1]
        units = width * 2**levels * rest[0] * rest[1]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout), GaussianNoise(noise))
        self.last = nn.Linear(units, 1)

    def forward(self, x: Tensor) -> Tensor:
        return full(self.last(self.layers(x)).squeeze(1))


class Classifier(nn.Module):
    """(b, c, h, w) -> logits (b, num_classes): two convolutions with pooling, two dense layers.

    The first convolution is another for images of the source than for those of the target and adapted ones.
    """

    def __init__(self, shape: tuple[int, int, int], num_classes: int, width: int) -> None:
        super().__init__()
        channels, height, wide = shape
        self.first = nn.ModuleDict({kind: nn.Conv2d(channels, width, 5, 1, 2) for kind in ("source", "target")})
        units, hidden = 3 * width // 2, 3 * width
        self.shared = nn.Sequential(
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, units, 5, 1, 2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(units * (height // 4) * (wide // 4), hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, x: Tensor, kind: str = "target") -> Tensor:
        return full(self.shared(self.first[kind](x)))
