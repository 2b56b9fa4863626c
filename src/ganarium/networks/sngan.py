"""The residual networks of SNGAN (Miyato et al. 2018) and of its conditional form, which SAGAN takes over with
attention, for any height and width."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.attention import SelfAttention
from ganarium.layers.conditional_norm import ConditionalBatchNorm2d
from ganarium.layers.normalization import normalise_spectrally
from ganarium.layers.precision import full
from ganarium.layers.shapes import halvings, pyramid

EPS = 2e-5  # of the released batch norm


def generator_widths(width: int, levels: int, *, growing: bool) -> list[int]:
    """Channels from the first map up to the picture: all alike, or doubled at every smaller map up to 16 times."""
    return [width * min(2**level, 16) if growing else width for level in range(levels, -1, -1)]


def discriminator_widths(width: int, halved: int, plain: int, *, growing: bool) -> list[int]:
    """Channels behind each block: `halved` blocks that halve the map, and `plain` ones that keep its size."""
    return [width * min(2**level, 16) if growing else width for level in range(halved + plain)]


class Generator(nn.Module):
    """Codes (b, latent_dim), and labels as one-hot rows if there are classes -> images (b, c, h, w) in [-1, 1].

    `widths` are those of the first map and of each block. `spectral`: spectral norm on all of its layers.
    `attention_before`: the block before which self-attention stands; None: without it.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        latent_dim: int,
        widths: list[int],
        num_classes: int = 0,
        *,
        spectral: bool = False,
        attention_before: int | None = None,
    ) -> None:
        super().__init__()
        channels, height, wide = shape
        sizes = pyramid(height, wide, len(widths) - 1)[::-1]
        self.start = (widths[0], *sizes[0])
        self.project = nn.Linear(latent_dim, math.prod(self.start))
        self.blocks = nn.ModuleList(
            UpBlock(before, after, size, num_classes)
            for before, after, size in zip(widths, widths[1:], sizes[1:], strict=False)
        )
        self.norm = nn.BatchNorm2d(widths[-1], EPS)  # of all classes alike
        self.to_image = nn.Conv2d(widths[-1], channels, 3, 1, 1)
        initialise(self)
        if spectral:
            normalise_spectrally(self)
        self.attention_before = attention_before
        if attention_before is not None:
            self.attention = SelfAttention(widths[attention_before])

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        x = self.project(z).unflatten(1, self.start)
        for level, block in enumerate(self.blocks):
            if level == self.attention_before:
                x = self.attention(x)
            x = block(x, label)
        return torch.tanh(full(self.to_image(F.relu(self.norm(x)))))


class UpBlock(nn.Module):
    """(b, inputs, *) -> (b, outputs, *size): twice batch norm, ReLU and a convolution, the first behind an enlargement;
    plus an enlarged skip."""

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int], num_classes: int) -> None:
        super().__init__()
        self.size = size
        self.norms = nn.ModuleList(ConditionalBatchNorm2d(n, num_classes, EPS) for n in (inputs, outputs))
        self.first = nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.skip = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        inner = self.first(self.enlarged(F.relu(self.norms[0](x, label))))
        inner = self.second(F.relu(self.norms[1](inner, label)))
        # the 1x1 convolution before the enlargement: they commute, and it is a quarter of the work
        enlarged: Tensor = inner + self.enlarged(self.skip(x))
        return enlarged

    def enlarged(self, x: Tensor) -> Tensor:
        return F.interpolate(x, size=self.size, mode="nearest")


