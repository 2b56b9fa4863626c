"""The networks of CoGAN (Liu and Tuzel 2016), as released for digits: two of each, which share most of their layers.

Pixels are in [0, 1] inside. Batch norm has no gain and no shift, though the convolutions before it have biases.
"""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.precision import full

SMALLEST = 16  # pixels: images that are smaller are padded with black for D


class Generator(nn.Module):
    """(b, latent_dim) -> two images (b, c, h, w) in [-1, 1], of the two domains.

    All layers but the last are shared (`shared`), or each domain has its own: from 1x1 by transposed convolutions to a
    start, three times to twice the size less one, and to the picture, of which the middle is cut out where it is too
    large. 28 pixels are those of the release: 1, 4, 7, 13, 25, 28.
    """

    def __init__(
        self, shape: tuple[int, int, int], latent_dim: int, channels: Sequence[int], *, shared: bool = True
    ) -> None:
        super().__init__()
        image_channels, self.height, self.width = shape
        start = (-(-(self.height + 4) // 8), -(-(self.width + 4) // 8))
        trunks = [_trunk(latent_dim, channels, start) for _ in range(1 if shared else 2)]
        self.trunks = nn.ModuleList(trunks)
        self.last = nn.ModuleList([nn.ConvTranspose2d(channels[-1], image_channels, 6, 1, 1) for _ in range(2)])

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        inner = [trunk(z[:, :, None, None]) for trunk in self.trunks]
        a, b = (self._picture(last(inner[min(place, len(inner) - 1)])) for place, last in enumerate(self.last))
        return a, b

    def _picture(self, x: Tensor) -> Tensor:
        top, left = (x.shape[2] - self.height) // 2, (x.shape[3] - self.width) // 2
        return 2 * full(x[:, :, top : top + self.height, left : left + self.width]).sigmoid() - 1


def _trunk(latent_dim: int, channels: Sequence[int], start: tuple[int, int]) -> nn.Sequential:
    layers: list[nn.Module] = [nn.ConvTranspose2d(latent_dim, channels[0], start)]
    for fan_in, fan_out in itertools.pairwise(channels):
        layers += [nn.BatchNorm2d(fan_in, affine=False), nn.PReLU(), nn.ConvTranspose2d(fan_in, fan_out, 3, 2, 1)]
    return nn.Sequential(*layers, nn.BatchNorm2d(channels[-1], affine=False), nn.PReLU())


class Discriminator(nn.Module):
    """Images (b, c, h, w) in [-1, 1] of one domain -> logits (b, 2) of fake and real.

    The first layer is each domain's own, the others are shared, or each domain has its own. Of images of 28 pixels the
    third convolution reads 4x4 places; of 16 pixels it reads one, so that D no longer knows where a thing was.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        channels: Sequence[int],
        num_classes: int | None = None,
        *,
        shared: bool = True,
    ) -> None:
        super().__init__()
        height, width = (max(side, SMALLEST) for side in shape[1:])
        self.padding = (width - shape[2], height - shape[1])
        first, second, third = channels
        rest = (_rest(height), _rest(width))
        self.first = nn.ModuleList([nn.Conv2d(shape[0], first, 5) for _ in range(2)])
        trunks = []
        for _ in range(1 if shared else 2):
            pooled = [nn.MaxPool2d(2), nn.Conv2d(first, second, 5), nn.MaxPool2d(2)]
            trunks.append(nn.Sequential(*pooled, nn.Conv2d(second, third, rest), nn.PReLU()))
        self.trunks = nn.ModuleList(trunks)
        self.last = nn.ModuleList([nn.Conv2d(third, 2, 1) for _ in range(1 if shared else 2)])
        self.classes = nn.Conv2d(third, num_classes, 1) if num_classes else None

    def features(self, x: Tensor, domain: int) -> Tensor:
        """What the last layer reads of images of a domain, 0 or 1: (b, f, 1, 1)."""
        right, below = self.padding
        x = F.pad((x + 1) / 2, (right // 2, right - right // 2, below // 2, below - below // 2))
        features: Tensor = self.trunks[min(domain, len(self.trunks) - 1)](self.first[domain](x))
        return features

    def judged(self, features: Tensor, domain: int) -> Tensor:
        """Scores (b,) of features of a domain: the logit of real less that of fake."""
        logits = full(self.last[min(domain, len(self.last) - 1)](features)).flatten(1)
        return logits[:, 1] - logits[:, 0]

    def class_logits(self, features: Tensor) -> Tensor:
        """(b, num_classes) of features."""
        assert self.classes is not None
        return full(self.classes(features)).flatten(1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Scores (2 b,) of images of the first domain, and of the second."""
        return torch.cat([self.judged(self.features(x, domain), domain) for domain, x in enumerate((a, b))])


def _rest(side: int) -> int:
    """What is left of a side behind two convolutions of 5x5, each with its pooling."""
    return ((side - 4) // 2 - 4) // 2
