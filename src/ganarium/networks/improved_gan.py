"""The networks of Improved GAN: the perceptrons of its MNIST script, and minibatch discrimination for any D."""

import math
from itertools import pairwise
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.errors import UserError
from ganarium.layers.heads import SplitDiscriminator
from ganarium.layers.minibatch_discrimination import MinibatchDiscrimination
from ganarium.layers.normalization import Norm, normalise_spectrally
from ganarium.layers.precision import full
from ganarium.layers.weight_norm import WeightNormed


class PerceptronGenerator(nn.Module):
    """(b, latent_dim) -> (b, c, h, w) in [-1, 1]: the generator of Improved GAN's MNIST script."""

    def __init__(self, latent_dim: int, width: int, shape: tuple[int, ...], batch_norm: bool) -> None:
        super().__init__()
        self.shape, size = shape, math.prod(shape)
        layers: list[nn.Module] = []
        for fan_in in (latent_dim, width):
            dense = nn.Linear(fan_in, width, bias=not batch_norm)
            nn.init.xavier_uniform_(dense.weight)
            layers += [dense, nn.BatchNorm1d(width) if batch_norm else nn.Identity(), nn.Softplus()]
        glorot = math.sqrt(2 / (width + size))
        self.layers = nn.Sequential(*layers, WeightNormed(width, size, 0.0, glorot, trained_scale=True), nn.Sigmoid())

    def forward(self, z: Tensor) -> Tensor:
        return full(2 * self.layers(z) - 1).unflatten(1, self.shape)


class NoisyPerceptron(nn.Module):
    """(b, c, h, w) in [-1, 1] -> logits (b, num_classes): the discriminator of Improved GAN's MNIST script, five hidden
    layers with noise before each. `features` are the last of them before its noise."""

    def __init__(self, shape: tuple[int, ...], width: int, num_classes: int) -> None:
        super().__init__()
        if width < 2:
            raise UserError(f"width must be at least 2, not {width}: D's last layers have half as many units.")
        sizes = [math.prod(shape), 2 * width, width, *[width // 2] * 3]
        noises = [0.3, *[0.5] * 4]  # on pixels in [0, 1], and before the other layers
        pairs = zip(pairwise(sizes), noises, strict=True)
        layers = [WeightNormed(*size, noise, 0.1, trained_scale=False) for size, noise in pairs]
        self.hidden = nn.ModuleList(layers)
        self.last = WeightNormed(sizes[-1], num_classes, 0.5, 0.1, trained_scale=True)

    def features(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, width / 2)"""
        x = (x.flatten(1) + 1) / 2
        for layer in self.hidden:
            x = F.relu(layer(x))
        return full(x)

    def head(self, features: Tensor) -> Tensor:
        """(b, width / 2) -> (b, num_classes)"""
        return full(self.last(features))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

    def begin(self, x: Tensor) -> None:
        """The initialisation that depends on data: see `WeightNormed.begin`. The hidden layers keep that scale."""
        x = (x.flatten(1) + 1) / 2
        for layer in self.hidden:
            x = F.relu(layer.begin(x))  # type: ignore[operator]
        self.last.begin(x)


class MinibatchHead(nn.Sequential):
    """(b, f) -> logits (b, num_logits): minibatch discrimination, then a last layer that reads all of it."""

    def begin(self, x: Tensor) -> None:
        """The initialisation that depends on data."""
        for layer in self:
            if not isinstance(layer, nn.Linear):
                x = layer.begin(x)  # type: ignore[operator]


Discriminator = SplitDiscriminator | NoisyPerceptron


class Pair(NamedTuple):
    generator: nn.Module  # (b, latent_dim) -> (b, *shape), images in [-1, 1]
    discriminator: Discriminator  # (b, *shape) -> logits (b, num_logits)


def perceptrons(shape: tuple[int, ...], latent_dim: int, width: int, num_logits: int, batch_norm: bool) -> Pair:
    """G and D of Improved GAN's MNIST script."""
    return Pair(PerceptronGenerator(latent_dim, width, shape, batch_norm), NoisyPerceptron(shape, width, num_logits))


def add_minibatch_head(discriminator: Discriminator, num_kernels: int, kernel_dim: int, norm: Norm) -> None:
    """Puts minibatch discrimination before a new last layer of D, which is of the kind that D has; `norm` is D's."""
    last = discriminator.last
    num_logits, fan_in = last.direction.shape if isinstance(last, WeightNormed) else last.weight.shape
    minibatch = MinibatchDiscrimination(fan_in, num_kernels, kernel_dim)
    if isinstance(last, WeightNormed):
        head: nn.Module = WeightNormed(fan_in + num_kernels, num_logits, last.noise, 0.1, trained_scale=True)
    else:
        head = nn.Linear(fan_in + num_kernels, num_logits)
        if norm == "spectral":
            normalise_spectrally(head)
    discriminator.set_submodule("last", MinibatchHead(minibatch, head))


def begin(discriminator: Discriminator, x: Tensor) -> None:
    """The initialisation of D that depends on data, from (n, *shape)."""
    if isinstance(discriminator, NoisyPerceptron):
        discriminator.begin(x)
    elif isinstance(discriminator.last, MinibatchHead):
        discriminator.last.begin(discriminator.features(x))
