"""The generator of StyleGAN (Karras et al. 2019): codes become styles, and styles scale and shift every layer.

Stages and `alpha` are those of `networks.progan`, where its discriminator is. Layers are counted from 0, two for each
resolution; every one has a style, a row of w.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ganarium.layers.equalized import EqualizedConv2d, EqualizedLinear
from ganarium.layers.pixel_norm import PixelNorm
from ganarium.layers.precision import full
from ganarium.layers.resampling import ONE_TWO_ONE, Blur
from ganarium.networks.progan import SMALLEST, enlarged, faded, side_of


class Generator(nn.Module):
    """The mapping of codes to styles, the synthesis of images from styles, and the mean of the styles."""

    average: Tensor  # (latent_dim,), the running mean of w

    def __init__(
        self, latent_dim: int, channels: int, widths: Sequence[int], mapping_layers: int, mapping_lr: float
    ) -> None:
        super().__init__()
        self.mapping = Mapping(latent_dim, mapping_layers, mapping_lr)
        self.synthesis = Synthesis(latent_dim, channels, widths)
        self.register_buffer("average", torch.zeros(latent_dim))

    def grown(self, stage: int, fades: bool) -> list[nn.Module]:
        """The modules that a stage uses, those of its fade among them if it `fades` in."""
        layers, outputs = self.synthesis.layers, self.synthesis.outputs
        return [self.mapping, *layers[: 2 * stage + 2], *outputs[stage - fades : stage + 1]]


class Mapping(nn.Module):
    """Codes (b, latent_dim), normalised -> w (b, latent_dim): dense layers that learn at `lr_multiplier` of the speed
    of others."""

    def __init__(self, latent_dim: int, num_layers: int, lr_multiplier: float) -> None:
        super().__init__()
        layers: list[nn.Module] = [PixelNorm()]
        for _ in range(num_layers):
            layers += [EqualizedLinear(latent_dim, latent_dim, lr_multiplier=lr_multiplier), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        return full(self.layers(z))


class Synthesis(nn.Module):
    """Styles (b, layers, latent_dim) -> images (b, channels, side, side) at the resolution of a stage; not bounded."""

    def __init__(self, latent_dim: int, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Constant(widths[0], latent_dim), Layer(widths[0], widths[0], latent_dim)])
        for low, high in pairwise(widths):
            self.layers.extend([Layer(low, high, latent_dim, grows=True), Layer(high, high, latent_dim)])
        self.outputs = nn.ModuleList(EqualizedConv2d(width, channels, 1, gain=1.0) for width in widths)

    def forward(
        self, w: Tensor, stage: int, alpha: Tensor | None = None, noise: Sequence[Tensor] | None = None
    ) -> Tensor:
        """`noise` are maps (1 or b, 1, side, side), one for each layer; None: drawn anew for every image."""
        x, before = w, w
        for number, layer in enumerate(self.layers[: 2 * stage + 2]):
            before = x if number == 2 * stage else before  # the last map of the stage before
            x = layer(x, w[:, number], None if noise is None else noise[number])
        image = full(self.outputs[stage](x))
        return image if alpha is None else faded(enlarged(full(self.outputs[stage - 1](before))), image, alpha)

    def fixed_noise(self, seed: int) -> list[Tensor]:
        """A map (1, 1, side, side) for each layer, the same on every device."""
        generator, like = torch.Generator().manual_seed(seed), next(self.parameters())
        sides = [side_of(number // 2) for number in range(len(self.layers))]
        return [torch.randn(1, 1, side, side, generator=generator).to(like) for side in sides]


class Styled(nn.Module):
    """What follows the maps of every layer: noise, bias, LeakyReLU, instance norm, and the style's scale and shift."""

    def __init__(self, width: int, latent_dim: int) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(width))  # of the noise
        self.bias = nn.Parameter(torch.zeros(width))
        self.style = EqualizedLinear(latent_dim, 2 * width, gain=1.0)
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """(b, width, h, w), style (b, latent_dim) and noise (1 or b, 1, h, w) -> (b, width, h, w)."""
        if noise is None:
            noise = torch.randn(len(x), 1, *x.shape[2:], device=x.device, dtype=w.dtype)
        x = self.activation(x + self.strength[:, None, None] * noise + self.bias[:, None, None])
        scale, shift = self.style(w)[:, :, None, None].chunk(2, 1)
        return instance_norm(x) * (1 + scale) + shift


class Constant(Styled):
    """The first layer: a learned map of 4x4 pixels, whatever the code."""

    def __init__(self, width: int, latent_dim: int) -> None:
        super().__init__(width, latent_dim)
        self.map = nn.Parameter(torch.ones(1, width, SMALLEST, SMALLEST))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        return super().forward(self.map.expand(len(w), -1, -1, -1), w, noise)


class Layer(Styled):
    """A 3x3 convolution; where the map `grows`, pixels are repeated before it and blurred behind it."""

    def __init__(self, inputs: int, width: int, latent_dim: int, *, grows: bool = False) -> None:
        super().__init__(width, latent_dim)
        self.convolution = EqualizedConv2d(inputs, width, bias=False)
        self.blur = Blur(ONE_TWO_ONE) if grows else None

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        x = self.convolution(x) if self.blur is None else self.blur(self.convolution(enlarged(x)))
        return super().forward(x, w, noise)


def instance_norm(x: Tensor) -> Tensor:
    """(b, c, h, w) -> the same with mean 0 and variance 1 in each map, in at least fp32."""
    x = full(x)
    x = x - x.mean((2, 3), keepdim=True)
    return x * torch.rsqrt(x.square().mean((2, 3), keepdim=True) + 1e-8)


def mixed(w: Tensor, second: Tensor, crossover: Tensor) -> Tensor:
    """Styles (b, layers, latent_dim) that are those of `second` (b, latent_dim) from layer `crossover` on: (1,) for
    all, or (b,) one for each."""
    later = torch.arange(w.shape[1], device=w.device)[None, :] >= crossover[:, None]
    return torch.where(later[:, :, None], second[:, None], w)


def truncated(w: Tensor, average: Tensor, psi: Tensor, layers: int) -> Tensor:
    """Styles (b, layers, latent_dim) of which the first `layers` are drawn towards the average: `psi` (b,) is 0 for the
    average itself, and 1 for w as it is."""
    drawn = average + psi[:, None, None] * (w - average)
    return torch.cat([drawn[:, :layers], w[:, layers:]], 1)
