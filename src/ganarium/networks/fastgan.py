"""The networks of FastGAN (Liu et al. 2021), from 32 to 1024 pixels; widths, decoders and all scale with one number."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganarium.layers.normalization import spectral_norm
from ganarium.layers.precision import full

# side of a map in pixels -> its channels, in parts of the width
OF_GENERATOR = {4: 16, 8: 8, 16: 4, 32: 2, 64: 2, 128: 1, 256: 0.5, 512: 0.25, 1024: 0.125}
LARGEST_MAP = 256  # in D: larger images are halved by its first layers
EXCITED = {64: 4, 128: 8, 256: 16, 512: 32}  # side of a map of G -> side of the map that excites it


def internal_size(height: int, width: int) -> int:
    """The power of two, at least 32 and at most 1024, whose square holds an image."""
    return min(1024, max(32, 2 ** math.ceil(math.log2(max(height, width)))))


def small_size(size: int) -> int:
    """The side of the small image that G makes too, and that D sees beside the large one."""
    return min(128, size // 2)


class Generator(nn.Module):
    """Codes (b, latent_dim) -> images (b, c, size, size) and the same small, in [-1, 1].

    From 64 pixels on, maps are multiplied by gates that a map sixteen times smaller opens (skip-layer excitation).
    """

    def __init__(self, latent_dim: int, channels: int, width: int, size: int) -> None:
        super().__init__()
        widths = {side: max(1, int(part * width)) for side, part in OF_GENERATOR.items()}
        self.size, self.small = size, small_size(size)
        self.first = nn.Sequential(
            spectral_norm(nn.ConvTranspose2d(latent_dim, 2 * widths[4], 4, bias=False)),
            nn.BatchNorm2d(2 * widths[4]),
            nn.GLU(1),
        )
        self.sides = [side for side in widths if 4 < side <= size]
        self.stages = nn.ModuleDict()
        for side in self.sides:
            noisy = side in (8, 32, 128, 512)
            self.stages[str(side)] = Up(widths[side // 2], widths[side], twice=noisy)
        self.gates = nn.ModuleDict(
            {str(side): Excitation(widths[low], widths[side]) for side, low in EXCITED.items() if side <= size}
        )
        self.to_small = _conv(widths[self.small], channels, 1)
        self.to_large = _conv(widths[size], channels, 3)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        maps = {4: self.first(z[:, :, None, None])}
        for side in self.sides:
            x = self.stages[str(side)](maps[side // 2])
            maps[side] = self.gates[str(side)](maps[EXCITED[side]], x) if str(side) in self.gates else x
        large, small = self.to_large(maps[self.size]), self.to_small(maps[self.small])
        return torch.tanh(full(large)), torch.tanh(full(small))


class Judgement(NamedTuple):
    """What D says of images."""

    score: Tensor  # (n,): the scores of all patches of both sizes
    last: Tensor  # (b, 8 width, 8, 8): the last map of the large image
    middle: Tensor  # (b, 4 width, 16, 16): the map before it
    small: Tensor  # (b, 4 width, 8, 8): the last map of the small image


class Discriminator(nn.Module):
    """Images (b, c, size, size) and the same small -> `Judgement`. Its decoders redraw what its maps have seen."""

    def __init__(self, channels: int, width: int, size: int, decoder_width: int) -> None:
        super().__init__()
        self.entry, side = _entry(channels, width, size)
        self.sides = []
        self.blocks = nn.ModuleDict()
        start = side
        while side > 8:
            side //= 2
            self.sides.append(side)
            self.blocks[str(side)] = Down(_of_large(width, 2 * side), _of_large(width, side))
        self.head = nn.Sequential(
            _conv(_of_large(width, 8), 16 * width, 1),
            nn.BatchNorm2d(16 * width),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(16 * width, 1, 4, bias=False)),
        )
        excited = [side for side in (32, 16, 8) if 8 * side <= start]
        self.gates = nn.ModuleDict(
            {str(side): Excitation(_of_large(width, 8 * side), _of_large(width, side)) for side in excited}
        )
        self.small_branch = _small_branch(channels, width, small_size(size))
        self.small_head = spectral_norm(nn.Conv2d(4 * width, 1, 4, bias=False))
        stages = round(math.log2(small_size(size) / 8))
        self.decode_last = Decoder(8 * width, decoder_width, channels, stages)
        self.decode_part = Decoder(4 * width, decoder_width, channels, stages)
        self.decode_small = Decoder(4 * width, decoder_width, channels, stages)

    def forward(self, large: Tensor, small: Tensor) -> Judgement:
        x = self.entry(large)
        maps = {x.shape[2]: x}
        for side in self.sides:
            x = self.blocks[str(side)](x)
            if str(side) in self.gates:
                x = self.gates[str(side)](maps[8 * side], x)
            maps[side] = x
        of_small = self.small_branch(small)
        score = torch.cat([self.head(x).flatten(), self.small_head(of_small).flatten()])
        return Judgement(full(score), x, maps[16], of_small)


class Up(nn.Module):
    """(b, inputs, h, w) -> (b, outputs, 2 h, 2 w): nearest neighbour, convolution, batch norm, GLU; `twice`: noise
    before the norm, and all but the enlargement once more."""

    def __init__(self, inputs: int, outputs: int, *, twice: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Upsample(scale_factor=2)]
        for fan_in in (inputs, outputs) if twice else (inputs,):
            layers += [_conv(fan_in, 2 * outputs, 3), *([Noise()] if twice else [])]
            layers += [nn.BatchNorm2d(2 * outputs), nn.GLU(1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layers(x)
        return made


class Noise(nn.Module):
    """Adds one normal map, times a learned number that starts at 0, to all channels."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight * torch.randn(len(x), 1, *x.shape[2:], device=x.device, dtype=x.dtype)


