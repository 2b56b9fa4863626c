"""The networks of DiscoGAN (Kim et al. 2017): encoder-decoders without skips, for any height and width."""

import itertools

import torch
from torch import Tensor, nn

from ganarium.layers.precision import full
from ganarium.layers.shapes import reflect_to_multiple
from ganarium.layers.upsampling import Upsampling, doubled


class Generator(nn.Module):
    """(b, c, h, w) in [0, 1] -> the same: `levels` convolutions of stride 2 down and as many up, no biases.

    Batch norm stands behind all but the first and the last. With `code_channels` a 4x4 convolution without padding and
    its transpose stand in the middle (the released "extra layers"), which need a middle of at least 4x4. Sides that are
    no multiple of 2^levels are padded by reflection, and the result cropped. Up it goes by transposed convolutions
    (paper), or by resizing and convolutions (`upsampling`).
    """

    def __init__(
        self,
        channels: int,
        width: int,
        levels: int,
        code_channels: int | None = None,
        upsampling: Upsampling = "transposed",
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for fan_in, fan_out in itertools.pairwise(widths):
            layers += [nn.Conv2d(fan_in, fan_out, 4, 2, 1, bias=False), nn.BatchNorm2d(fan_out), nn.LeakyReLU(0.2)]
        if code_channels:
            layers += [nn.Conv2d(widths[-1], code_channels, 4, bias=False), nn.BatchNorm2d(code_channels)]
            layers += [nn.LeakyReLU(0.2), nn.ConvTranspose2d(code_channels, widths[-1], 4, bias=False)]
            layers += [nn.BatchNorm2d(widths[-1]), nn.ReLU()]
        for fan_in, fan_out in zip(widths[:0:-1], widths[-2::-1], strict=True):
            up = doubled(fan_in, fan_out, upsampling, bias=False)
            layers += [up, nn.BatchNorm2d(fan_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers, doubled(width, channels, upsampling, bias=False))
        self.step = 2**levels
        self.reach = (8 if code_channels else 4) * self.step  # pixels around one

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        return torch.sigmoid(full(self.layers(reflect_to_multiple(x, self.step))[:, :, :height, :width]))


class Discriminator(nn.Module):
    """(b, c, h, w) in [0, 1] -> scores (b,) of whole images: `levels` convolutions of stride 2 and one that covers what
    is left. Batch norm behind all but the first and the last; no biases, no sigmoid."""

    def __init__(self, shape: tuple[int, int, int], width: int, levels: int) -> None:
        super().__init__()
        channels, height, wide = shape
        widths = [channels, *(width * 2**level for level in range(levels))]
        self.blocks = nn.ModuleList()
        for level, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
            norm = [nn.BatchNorm2d(fan_out)] if level else []
            self.blocks.append(nn.Sequential(nn.Conv2d(fan_in, fan_out, 4, 2, 1, bias=False), *norm, nn.LeakyReLU(0.2)))
        rest = (height // 2**levels, wide // 2**levels)
        self.last = nn.Conv2d(widths[-1], 1, rest, bias=False)

    def features(self, x: Tensor) -> list[Tensor]:
        """What each block gives, but for the first: it matches nothing in the released loss."""
        maps = []
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return maps[1:]

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return full(self.last(x).flatten(1)[:, 0])
