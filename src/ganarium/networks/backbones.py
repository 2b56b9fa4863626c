"""The networks on which any objective runs: G and D by the name of their kind, so that losses can be compared."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import nn

from ganarium.errors import UserError
from ganarium.layers.init import init_normal
from ganarium.layers.normalization import Norm, normalise_spectrally
from ganarium.layers.penalized import LeakyReLU
from ganarium.layers.shapes import image_shape
from ganarium.networks import dcgan, resnet
from ganarium.networks.mlp import MLP

Network = Literal["auto", "mlp", "dcgan", "resnet"]


@dataclass(frozen=True, kw_only=True)
class BackboneOptions:
    """The options of a model that runs on any of these networks. A model's `Config` inherits them, and may give a field
    another default and another docstring."""

    network: Network = "auto"
    """Kind of G and D: dcgan, resnet or mlp. auto: dcgan."""
    latent_dim: int = 100
    """Numbers in z."""
    prior: Literal["normal", "uniform"] = "normal"
    """Distribution of the numbers in z: normal, or uniform on [-1, 1]."""
    width: int | None = None
    """Channels next to the picture, or units of a hidden layer. None: dcgan 64, resnet 128, both 32 below 48 pixels;
    mlp 512, or 128 for points."""
    generator_norm: bool | None = None
    """Batch norm in G. None: on in convolutional networks, off in an mlp."""
    norm: Norm | None = None
    """Normalisation in D: none, batch, layer or spectral. None: batch in convolutional networks, none in an mlp."""

    @property
    def convolutional(self) -> bool:
        return self.network != "mlp"

    @property
    def batch_norm_in_generator(self) -> bool:
        return self.convolutional if self.generator_norm is None else self.generator_norm

    @property
    def norm_in_discriminator(self) -> Norm:
        return self.norm or ("batch" if self.convolutional else "none")


class Pair(NamedTuple):
    generator: nn.Module  # (b, latent_dim) -> (b, *shape), images in [-1, 1]
    discriminator: nn.Module  # (b, *shape) -> score (b,); its `features` (b, f) are what the last layer reads


def backbone(
    model: str,
    network: Network,
    shape: tuple[int, ...],
    latent_dim: int,
    width: int | None = None,
    *,
    generator_norm: bool,
    norm: Norm,
    dropout: float = 0.0,
) -> Pair:
    """The networks of a kind, initialised, for images (c, h, w), or for points (2,), which only an `mlp` takes.

    auto: `dcgan` for images and `mlp` for points. mlp: three hidden layers of `width` units (512; 128 for points), ReLU
    in G, LeakyReLU(0.2) in D (ReLU for points). dcgan (Radford et al. 2015): `width` channels next to the picture (64;
    32 below 48 pixels), with weights N(0, 0.02), or He's in a G without batch norm. resnet (Gulrajani et al. 2017):
    `width` channels everywhere (128; 32 below 48 pixels). `generator_norm` is batch norm in G, `norm` that of D,
    `dropout` the share of zeros behind each layer of D. `model` is named in errors.
    """
    if len(shape) == 1:
        if network not in ("auto", "mlp"):
            raise UserError(f"{model} has no {network} for 2-D points: leave --network away, or give mlp.")
        pair = _perceptrons(shape, latent_dim, width or 128, generator_norm, norm, dropout)
    else:
        image = image_shape(shape, model)
        small = min(image[1:]) < 48
        if network == "mlp":
            pair = _perceptrons(image, latent_dim, width or 512, generator_norm, norm, dropout)
        elif network == "resnet":
            width = width or (32 if small else 128)
            pair = Pair(
                resnet.Generator(image, latent_dim, width, batch_norm=generator_norm),
                resnet.Discriminator(image, width, norm=norm, dropout=dropout),
            )
        else:
            width = width or (32 if small else 64)
            pair = Pair(
                dcgan.Generator(image, latent_dim, width, batch_norm=generator_norm),
                dcgan.Discriminator(image, width, norm=norm, dropout=dropout),
            )
            for half in pair:
                init_normal(half)
            if not generator_norm:
                init_he(pair.generator)
    if norm == "spectral":
        normalise_spectrally(pair.discriminator)
    return pair


def _perceptrons(
    shape: tuple[int, ...], latent_dim: int, width: int, generator_norm: bool, norm: Norm, dropout: float
) -> Pair:
    points, hidden = len(shape) == 1, [width] * 3
    own: Norm = "batch" if generator_norm else "none"
    slope = 0.0 if points else 0.2
    return Pair(
        MLP(latent_dim, hidden, shape, last=None if points else nn.Tanh(), norm=own),
        MLP(math.prod(shape), hidden, (), lambda: LeakyReLU(slope), norm=norm, dropout=dropout),
    )


def init_he(network: nn.Module) -> None:
    """Weights N(0, 2 / fan in) (He et al. 2015), which keep a signal's variance.

    DCGAN's N(0, 0.02) count on batch norm: without it z is lost on its way through G, which soon makes one picture of
    every z.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / layer.in_features))
        elif isinstance(layer, nn.ConvTranspose2d):
            fan_in = layer.in_channels * math.prod(layer.kernel_size) / math.prod(layer.stride)  # a stride thins it out
            nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / fan_in))
