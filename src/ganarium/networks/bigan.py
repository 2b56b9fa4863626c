"""The networks of BiGAN (Donahue et al. 2016): perceptrons as released for digits, and convolutions like DCGAN's.

The perceptrons have no biases, batch norm without gain and shift, and pixels in [0, 1]. z enters D behind the first
layer, where it is added before batch norm.
"""

import math
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.precision import full
from ganarium.networks import dcgan

LEAK = 0.2


def _linear(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=False)


def _norm(units: int) -> nn.BatchNorm1d:
    return nn.BatchNorm1d(units, affine=False)


class Generator(nn.Module):
    """(b, latent_dim) -> (b, c, h, w) in [-1, 1]; z enters the second layer as well."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, width: int) -> None:
        super().__init__()
        self.shape = shape
        self.first, self.second = _linear(latent_dim, width), _linear(width, width)
        self.skip, self.last = _linear(latent_dim, width), _linear(width, math.prod(shape))
        self.norms = nn.ModuleList([_norm(width), _norm(width)])

    def forward(self, z: Tensor) -> Tensor:
        x = F.relu(self.norms[0](self.first(z)))
        x = F.relu(self.norms[1](self.second(x) + self.skip(z)))
        return 2 * full(self.last(x)).sigmoid().view(-1, *self.shape) - 1


class Encoder(nn.Module):
    """(b, c, h, w) in [-1, 1] -> (b, latent_dim), without bound."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, width: int) -> None:
        super().__init__()
        self.first, self.second = _linear(math.prod(shape), width), _linear(width, width)
        self.norm, self.last = _norm(width), _linear(width, latent_dim)

    def features(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, width): what the last layer reads."""
        x = F.leaky_relu(self.first((x.flatten(1) + 1) / 2), LEAK)
        return F.leaky_relu(self.norm(self.second(x)), LEAK)

    def forward(self, x: Tensor) -> Tensor:
        return full(self.last(self.features(x)))


class Discriminator(nn.Module):
    """Image (b, c, h, w) in [-1, 1] and code (b, latent_dim) -> score (b,)."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, width: int) -> None:
        super().__init__()
        self.first, self.second = _linear(math.prod(shape), width), _linear(width, width)
        self.code, self.norm, self.last = _linear(latent_dim, width), _norm(width), _linear(width, 1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        x = F.leaky_relu(self.first((x.flatten(1) + 1) / 2), LEAK)
        x = F.leaky_relu(self.norm(self.second(x) + self.code(z)), LEAK)
        return full(self.last(x).squeeze(1))


class ConvolutionalEncoder(nn.Module):
    """(b, c, h, w) -> (b, latent_dim): the convolutions of DCGAN's D, and a linear layer."""

    def __init__(self, shape: tuple[int, int, int], latent_dim: int, width: int) -> None:
        super().__init__()
        self.features, units = _trunk(shape, width)
        self.last = nn.Linear(units, latent_dim)

    def forward(self, x: Tensor) -> Tensor:
        return full(self.last(self.features(x)))


class ConvolutionalDiscriminator(nn.Module):
    """Image (b, c, h, w) and code (b, latent_dim) -> score (b,): z joins behind the convolutions of DCGAN's D."""

    def __init__(self, shape: tuple[int, int, int], latent_dim: int, width: int) -> None:
        super().__init__()
        self.features, units = _trunk(shape, width)
        hidden = 16 * width
        self.joint = nn.Sequential(
            nn.Linear(units + latent_dim, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.LeakyReLU(LEAK),
            nn.Linear(hidden, 1),
        )

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return full(self.joint(torch.cat([self.features(x), z], 1)).squeeze(1))


def _trunk(shape: tuple[int, int, int], width: int) -> tuple[nn.Sequential, int]:
    """The convolutions of DCGAN's D, and how many numbers they give."""
    network = dcgan.Discriminator(shape, width)
    return nn.Sequential(network.layers, nn.Flatten()), network.score.in_features


class Networks(NamedTuple):
    generator: nn.Module
    encoder: nn.Module
    discriminator: nn.Module


def networks(kind: Literal["mlp", "dcgan"], shape: tuple[int, int, int], latent_dim: int, width: int) -> Networks:
    """G, E and D for images (c, h, w): perceptrons of `width` units, or convolutions of `width` channels and more."""
    if kind == "mlp":
        of_kind: tuple[type[nn.Module], ...] = (Generator, Encoder, Discriminator)
    else:
        of_kind = (dcgan.Generator, ConvolutionalEncoder, ConvolutionalDiscriminator)
    return Networks(*(network(shape, latent_dim, width) for network in of_kind))
