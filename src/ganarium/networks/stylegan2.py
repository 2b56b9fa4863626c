"""The networks of StyleGAN2 (Karras et al. 2020): a generator whose convolutions are scaled by styles and divided by
what that does to the signal, and a residual discriminator, from 4 pixels up."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers import penalized
from ganarium.layers.equalized import EqualizedConv2d, EqualizedLinear
from ganarium.layers.minibatch_std import minibatch_std
from ganarium.layers.pixel_norm import pixel_norm
from ganarium.layers.precision import full
from ganarium.layers.resampling import ONE_THREE_THREE_ONE, Downsample, Resampling, Upsample

SMALLEST = 4  # pixels on a side of the first map


def stage_widths(base: int, most: int, size: int) -> list[int]:
    """Channels at 4, 8, 16 ... `size` pixels: `base` / side, at most `most`."""
    sides = [SMALLEST * 2**level for level in range(round(math.log2(size / SMALLEST)) + 1)]
    return [max(1, min(base // side, most)) for side in sides]


class Generator(nn.Module):
    """The mapping of codes to styles, the synthesis of images from styles, and the mean of the styles."""

    average: Tensor  # (latent_dim,), the running mean of w

    def __init__(
        self, latent_dim: int, channels: int, widths: Sequence[int], mapping_layers: int, mapping_lr: float = 0.01
    ) -> None:
        super().__init__()
        self.mapping = Mapping(latent_dim, mapping_layers, mapping_lr)
        self.synthesis = Synthesis(latent_dim, channels, widths)
        self.register_buffer("average", torch.zeros(latent_dim))


class Mapping(nn.Module):
    """Codes (b, latent_dim), normalised -> w (b, latent_dim): dense layers that learn at `lr_multiplier` of the speed
    of others."""

    def __init__(self, latent_dim: int, num_layers: int, lr_multiplier: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EqualizedLinear(latent_dim, latent_dim, gain=1.0, lr_multiplier=lr_multiplier) for _ in range(num_layers)
        )

    def forward(self, z: Tensor) -> Tensor:
        x = pixel_norm(z)
        for layer in self.layers:
            x = activated(layer(x))
        return full(x)


class Synthesis(nn.Module):
    """Styles (b, layers + 1, latent_dim) -> images (b, c, size, size), not bounded.

    One layer at 4 pixels, two at every later resolution, the first of which doubles the map. Images of all resolutions
    are enlarged and summed up; each takes the style behind that of its last layer.
    """

    def __init__(self, latent_dim: int, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(widths[0], SMALLEST, SMALLEST))
        self.layers = nn.ModuleList([Layer(widths[0], widths[0], latent_dim)])
        for low, high in pairwise(widths):
            self.layers.extend([Layer(low, high, latent_dim, doubles=True), Layer(high, high, latent_dim)])
        self.outputs = nn.ModuleList(Output(width, channels, latent_dim) for width in widths)
        self.enlarge = Upsample(ONE_THREE_THREE_ONE)

    def forward(self, w: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """`noise` are maps (1 or b, 1, side, side), one for each layer; None: drawn anew for every image."""
        x = self.constant.expand(len(w), -1, -1, -1)
        image: Tensor | None = None
        for number, layer in enumerate(self.layers):
            x = layer(x, w[:, number], None if noise is None else noise[number])
            if number % 2 == 0:  # the last of its resolution
                colours = full(self.outputs[number // 2](x, w[:, number + 1]))
                image = colours if image is None else self.enlarge(image) + colours
        assert image is not None
        return image

    def fixed_noise(self, seed: int) -> list[Tensor]:
        """A map (1, 1, side, side) for each layer, the same on every device."""
        generator, like = torch.Generator().manual_seed(seed), self.constant
        sides = [SMALLEST * 2 ** ((number + 1) // 2) for number in range(len(self.layers))]
        return [torch.randn(1, 1, side, side, generator=generator).to(like) for side in sides]


class Layer(nn.Module):
    """(b, inputs, h, w) -> (b, outputs, h, w), or twice as large if it `doubles`: a modulated convolution, noise, bias
    and LeakyReLU."""

    def __init__(self, inputs: int, outputs: int, latent_dim: int, *, doubles: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.strength = nn.Parameter(torch.zeros(()))  # of the noise
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.style = EqualizedLinear(latent_dim, inputs, gain=1.0, bias_start=1.0)
        self.smooth = Resampling(ONE_THREE_THREE_ONE) if doubles else None

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        x = self.convolution(x, self.style(w))
        if noise is None:
            noise = torch.randn(len(x), 1, *x.shape[2:], device=x.device, dtype=w.dtype)
        return activated(x + self.strength * noise + self.bias[:, None, None])

    def convolution(self, x: Tensor, style: Tensor) -> Tensor:
        """Equal to a convolution of each image whose weights are multiplied by its style (b, inputs), and divided so
        that those of each output have the length 1: the style scales the input, its inverse effect the output."""
        scaled = x * style[:, :, None, None]
        if self.smooth is None:
            mapped = penalized.conv2d(scaled, self.weight, None, padding=(1, 1))
        else:
            mapped = F.conv_transpose2d(scaled, self.weight.transpose(0, 1), stride=2)
            mapped = self.smooth.filtered(mapped, gain=4.0, padding=1)
        lengths = full(style).square() @ full(self.weight).square().sum((2, 3)).T  # (b, outputs), squared
        return mapped * torch.rsqrt(lengths + 1e-8)[:, :, None, None].to(mapped.dtype)


class Output(nn.Module):
    """(b, inputs, h, w) -> colours (b, channels, h, w), by a 1x1 convolution that is scaled by the style and not
    divided."""

    def __init__(self, inputs: int, channels: int, latent_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.style = EqualizedLinear(latent_dim, inputs, gain=1.0, bias_start=1.0)
        self.scale = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style = self.style(w) * self.scale
        return penalized.conv2d(x * style[:, :, None, None], self.weight, self.bias)


class Discriminator(nn.Module):
    """Images (b, c, size, size) -> scores (b,). `widths` are of 4, 8 ... `size` pixels; before the last layers it is
    told how much up to `group_size` images differ."""

    def __init__(self, channels: int, widths: Sequence[int], group_size: int) -> None:
        super().__init__()
        last, self.group_size = widths[0], group_size
        self.from_image = EqualizedConv2d(channels, widths[-1], 1, gain=1.0)
        self.blocks = nn.Sequential(*(Block(high, low) for low, high in reversed(list(pairwise(widths)))))
        self.convolution = EqualizedConv2d(last + 1, last, gain=1.0)
        self.dense = EqualizedLinear(last * SMALLEST**2, last, gain=1.0)
        self.score = EqualizedLinear(last, 1, gain=1.0)

    def forward(self, image: Tensor) -> Tensor:
        x = self.blocks(activated(self.from_image(image)))
        x = activated(self.convolution(minibatch_std(x, self.group_size)))
        return full(self.score(activated(self.dense(x.flatten(1)))).squeeze(1))


class Block(nn.Module):
    """(b, inputs, h, w) -> (b, outputs, h / 2, w / 2): two convolutions, the second of which halves, plus a skip."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = EqualizedConv2d(inputs, inputs, gain=1.0)
        self.second = Halving(inputs, outputs)
        self.skip = EqualizedConv2d(inputs, outputs, 1, gain=1.0, bias=False)
        self.reduce = Downsample(ONE_THREE_THREE_ONE)

    def forward(self, x: Tensor) -> Tensor:
        mapped: Tensor = activated(self.second(activated(self.first(x)))) + self.skip(self.reduce(x))
        return mapped * math.sqrt(0.5)


class Halving(EqualizedConv2d):
    """(b, inputs, h, w) -> (b, outputs, h / 2, w / 2): a filter, and a 3x3 convolution of stride 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, gain=1.0)
        self.smooth = Resampling(ONE_THREE_THREE_ONE)

    def forward(self, x: Tensor) -> Tensor:
        x = self.smooth.filtered(x, padding=2)
        return penalized.conv2d(x, self.weight * self.scale, self.bias, stride=(2, 2))


_leaky = penalized.LeakyReLU(0.2)


def activated(x: Tensor) -> Tensor:
    """LeakyReLU(0.2), times the root of 2, which keeps the variance."""
    y: Tensor = _leaky(x)
    return y * math.sqrt(2)
