"""The networks of Projected GAN (Sauer et al. 2021): random mixing of a frozen network's maps, four small
discriminators on them, and the generator of FastGAN with noise in every stage."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.normalization import spectral_norm
from ganarium.layers.precision import full
from ganarium.networks.fastgan import EXCITED, OF_GENERATOR, Excitation, Up

SMALLEST = 64  # side in pixels of the smallest image from whose maps the discriminators can read


class Mixing(nn.Module):
    """Four maps (b, channels[i], s / 2^i, s / 2^i), the largest first -> four of twice their sides, with `width`,
    `width`, 2 and 4 `width` channels. Each depth is mixed with the deeper ones by 1x1 convolutions.

    They are drawn once and never trained: they let no discriminator find the few channels that give a fake away.
    """

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(len(channels))]
        self.across_channels = nn.ModuleList(nn.Conv2d(n, w, 1) for n, w in zip(channels, widths, strict=True))
        # the deepest first, which is the order in which they run
        self.across_scales = nn.ModuleList(nn.Conv2d(w, max(width, w // 2), 1) for w in reversed(widths))
        self.requires_grad_(False)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        mixed: list[Tensor] = []
        for x, channels, scales in zip(reversed(maps), reversed(self.across_channels), self.across_scales, strict=True):
            x = channels(x) + mixed[-1] if mixed else channels(x)
            # the release enlarges first; a 1x1 convolution gives the same behind it, and here costs a quarter
            mixed.append(F.interpolate(scales(x), scale_factor=2, mode="bilinear", align_corners=True))
        return mixed[::-1]


class Discriminators(nn.Module):
    """What `Mixing` gives for images of `side` pixels -> the scores (b, n) of all their patches at four depths.

    From 128 pixels on the maps are halved 4, 3, 2 and 1 times, as in the release; below, once less.
    """

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        widths = [width, width, 2 * width, 4 * width, 8 * width]
        less = 1 if side < 128 else 0
        self.heads = nn.ModuleList(_head(widths[depth : len(widths) - less]) for depth in range(4))

    def forward(self, mixed: list[Tensor]) -> Tensor:
        return full(torch.cat([head(x).flatten(1) for head, x in zip(self.heads, mixed, strict=True)], 1))


def _head(widths: list[int]) -> nn.Sequential:
    """(b, widths[0], s, s) -> scores (b, 1, n, n), behind a halving for each further width."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        convolution = spectral_norm(nn.Conv2d(before, after, 4, 2, 1))
        layers += [convolution, nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(widths[-1], 1, 4, bias=False)))


class Generator(nn.Module):
    """Codes (b, latent_dim) -> images (b, c, size, size), usual in [-1, 1] but not held to it.

    The stages of FastGAN: each doubles the side, by two convolutions with noise, or by one without it (`lite`). From 64
    pixels on, maps are multiplied by gates that a map sixteen times smaller opens.
    """

    def __init__(self, latent_dim: int, channels: int, width: int, size: int, *, lite: bool) -> None:
        super().__init__()
        widths = {side: max(1, int(part * width)) for side, part in OF_GENERATOR.items()}
        self.size = size
        self.first = nn.Sequential(
            spectral_norm(nn.ConvTranspose2d(latent_dim, 2 * widths[4], 4, bias=False)),
            nn.BatchNorm2d(2 * widths[4]),
            nn.GLU(1),
        )
        self.sides = [side for side in widths if 4 < side <= size]
        self.stages = nn.ModuleDict({str(s): Up(widths[s // 2], widths[s], twice=not lite) for s in self.sides})
        self.gates = nn.ModuleDict(
            {str(side): Excitation(widths[low], widths[side]) for side, low in EXCITED.items() if side <= size}
        )
        self.to_image = spectral_norm(nn.Conv2d(widths[size], channels, 3, 1, 1))

    def forward(self, z: Tensor) -> Tensor:
        z = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        maps = {4: self.first(z[:, :, None, None])}
        for side in self.sides:
            x = self.stages[str(side)](maps[side // 2])
            maps[side] = self.gates[str(side)](maps[EXCITED[side]], x) if str(side) in self.gates else x
        return full(self.to_image(maps[self.size]))
