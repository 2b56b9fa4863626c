"""The networks of ESRGAN (Wang et al. 2018): dense residual blocks without batch norm, and a discriminator."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.colours import ImageNetColours
from ganarium.layers.precision import full
from ganarium.layers.shapes import reflect_to_multiple

RESIDUAL_SCALE = 0.2
SLOPE = 0.2  # of LeakyReLU


class RRDBNet(nn.Module):
    """(b, c, h, w) in [0, 1] -> (b, c, scale h, scale w), linear: `num_blocks` residual-in-residual dense blocks, a
    skip over all of them, and a convolution behind nearest-neighbour enlargement for each factor of 2. No
    normalisation.

    `scale` is a power of two. The parameters have the order and the shapes of the authors' release. With `unshuffle`,
    as in Real-ESRGAN, each square of so many pixels becomes channels first, and the map is enlarged by that much more.
    With `imagenet`, as PyTorch-GAN has it, colours go in and come out in ImageNet's statistics, sub-pixel layers
    enlarge, and LeakyReLU has the slope 0.01.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        num_blocks: int,
        growth: int,
        scale: int,
        unshuffle: int = 1,
        *,
        imagenet: bool = False,
    ) -> None:
        super().__init__()
        self.growth, self.unshuffle, self.slope = growth, unshuffle, 0.01 if imagenet else SLOPE
        self.colours = ImageNetColours(channels) if imagenet else None
        self.first = nn.Conv2d(channels * unshuffle**2, width, 3, 1, 1)
        self.blocks = nn.Sequential(*(RRDB(width, growth, self.slope) for _ in range(num_blocks)))
        self.middle = nn.Conv2d(width, width, 3, 1, 1)
        doubled = 4 * width if imagenet else width
        count = round(math.log2(scale * unshuffle))
        self.doublings = nn.ModuleList(nn.Conv2d(width, doubled, 3, 1, 1) for _ in range(count))
        self.before_last = nn.Conv2d(width, width, 3, 1, 1)
        self.last = nn.Conv2d(width, channels, 3, 1, 1)
        # Pixels of the input around one that change it by more than 1/255: a block has 15 convolutions, but what goes
        # through many of them fades, as every residual is scaled by 0.2 twice.
        self.reach = min(15 * num_blocks + 4, 64) * unshuffle

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if self.unshuffle > 1:
            x = F.pixel_unshuffle(reflect_to_multiple(x, self.unshuffle), self.unshuffle)
        x = self.first(self.colours(x) if self.colours else x)
        x = x + self.middle(self.blocks(x))
        for doubling in self.doublings:
            if self.colours:
                x = F.pixel_shuffle(F.leaky_relu(doubling(x), self.slope), 2)
            else:
                x = F.leaky_relu(doubling(F.interpolate(x, scale_factor=2, mode="nearest")), self.slope)
        made = full(self.last(F.leaky_relu(self.before_last(x), self.slope)))
        if self.unshuffle > 1:
            scale = 2 ** len(self.doublings) // self.unshuffle
            made = made[:, :, : scale * height, : scale * width]
        return self.colours.restored(made) if self.colours else made


class RRDB(nn.Module):
    """(b, width, h, w) -> the same: three dense blocks, their sum scaled by 0.2 and added to the input."""

    def __init__(self, width: int, growth: int, slope: float = SLOPE) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(DenseBlock(width, growth, slope) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return x + RESIDUAL_SCALE * self.blocks(x)


class DenseBlock(nn.Module):
    """(b, width, h, w) -> the same: four convolutions of `growth` channels that each read all maps before them, a fifth
    back to `width` without activation, scaled by 0.2 and added to the input. He's first weights, times 0.1."""

    def __init__(self, width: int, growth: int, slope: float = SLOPE) -> None:
        super().__init__()
        self.slope = slope
        self.layers = nn.ModuleList(nn.Conv2d(width + k * growth, growth, 3, 1, 1) for k in range(4))
        self.last = nn.Conv2d(width + 4 * growth, width, 3, 1, 1)
        for layer in (*self.layers, self.last):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
            with torch.no_grad():
                layer.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        maps = x
        for layer in self.layers:
            maps = torch.cat([maps, F.leaky_relu(layer(maps), self.slope)], 1)
        return x + RESIDUAL_SCALE * self.last(maps)


class Discriminator(nn.Module):
    """(b, c, h, w) -> scores (b,) of whole images: five pairs of a 3x3 convolution and a 4x4 one of stride 2, to 8
    `width` channels, and two dense layers. Batch norm behind all convolutions but the first."""

    def __init__(self, shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        channels, height, wide = shape
        layers: list[nn.Module] = []
        before = channels
        levels = min(5, int(math.log2(min(height, wide))))  # 5 at 128 pixels
        for level in range(levels):
            after = width * min(2**level, 8)
            first = level == 0
            layers.append(nn.Conv2d(before, after, 3, 1, 1, bias=first))
            layers += [nn.LeakyReLU(0.2)] if first else [nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
            layers += [nn.Conv2d(after, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
            before = after
        self.features = nn.Sequential(*layers)
        area = (height // 2**levels) * (wide // 2**levels)
        self.classifier = nn.Sequential(nn.Linear(before * area, 100), nn.LeakyReLU(0.2), nn.Linear(100, 1))

    def forward(self, x: Tensor) -> Tensor:
        return full(self.classifier(self.features(x).flatten(1)).squeeze(1))
