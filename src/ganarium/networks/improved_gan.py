"""The networks of Improved GAN: the perceptrons of its MNIST script, or a backbone, with its layers where asked for."""

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.errors import UserError
from ganarium.layers.heads import SplitDiscriminator
from ganarium.layers.minibatch_discrimination import MinibatchDiscrimination
from ganarium.layers.normalization import normalise_spectrally
from ganarium.layers.precision import full
from ganarium.layers.shapes import image_shape
from ganarium.layers.weight_norm import WeightNormed
from ganarium.networks.backbones import backbone

if TYPE_CHECKING:
    from ganarium.models.improved_gan import Config


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


def networks(
    config: "Config", shape: tuple[int, ...], latent_dim: int, num_logits: int
) -> tuple[nn.Module, SplitDiscriminator | NoisyPerceptron, bool]:
    """G and D of a config, and whether G has batch norm."""
    own, convolutional = config.network == "auto" and len(shape) == 3, len(shape) == 3 and config.network != "mlp"
    usual = convolutional or config.virtual_batch_norm
    batch_norm = usual if config.generator_norm is None else config.generator_norm
    if own:
        if config.norm != "none" or config.dropout is not None:
            raise UserError(
                "the perceptrons of improved_gan have weight norm and Gaussian noise: for another --norm or --dropout "
                "choose --network mlp, dcgan or resnet."
            )
        image, width = image_shape(shape, "improved_gan"), config.width or 500
        generator: nn.Module = PerceptronGenerator(latent_dim, width, image, batch_norm)
        discriminator: SplitDiscriminator | NoisyPerceptron = NoisyPerceptron(image, width, num_logits)
    else:
        dropout = 0.5 * convolutional if config.dropout is None else config.dropout
        generator, body = backbone(
            "improved_gan",
            config.network,
            shape,
            latent_dim,
            config.width,
            generator_norm=batch_norm,
            norm=config.norm,
            dropout=dropout,
        )
        discriminator = SplitDiscriminator(body, num_logits, config.norm)
    if config.num_kernels:
        discriminator.set_submodule("last", compared(discriminator, config, num_logits))
    return generator, discriminator, batch_norm


class Compared(nn.Sequential):
    """(b, f) -> logits (b, num_logits): minibatch discrimination, then a last layer that reads all of it."""

    def begin(self, x: Tensor) -> None:
        """The initialisation that depends on data."""
        for layer in self:
            if not isinstance(layer, nn.Linear):
                x = layer.begin(x)  # type: ignore[operator]


def compared(discriminator: SplitDiscriminator | NoisyPerceptron, config: "Config", num_logits: int) -> Compared:
    """A last layer for D behind minibatch discrimination, of the kind that D has."""
    last = discriminator.last
    fan_in = last.direction.shape[1] if isinstance(last, WeightNormed) else last.in_features
    minibatch = MinibatchDiscrimination(fan_in, config.num_kernels, config.kernel_dim)
    fan_in += config.num_kernels
    if isinstance(last, WeightNormed):
        return Compared(minibatch, WeightNormed(fan_in, num_logits, last.noise, 0.1, trained_scale=True))
    linear = nn.Linear(fan_in, num_logits)
    if config.norm == "spectral":
        normalise_spectrally(linear)
    return Compared(minibatch, linear)


def begin(discriminator: SplitDiscriminator | NoisyPerceptron, x: Tensor) -> None:
    """The initialisation of D that depends on data, from (n, *shape)."""
    if isinstance(discriminator, NoisyPerceptron):
        discriminator.begin(x)
    elif isinstance(discriminator.last, Compared):
        discriminator.last.begin(discriminator.features(x))
