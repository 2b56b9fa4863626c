"""The residual networks of WGAN-GP's CIFAR-10 experiment (Gulrajani et al. 2017, appendix C), for any height and width.

G starts at about 4x4 and doubles in every block; D halves in its first blocks, until about 8x8, and keeps that size in
the last two. Every block has `width` channels (128 published).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.normalization import Norm, norm_layers
from ganarium.layers.penalized import Conv2d, LeakyReLU
from ganarium.layers.precision import full
from ganarium.layers.shapes import halvings, pyramid


class UpBlock(nn.Module):
    """(b, n, *) -> (b, n, *size): norm, ReLU, nearest upsampling, convolution, norm, ReLU, convolution; plus a skip."""

    def __init__(self, width: int, size: tuple[int, int], batch_norm: bool) -> None:
        super().__init__()
        self.size = size
        norm = nn.BatchNorm2d if batch_norm else nn.Identity
        self.before = nn.Sequential(norm(width), nn.ReLU())
        self.first = nn.Conv2d(width, width, 3, 1, 1, bias=not batch_norm)
        self.second = nn.Sequential(norm(width), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1))
        self.skip = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.second(self.first(F.interpolate(self.before(x), size=self.size, mode="nearest")))
        # the 1x1 convolution before the upsampling: they commute, and it is a quarter of the work
        return inner + F.interpolate(self.skip(x), size=self.size, mode="nearest")


class DownBlock(nn.Module):
    """(b, n, h, w) -> (b, width, ...): [norm, ReLU,] convolution, norm, ReLU, convolution, and a mean over 2x2 where it
    halves; plus a skip. The first block of a network takes the image, and so has no norm or ReLU before."""

    def __init__(self, channels: int, width: int, *, halves: bool, first: bool, norm: Norm) -> None:
        super().__init__()
        before = [] if first else [*norm_layers(norm, channels), LeakyReLU(0.0)]
        after = [*norm_layers(norm, width), LeakyReLU(0.0)]
        pool = [nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)] if halves else []
        first_half, second_half = Conv2d(channels, width, 3, 1, 1), Conv2d(width, width, 3, 1, 1)
        self.inner = nn.Sequential(*before, first_half, *after, second_half, *pool)
        self.skip = nn.Sequential(*pool, *([Conv2d(channels, width, 1)] if halves else []))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + self.skip(x)


class Generator(nn.Module):
    """(b, latent_dim) -> (b, c, h, w) in [-1, 1]."""

    def __init__(self, shape: tuple[int, int, int], latent_dim: int, width: int, *, batch_norm: bool = True) -> None:
        super().__init__()
        channels, height, wide = shape
        sizes = pyramid(height, wide, halvings(height, wide))[::-1]
        self.start = (width, *sizes[0])
        self.project = nn.Linear(latent_dim, width * sizes[0][0] * sizes[0][1])
        self.blocks = nn.Sequential(*(UpBlock(width, size, batch_norm) for size in sizes[1:]))
        norm = nn.BatchNorm2d if batch_norm else nn.Identity
        self.last = nn.Sequential(norm(width), nn.ReLU(), nn.Conv2d(width, channels, 3, 1, 1), nn.Tanh())
        init_released(self)

    def forward(self, z: Tensor) -> Tensor:
        return full(self.last(self.blocks(self.project(z).unflatten(1, self.start))))


class Discriminator(nn.Module):
    """(b, c, h, w) -> score (b,): blocks, ReLU, the mean over all places, one linear unit."""

    def __init__(self, shape: tuple[int, int, int], width: int, *, norm: Norm = "none", dropout: float = 0.0) -> None:
        super().__init__()
        channels, height, wide = shape
        halved = max(1, halvings(height, wide) - 1)
        layers: list[nn.Module] = []
        for level in range(halved + 2):
            first = level == 0
            layers.append(DownBlock(channels if first else width, width, halves=level < halved, first=first, norm=norm))
            layers += [nn.Dropout(dropout)] if dropout else []
        self.layers = nn.Sequential(*layers, LeakyReLU(0.0))
        self.score = nn.Linear(width, 1)
        init_released(self)

    def features(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, width): what the last layer reads."""
        return self.layers(x).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return full(self.score(self.features(x)).squeeze(1))


def init_released(network: nn.Module) -> None:
    """Uniform weights as released: variance 4 / (fan in + fan out) for 3x3 convolutions, half of it elsewhere."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            wide = isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)
            nn.init.xavier_uniform_(layer.weight, gain=2**0.5 if wide else 1.0)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
