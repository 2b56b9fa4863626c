"""Networks that are told a label: they take it as one-hot rows (b, num_classes) beside their input."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from ganarium.layers.heads import last_linear
from ganarium.layers.init import init_normal
from ganarium.layers.normalization import Norm, normalise_spectrally
from ganarium.layers.precision import full
from ganarium.layers.shapes import halvings, pyramid


def embedding(num_classes: int, dim: int, *, product: bool = False) -> nn.Linear:
    """One-hot (b, num_classes) -> (b, dim). As a product of matrices: the gradient of a look-up sorts its indices.

    Begun as N(0, 1 / dim), of length 1, as the one-hot row is: louder, it drowns a z that G reads beside it, and G
    draws one image for each class. To be multiplied with z, as N(0, 1).
    """
    layer = nn.Linear(num_classes, dim, bias=False)
    nn.init.normal_(layer.weight, std=1.0 if product else dim**-0.5)
    return layer


class LabelledGenerator(nn.Module):
    """z (b, latent_dim) and labels -> (b, *shape): a generator whose code is z beside the (embedded) label, or the
    product of the two."""

    def __init__(self, generator: nn.Module, embedding: nn.Module, *, product: bool = False) -> None:
        super().__init__()
        self.body, self.embedding, self.product = generator, embedding, product

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        embedded = self.embedding(label)
        return self.body(z * embedded if self.product else torch.cat([z, embedded], 1))


class Joint(nn.Module):
    """(b, *shape) and labels -> score (b,): what the last layer of a discriminator of `backbones` reads, joined with
    the label in a hidden layer of `units`. `norm` is the discriminator's."""

    def __init__(self, discriminator: nn.Module, num_classes: int, norm: Norm, units: int = 256) -> None:
        super().__init__()
        self.body, last = without_last(discriminator)
        # one layer on the two side by side, in two parts, so that a label begins as loud as all features together
        self.image = nn.Linear(last.in_features, units)
        self.label = nn.Linear(num_classes, units, bias=False)
        self.score = nn.Sequential(nn.LeakyReLU(0.2), nn.Linear(units, 1))
        if norm == "spectral":
            for part in (self.image, self.label, self.score):
                normalise_spectrally(part)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        hidden = self.image(self.body.features(x)) + self.label(label)  # type: ignore[operator]
        return full(self.score(hidden).squeeze(1))


class Projection(nn.Module):
    """(b, *shape) and labels -> score (b,): that of a discriminator of `backbones`, plus the inner product of the
    label's embedding with what its last layer reads (Miyato, Koyama 2018). `norm` is the discriminator's."""

    def __init__(self, discriminator: nn.Module, num_classes: int, norm: Norm) -> None:
        super().__init__()
        self.body, self.score = without_last(discriminator)
        self.label = nn.Linear(num_classes, self.score.in_features, bias=False)
        init_normal(self.label)
        if norm == "spectral":
            normalise_spectrally(self.label)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        features = self.body.features(x)  # type: ignore[operator]
        return full(self.score(features).squeeze(1) + (self.label(label) * features).sum(1))


class LayeredDiscriminator(nn.Module):
    """(b, c, h, w) and labels -> score (b,): strided convolutions and a hidden layer of `units`, where all layers but
    the first also read the label, embedded by a linear layer; a convolution reads it as maps that are the same
    everywhere."""

    def __init__(self, shape: tuple[int, int, int], num_classes: int, label_dim: int, width: int, units: int) -> None:
        super().__init__()
        channels, height, wide = shape
        levels = halvings(height, wide)
        last = pyramid(height, wide, levels)[-1]
        widths = [channels] + [width * min(2**level, 8) for level in range(levels)]
        blocks = []
        for level, (fan_in, fan_out) in enumerate(pairwise(widths)):
            convolution = nn.Conv2d(fan_in + (label_dim if level else 0), fan_out, 5, 2, 2, bias=not level)
            norm = [nn.BatchNorm2d(fan_out)] if level else []
            blocks.append(nn.Sequential(convolution, *norm, nn.LeakyReLU(0.2)))
        self.blocks = nn.ModuleList(blocks)
        joined = nn.Linear(math.prod((widths[-1], *last)) + label_dim, units, bias=False)
        self.hidden = nn.Sequential(joined, nn.BatchNorm1d(units), nn.LeakyReLU(0.2))
        self.score = nn.Linear(units + label_dim, 1)
        init_normal(self)
        self.embedding = embedding(num_classes, label_dim)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        embedded = self.embedding(label)
        for level, block in enumerate(self.blocks):
            if level:
                x = torch.cat([x, embedded[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)
            x = block(x)
        x = self.hidden(torch.cat([x.flatten(1), embedded], 1))
        return full(self.score(torch.cat([x, embedded], 1)).squeeze(1))


def without_last(discriminator: nn.Module) -> tuple[nn.Module, nn.Linear]:
    """A discriminator of `backbones`, to be asked for its `features` only, and the linear layer that reads them."""
    name, last = last_linear(discriminator)
    discriminator.set_submodule(name, nn.Identity())
    return discriminator, last
