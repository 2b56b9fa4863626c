"""The networks of R3GAN (Huang et al. 2024): mirrored residual nets without any normalisation, from 4 pixels up."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.precision import full
from ganarium.layers.resampling import ONE_THREE_THREE_ONE, Downsample, Upsample

MOST_SIDE = 32  # pixels up to which stages have the full width; it halves with every doubling beyond
EXPANSION = 2


def stage_widths(width: int, size: int) -> list[int]:
    """Channels at 4, 8, 16 ... `size` pixels."""
    sides = [4 * 2**level for level in range(round(math.log2(size / 4)) + 1)]
    return [max(1, width if side <= MOST_SIDE else width * MOST_SIDE // side) for side in sides]


def num_groups(width: int) -> int:
    """Groups of the 3x3 convolutions: of 16 channels each, where the width allows it."""
    return width // 8 if width % 8 == 0 else 1


class Generator(nn.Module):
    """Codes (b, latent_dim), and labels as one-hot rows if there are classes -> images (b, c, size, size), linear.

    `widths`, `groups` and `blocks` are of the stages from 4 pixels up.
    """

    def __init__(
        self,
        latent_dim: int,
        channels: int,
        widths: Sequence[int],
        groups: Sequence[int],
        blocks: Sequence[int],
        num_classes: int = 0,
        embedding_dim: int = 0,
    ) -> None:
        super().__init__()
        depth = sum(blocks)
        stages = []
        for stage, (width, group, count) in enumerate(zip(widths, groups, blocks, strict=True)):
            first: nn.Module
            if stage == 0:
                first = Basis(latent_dim + embedding_dim, width)
            else:
                first = nn.Sequential(*_changed(widths[stage - 1], width), Upsample(ONE_THREE_THREE_ONE))
            stages.append(nn.Sequential(first, *(Block(width, group, depth) for _ in range(count))))
        self.stages = nn.Sequential(*stages)
        self.last = _conv(widths[-1], channels, 1)
        self.embedding = _linear(num_classes, embedding_dim) if num_classes else None

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        if self.embedding is not None:
            z = torch.cat([z, self.embedding(label)], 1)
        return full(self.last(self.stages(z)))


class Discriminator(nn.Module):
    """Images (b, c, size, size), and labels as one-hot rows if there are classes -> scores (b,).

    `widths`, `groups` and `blocks` are of the stages from the image down to 4 pixels. With classes the last numbers are
    projected on the label's embedding.
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int],
        groups: Sequence[int],
        blocks: Sequence[int],
        num_classes: int = 0,
        embedding_dim: int = 0,
    ) -> None:
        super().__init__()
        depth = sum(blocks)
        self.first = _conv(channels, widths[0], 1)
        stages = []
        for stage, (width, group, count) in enumerate(zip(widths, groups, blocks, strict=True)):
            layers: list[nn.Module] = [Block(width, group, depth) for _ in range(count)]
            if stage < len(widths) - 1:
                layers.append(nn.Sequential(Downsample(ONE_THREE_THREE_ONE), *_changed(width, widths[stage + 1])))
            stages.append(nn.Sequential(*layers))
        self.stages = nn.Sequential(*stages)
        self.basis = nn.Conv2d(widths[-1], widths[-1], 4, groups=widths[-1], bias=False)
        self.last = _linear(widths[-1], embedding_dim if num_classes else 1)
        nn.init.normal_(self.basis.weight, 0.0, 1 / 4)
        self.embedding = _linear(num_classes, embedding_dim) if num_classes else None

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        x = self.last(self.basis(self.stages(self.first(x))).flatten(1))
        if self.embedding is None:
            return full(x.squeeze(1))
        return full((x * self.embedding(label)).sum(1))


class Block(nn.Module):
    """(b, width, h, w) -> the same, the identity at the start: 1x1, grouped 3x3 and 1x1 convolutions around two biased
    LeakyReLU, added to the input. `depth` is the number of blocks of the network, for the first weights."""

    def __init__(self, width: int, groups: int, depth: int) -> None:
        super().__init__()
        hidden, gain = EXPANSION * width, math.sqrt(2 / 1.04) * depth**-0.25
        self.widen = _conv(width, hidden, 1, gain)
        self.mix = _conv(hidden, hidden, 3, gain, groups)
        self.narrow = _conv(hidden, width, 1, 0.0)
        self.first, self.second = BiasedLeakyReLU(hidden), BiasedLeakyReLU(hidden)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = x + self.narrow(self.second(self.mix(self.first(self.widen(x)))))
        return made


class BiasedLeakyReLU(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.bias[:, None, None], 0.2)


class Basis(nn.Module):
    """Codes (b, inputs) -> (b, width, 4, 4): learned maps, each times one number."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.randn(width, 4, 4))
        self.linear = _linear(inputs, width)

    def forward(self, z: Tensor) -> Tensor:
        return self.maps * self.linear(z)[:, :, None, None]


def _changed(before: int, after: int) -> list[nn.Module]:
    """A 1x1 convolution where the width changes."""
    return [_conv(before, after, 1)] if before != after else []


def _conv(inputs: int, outputs: int, kernel: int, gain: float = 1.0, groups: int = 1) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, kernel, 1, kernel // 2, groups=groups, bias=False)
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    return layer


def _linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, 0.0, 1 / math.sqrt(inputs))
    return layer