class Discriminator(nn.Module):
    """Images (b, c, h, w), and labels as one-hot rows if there are classes -> scores (b,).

    `widths` are those behind each block; the first `halved` blocks halve the map. The last map is summed up over its
    places, or averaged (`mean`), before the last layer and the projection on the label's embedding read it. All layers
    are under spectral norm. `attention_behind`: how many blocks stand before self-attention; None: without it.
    """

    def __init__(
        self,
        channels: int,
        widths: list[int],
        halved: int,
        num_classes: int = 0,
        *,
        mean: bool,
        spectral: bool = True,
        attention_behind: int | None = None,
    ) -> None:
        super().__init__()
        inputs = [channels, *widths[:-1]]
        self.blocks = nn.ModuleList(
            DownBlock(before, after, halves=level < halved, first=level == 0)
            for level, (before, after) in enumerate(zip(inputs, widths, strict=True))
        )
        self.mean = mean
        self.score = nn.Linear(widths[-1], 1, bias=False)
        self.embedding = nn.Linear(num_classes, widths[-1], bias=False) if num_classes else None
        initialise(self)
        if spectral:
            normalise_spectrally(self)
        self.attention_behind = attention_behind
        if attention_behind is not None:
            self.attention = SelfAttention(widths[attention_behind - 1])

    def features(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, widths[-1]): what the last layer reads."""
        for level, block in enumerate(self.blocks):
            x = block(x)
            if level + 1 == self.attention_behind:
                x = self.attention(x)
        x = F.relu(x)
        return x.mean((2, 3)) if self.mean else x.sum((2, 3))

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        features = self.features(x)
        score = self.score(features).squeeze(1)
        if self.embedding is not None:
            score = score + (self.embedding(label) * features).sum(1)
        return full(score)


class DownBlock(nn.Module):
    """(b, inputs, h, w) -> (b, outputs, ...): [ReLU,] convolution, ReLU, convolution, and a mean over 2x2 where it
    halves; plus a skip. The first block of a network takes the image, and so has no ReLU before."""

    def __init__(self, inputs: int, outputs: int, *, halves: bool, first: bool) -> None:
        super().__init__()
        hidden = outputs if first else inputs
        pool = [nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)] if halves else []
        before = [] if first else [nn.ReLU()]
        convolutions = nn.Conv2d(inputs, hidden, 3, 1, 1), nn.Conv2d(hidden, outputs, 3, 1, 1)
        self.inner = nn.Sequential(*before, convolutions[0], nn.ReLU(), convolutions[1], *pool)
        # the mean before the 1x1 convolution: they commute, and it is a quarter of the work
        self.skip = nn.Sequential(*pool, *([nn.Conv2d(inputs, outputs, 1)] if halves or inputs != outputs else []))

    def forward(self, x: Tensor) -> Tensor:
        mapped: Tensor = self.inner(x) + self.skip(x)
        return mapped


def initialise(network: nn.Module) -> None:
    """Glorot's uniform weights, times the root of 2 in the 3x3 convolutions of blocks; biases 0 (released)."""
    within = {
        layer
        for block in network.modules()
        if isinstance(block, UpBlock | DownBlock)
        for layer in block.modules()
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)
    }
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight, gain=2**0.5 if layer in within else 1.0)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def networks(
    shape: tuple[int, int, int],
    latent_dim: int,
    generator_width: int | None,
    discriminator_width: int | None,
    num_classes: int = 0,
    *,
    spectral: bool = True,
) -> tuple[Generator, Discriminator]:
    """SNGAN's two. Below 48 pixels those for CIFAR-10: maps of one width (None: 256 and 128), D ends at about 8x8 and
    takes the mean. From there on those for ImageNet: widths (None: 64) double up to 16 times, D ends at about 4x4 and
    takes the sum. `spectral`: spectral norm in D."""
    channels, height, wide = shape
    small = min(height, wide) < 48
    levels = halvings(height, wide)
    halved, plain = (max(1, levels - 1), 2) if small else (levels, 1)
    of_generator = generator_widths(generator_width or (256 if small else 64), levels, growing=not small)
    of_discriminator = discriminator_widths(
        discriminator_width or (128 if small else 64), halved, plain, growing=not small
    )
    return (
        Generator(shape, latent_dim, of_generator, num_classes),
        Discriminator(channels, of_discriminator, halved, num_classes, mean=small, spectral=spectral),
    )
