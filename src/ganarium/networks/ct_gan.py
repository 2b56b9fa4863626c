"""The networks of CT-GAN: critics that also give what their last layer reads, and its perceptrons for MNIST."""

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.errors import UserError
from ganarium.layers.heads import last_linear
from ganarium.layers.labels import known_classes
from ganarium.layers.normalization import Norm, normalise_spectrally
from ganarium.layers.precision import full
from ganarium.layers.shapes import image_shape
from ganarium.networks.backbones import backbone

if TYPE_CHECKING:
    from ganarium.models.ct_gan import Config


class Critic(nn.Module):
    """(b, *shape) -> score (b,), or logits (b, num_classes): a backbone's discriminator in two parts, `features` and
    `head`, so that one pass gives what both give."""

    def __init__(self, body: nn.Module, num_classes: int | None, norm: Norm) -> None:
        super().__init__()
        name, last = last_linear(body)
        body.set_submodule(name, nn.Identity())
        self.body, self.last, self.num_classes = body, last, num_classes
        if num_classes:
            self.last = nn.Linear(last.in_features, num_classes)
            if norm == "spectral":
                normalise_spectrally(self.last)

    def features(self, x: Tensor) -> Tensor:
        """(b, *shape) -> (b, f)"""
        return full(self.body.features(x))  # type: ignore[operator]

    def head(self, features: Tensor) -> Tensor:
        """(b, f) -> (b,) or (b, num_classes)"""
        made = full(self.last(features))
        return made if self.num_classes else made.squeeze(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class WeightNormed(nn.Module):
    """Gaussian noise (in training), then a linear layer whose weights are directions of length 1 times a scale.

    Directions begin as N(0, std): the larger they are, the slower they turn.
    """

    scale: Tensor  # (units,): a parameter if `trained_scale`, else a buffer

    def __init__(self, fan_in: int, units: int, noise: float, std: float, *, trained_scale: bool) -> None:
        super().__init__()
        self.noise = noise
        self.direction = nn.Parameter(std * torch.randn(units, fan_in))
        self.bias = nn.Parameter(torch.zeros(units))
        if trained_scale:
            self.scale = nn.Parameter(torch.ones(units))
        else:
            self.register_buffer("scale", torch.ones(units))

    def forward(self, x: Tensor) -> Tensor:
        if self.training and self.noise:
            x = full(x)  # so that the noise is the same in any precision
            x = x + self.noise * torch.randn_like(x)
        return F.linear(x, F.normalize(self.direction) * self.scale[:, None], self.bias)

    @torch.no_grad()
    def begin(self, x: Tensor) -> Tensor:
        """Sets scale and bias so that the outputs have mean 0 and variance 1 on these inputs, and gives the outputs."""
        self.scale.fill_(1)
        self.bias.zero_()
        made = self(x)
        std, mean = torch.std_mean(made, 0, correction=0)
        self.scale.copy_(1 / std)
        self.bias.copy_(-mean / std)
        return (made - mean) / std


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
    config: "Config", shape: tuple[int, ...], latent_dim: int, num_classes: int | None
) -> tuple[nn.Module, Critic | NoisyPerceptron, bool]:
    """G and D of a config, and whether G has batch norm."""
    points, colour, width = len(shape) == 1, shape[0] > 1, config.width
    own = config.semi_supervised and not points and config.network == "auto"
    if config.semi_supervised:
        num_classes = known_classes(num_classes, "the semi-supervised ct_gan")
        if config.penalty_weight is not None or config.num_critic_steps != 5:
            raise UserError(
                "the semi-supervised ct_gan has no gradient penalty and one step of D for one of G: leave "
                "--penalty-weight and --num-critic-steps away."
            )
    if own and (config.norm != "none" or config.dropout != 0.5):
        raise UserError(
            "the perceptrons of the semi-supervised ct_gan have weight norm and Gaussian noise: for another "
            "--norm or --dropout choose --network mlp, dcgan or resnet."
        )
    if own:
        assert num_classes
        image, width, batch_norm = image_shape(shape, "ct_gan"), width or 500, config.generator_norm is not False
        return (
            PerceptronGenerator(latent_dim, width, image, batch_norm),
            NoisyPerceptron(image, width, num_classes),
            batch_norm,
        )
    convolutional = not points and config.network != "mlp"
    if convolutional and config.network != "resnet":
        width = width or (128 if colour else 64)
    usual = convolutional and (colour or config.network == "resnet")
    batch_norm = usual if config.generator_norm is None else config.generator_norm
    generator, critic = backbone(
        "ct_gan",
        config.network,
        shape,
        latent_dim,
        width,
        generator_norm=batch_norm,
        norm=config.norm,
        dropout=config.dropout,
    )
    return generator, Critic(critic, num_classes if config.semi_supervised else None, config.norm), batch_norm
