"""The perceptrons of the first conditional GAN (Mirza, Osindero 2014): image and label each have a layer of their own,
and a hidden layer joins the two."""

import math
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.errors import UserError
from ganarium.layers.init import init_uniform
from ganarium.layers.maxout import Maxout, MaxoutDiscriminator
from ganarium.layers.normalization import Norm
from ganarium.layers.precision import full
from ganarium.layers.shapes import image_shape
from ganarium.networks.backbones import Pair, backbone
from ganarium.networks.conditional import Joint, LabelledGenerator, Projection, embedding

if TYPE_CHECKING:
    from ganarium.models.cgan import Config

LABEL_DIM = 50  # numbers of a label beside z in networks of other kinds: as a one-hot row it would be one among 100


def units(published: int, width: int) -> int:
    """Of a layer of so many `published` units, its size where the widest has `width` in place of 1200."""
    return max(1, published * width // 1200)


class Generator(nn.Module):
    """z (b, latent_dim) and one-hot labels (b, num_classes) -> (b, *shape) in [-1, 1]."""

    def __init__(self, latent_dim: int, num_classes: int, shape: tuple[int, ...], width: int, dropout: float) -> None:
        super().__init__()
        self.shape, self.dropout = shape, nn.Dropout(dropout)
        of_noise, of_label = units(200, width), units(1000, width)
        self.noise, self.label = nn.Linear(latent_dim, of_noise), nn.Linear(num_classes, of_label)
        self.joint = nn.Linear(of_noise + of_label, width)
        self.last = nn.Linear(width, math.prod(shape))

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        first = self.dropout(F.relu(torch.cat([self.noise(z), self.label(label)], 1)))
        joined = self.dropout(F.relu(self.joint(first)))
        return full(2 * self.last(joined).sigmoid() - 1).unflatten(1, self.shape)


class Discriminator(nn.Module):
    """(b, *shape) in [-1, 1] and one-hot labels (b, num_classes) -> score (b,)."""

    def __init__(self, size: int, num_classes: int, width: int, dropout: float) -> None:
        super().__init__()
        of_image, of_label, joint = (units(published, width) for published in (240, 50, 240))
        self.image, self.label = Maxout(size, of_image, 5), Maxout(num_classes, of_label, 5)
        self.joint = nn.Sequential(nn.Dropout(dropout), Maxout(of_image + of_label, joint, 4), nn.Dropout(dropout))
        self.score = nn.Linear(joint, 1)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        first = torch.cat([self.image((x.flatten(1) + 1) / 2), self.label(label)], 1)
        return full(self.score(self.joint(first)).squeeze(1))


def networks(
    config: "Config", shape: tuple[int, ...], latent_dim: int, num_classes: int
) -> tuple[nn.Module, nn.Module, nn.Module | None, bool]:
    """G, D of a sample with its label, D of a sample alone where the design has one, and whether they are the
    perceptrons of this file."""
    product, projection, two = (
        config.joining == "product",
        config.design == "projection",
        config.design == "two_networks",
    )
    points, kind = len(shape) == 1, config.network
    if kind == "auto" and not (points or projection or product):
        if not (config.generator_norm is None and config.norm is None):
            raise UserError("the perceptrons of cgan have no normalisation: choose --network mlp, dcgan or resnet.")
        image, width = image_shape(shape, "cgan"), config.width or 1200
        size, dropout = math.prod(image), 0.5 if config.dropout is None else config.dropout
        return (
            init_uniform(Generator(latent_dim, num_classes, image, width, dropout), 0.05),
            init_uniform(Discriminator(size, num_classes, width, dropout), 0.005),
            init_uniform(MaxoutDiscriminator(size, units(240, width), dropout), 0.005) if two else None,
            True,
        )
    convolutional = not points and kind != "mlp"
    norm: Norm = config.norm or ("none" if not convolutional else "spectral" if projection else "batch")
    generator_norm = convolutional if config.generator_norm is None else config.generator_norm
    label_dim = latent_dim if product else LABEL_DIM
    code, dropout = latent_dim if product else latent_dim + label_dim, config.dropout or 0.0

    def pair() -> Pair:
        norms: Any = {"generator_norm": generator_norm, "norm": norm}
        return backbone("cgan", kind, shape, code, config.width, dropout=dropout, **norms)

    generator, discriminator = pair()
    return (
        LabelledGenerator(generator, embedding(num_classes, label_dim, product=product), product=product),
        (Projection if projection else Joint)(discriminator, num_classes, norm),
        pair().discriminator if two else None,
        False,
    )
