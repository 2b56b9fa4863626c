"""The networks of Context Encoders (Pathak et al. 2016), for any height and width from 8 on."""

import itertools
import math

from torch import Tensor, nn

from ganarium.layers.precision import full


class Generator(nn.Module):
    """(b, c, h, w) in [-1, 1] -> (b, c, *hole) in [-1, 1]: down to a code of `bottleneck` numbers, and up to the hole.

    At 128 pixels five convolutions of stride 2 lead down to 4x4 (64-64-128-256-512), and four lead up from 4x4 to
    64x64. Other sizes have as many as lead near to 4x4. Batch norm behind all but the first and the last layer; no
    biases.
    """

    def __init__(self, shape: tuple[int, int, int], hole: tuple[int, int], width: int, bottleneck: int) -> None:
        super().__init__()
        channels, *sides = shape
        levels = max(2, round(math.log2(min(sides) / 4)))
        widths = [width * 2 ** min(3, max(0, level - max(0, levels - 4))) for level in range(levels)]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for fan_in, fan_out in itertools.pairwise(widths):
            layers += [nn.Conv2d(fan_in, fan_out, 4, 2, 1, bias=False), nn.BatchNorm2d(fan_out), nn.LeakyReLU(0.2)]
        rest = (sides[0] // 2**levels, sides[1] // 2**levels)
        layers += [nn.Conv2d(widths[-1], bottleneck, rest, bias=False), nn.BatchNorm2d(bottleneck), nn.LeakyReLU(0.2)]

        ups = levels if tuple(hole) == tuple(sides) else levels - 1
        widths = [width * 2 ** min(3, level) for level in range(ups)]
        start = (-(-hole[0] // 2**ups), -(-hole[1] // 2**ups))
        layers += [nn.ConvTranspose2d(bottleneck, widths[-1], start, bias=False), nn.BatchNorm2d(widths[-1]), nn.ReLU()]
        for fan_in, fan_out in itertools.pairwise(widths[::-1]):
            up = nn.ConvTranspose2d(fan_in, fan_out, 4, 2, 1, bias=False)
            layers += [up, nn.BatchNorm2d(fan_out), nn.ReLU()]
        layers += [nn.ConvTranspose2d(width, channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers, self.hole = nn.Sequential(*layers), tuple(hole)

    def forward(self, x: Tensor) -> Tensor:
        height, width = self.hole
        return full(self.layers(x)[:, :, :height, :width])


class Discriminator(nn.Module):
    """(b, c, h, w) -> scores (b,): convolutions of stride 2 down to about 4x4, and one that covers what is left.

    Batch norm behind all but the first and the last; no biases, no sigmoid.
    """

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        channels, *sides = shape
        levels = max(1, round(math.log2(min(sides) / 4)))
        widths = [width * 2 ** min(3, level) for level in range(levels)]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for fan_in, fan_out in itertools.pairwise(widths):
            layers += [nn.Conv2d(fan_in, fan_out, 4, 2, 1, bias=False), nn.BatchNorm2d(fan_out), nn.LeakyReLU(0.2)]
        rest = (sides[0] // 2**levels, sides[1] // 2**levels)
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, rest, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return full(self.layers(x).flatten(1)[:, 0])