class Excitation(nn.Module):
    """Skip-layer excitation: multiplies a map by gates in [0, 1], one a channel, that a smaller map opens."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.AdaptiveAvgPool2d(4),
            spectral_norm(nn.Conv2d(inputs, outputs, 4, bias=False)),
            nn.SiLU(),
            _conv(outputs, outputs, 1),
            nn.Sigmoid(),
        )

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        gated: Tensor = high * self.layers(low)
        return gated


class Down(nn.Module):
    """(b, inputs, h, w) -> (b, outputs, h / 2, w / 2): the mean of two ways, by convolutions and by pooling."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *_halving(inputs, outputs), _conv(outputs, outputs, 3), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)
        )
        self.direct = nn.Sequential(
            nn.AvgPool2d(2), _conv(inputs, outputs, 1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)
        )

    def forward(self, x: Tensor) -> Tensor:
        mean: Tensor = (self.main(x) + self.direct(x)) / 2
        return mean


class Decoder(nn.Module):
    """A map (b, inputs, h, w), pooled to 8x8 -> an image in [-1, 1], 8 * 2^stages pixels wide."""

    def __init__(self, inputs: int, width: int, channels: int, stages: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(8)]
        for outputs in (2 * width, width, width, max(1, width // 2))[:stages]:
            layers.append(Up(inputs, outputs, twice=False))
            inputs = outputs
        self.layers = nn.Sequential(*layers, _conv(inputs, channels, 3), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        return full(self.layers(x))


def _of_large(width: int, side: int) -> int:
    """Channels of D's map of the large image at a side of so many pixels: 8 widths at 8, a quarter at 256."""
    return max(1, width * 64 // side)


def _entry(channels: int, width: int, size: int) -> tuple[nn.Module, int]:
    """The first layers of D, and the side of the map that they give."""
    side = min(size, LARGEST_MAP)
    outputs = _of_large(width, side)
    if size <= LARGEST_MAP:
        return nn.Sequential(_conv(channels, outputs, 3), nn.LeakyReLU(0.2)), side
    before = outputs if size == 2 * side else max(1, outputs // 2)
    layers: list[nn.Module] = [spectral_norm(nn.Conv2d(channels, before, 4, 2, 1, bias=False)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, *(_halving(before, outputs) if size > 2 * side else [])), side


def _small_branch(channels: int, width: int, side: int) -> nn.Module:
    """(b, c, side, side) -> (b, 4 width, 8, 8)."""
    widths = {s: max(1, width * 32 // s) for s in (8, 16, 32, 64)}
    side //= 2
    layers: list[nn.Module] = [spectral_norm(nn.Conv2d(channels, widths[side], 4, 2, 1, bias=False)), nn.LeakyReLU(0.2)]
    while side > 8:
        side //= 2
        layers += _halving(widths[2 * side], widths[side])
    return nn.Sequential(*layers)


def _halving(inputs: int, outputs: int) -> list[nn.Module]:
    convolution = spectral_norm(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False))
    return [convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Module:
    """A convolution that keeps the size, under spectral norm, without bias."""
    return spectral_norm(nn.Conv2d(inputs, outputs, kernel, 1, kernel // 2, bias=False))
