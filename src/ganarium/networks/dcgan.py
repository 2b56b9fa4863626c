"""The convolutional pair of DCGAN, for any height and width; WGAN-GP and others use it with other normalisation."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.normalization import Norm, norm_layers
from ganarium.layers.penalized import Conv2d, LeakyReLU
from ganarium.layers.precision import full
from ganarium.layers.shapes import halvings, pyramid


class Generator(nn.Module):
    """(b, latent_dim) -> (b, c, h, w) in [-1, 1]: projection, then transposed convolutions of 5x5, stride 2.

    Channels double from `width` with every halving of the picture, up to 8 `width` (1024, the widest published).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        latent_dim: int,
        width: int,
        *,
        batch_norm: bool = True,
        last_bias: bool = True,
    ) -> None:
        super().__init__()
        channels, height, wide = shape
        levels = halvings(height, wide)
        sizes = pyramid(height, wide, levels)[::-1]
        widths = [width * min(2**level, 8) for level in reversed(range(levels))] + [channels]
        self.start = (widths[0], *sizes[0])
        norm = nn.BatchNorm2d if batch_norm else nn.Identity
        self.project = nn.Linear(latent_dim, widths[0] * sizes[0][0] * sizes[0][1], bias=not batch_norm)
        self.project_norm = norm(widths[0])
        layers: list[nn.Module] = []
        for level in range(levels):
            (h, w), (next_h, next_w) = sizes[level], sizes[level + 1]
            last = level == levels - 1
            # a side of n comes from ceil(n / 2): the output padding is 1 for an even side and 0 for an odd one
            extra, bias = (next_h - 2 * h + 1, next_w - 2 * w + 1), last_bias if last else not batch_norm
            layers.append(nn.ConvTranspose2d(widths[level], widths[level + 1], 5, 2, 2, extra, bias=bias))
            layers += [nn.Tanh()] if last else [norm(widths[level + 1]), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        x = self.project(z).unflatten(1, self.start)
        return full(self.layers(F.relu(self.project_norm(x))))


class Discriminator(nn.Module):
    """(b, c, h, w) -> score (b,): convolutions of 5x5, stride 2, LeakyReLU, then one linear unit.

    Every layer but the first is normed; with batch norm no layer has a bias, as DCGAN was released. `dropout` is the
    share of zeros behind each LeakyReLU.
    """

    def __init__(self, shape: tuple[int, int, int], width: int, *, norm: Norm = "batch", dropout: float = 0.0) -> None:
        super().__init__()
        channels, height, wide = shape
        levels = halvings(height, wide)
        sizes = pyramid(height, wide, levels)
        widths = [channels] + [width * min(2**level, 8) for level in range(levels)]
        batch_norm = norm == "batch"
        layers: list[nn.Module] = []
        for level in range(levels):
            convolution = nn.Conv2d if batch_norm else Conv2d  # without: it is for penalties
            layers.append(convolution(widths[level], widths[level + 1], 5, 2, 2, bias=not batch_norm))
            layers += norm_layers(norm, widths[level + 1]) if level > 0 else []
            layers.append(nn.LeakyReLU(0.2) if batch_norm else LeakyReLU(0.2))
            layers += [nn.Dropout(dropout)] if dropout else []
        self.layers = nn.Sequential(*layers)
        self.score = nn.Linear(math.prod((widths[-1], *sizes[-1])), 1, bias=not batch_norm)

    def features(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, f): what the last layer reads."""
        return self.layers(x).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return full(self.score(self.features(x)).squeeze(1))
