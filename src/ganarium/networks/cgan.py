"""The perceptrons of the first conditional GAN (Mirza, Osindero 2014): image and label each have a layer of their own,
and a hidden layer joins the two."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.init import init_uniform
from ganarium.layers.maxout import Maxout, MaxoutDiscriminator
from ganarium.layers.precision import full


def units(published: int, width: int) -> int:
    """Units of a layer that has `published` units in the paper, where the widest layer has `width` instead of 1200."""
    return max(1, published * width // 1200)


class Generator(nn.Module):
    """z (b, latent_dim) and one-hot labels (b, num_classes) -> (b, *shape) in [-1, 1]."""

    def __init__(self, latent_dim: int, num_classes: int, shape: tuple[int, ...], width: int, dropout: float) -> None:
        super().__init__()
        self.shape = shape
        self.dropout = nn.Dropout(dropout)
        of_noise, of_label = units(200, width), units(1000, width)
        self.noise = nn.Linear(latent_dim, of_noise)
        self.label = nn.Linear(num_classes, of_label)
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
        self.image = Maxout(size, of_image, 5)
        self.label = Maxout(num_classes, of_label, 5)
        self.joint = nn.Sequential(nn.Dropout(dropout), Maxout(of_image + of_label, joint, 4), nn.Dropout(dropout))
        self.score = nn.Linear(joint, 1)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        first = torch.cat([self.image((x.flatten(1) + 1) / 2), self.label(label)], 1)
        return full(self.score(self.joint(first)).squeeze(1))


class Networks(NamedTuple):
    generator: nn.Module  # (b, latent_dim) and one-hot labels (b, num_classes) -> (b, *shape)
    discriminator: nn.Module  # (b, *shape) and one-hot labels -> score (b,)
    quality: nn.Module | None  # (b, *shape) -> score (b,), in the design of two networks


def perceptrons(
    shape: tuple[int, int, int], latent_dim: int, num_classes: int, width: int, dropout: float, *, two_networks: bool
) -> Networks:
    """The networks of this file, initialised as those of the released GAN; of two networks the one that judges the
    image alone is that GAN's discriminator."""
    size = math.prod(shape)
    generator = init_uniform(Generator(latent_dim, num_classes, shape, width, dropout), 0.05)
    discriminator = init_uniform(Discriminator(size, num_classes, width, dropout), 0.005)
    quality = None
    if two_networks:
        quality = init_uniform(MaxoutDiscriminator(size, units(240, width), dropout), 0.005)
    return Networks(generator, discriminator, quality)
