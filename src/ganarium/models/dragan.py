"""On Convergence and Stability of GANs (Kodali et al., 2017), https://arxiv.org/abs/1705.07215

The paper traces mode collapse to sharp gradients of D around some data. DRAGAN holds the gradient of D's
logit near norm 1 at points around the reals, and only there: fakes play no part in the penalty. One update of
D for one of G.

Losses, to minimise (p = sigmoid(D)):
    D    E_x[-log p(x)] + E_z[-log(1 - p(G(z)))] + lambda E_x[(||grad D(x^)|| - k)^2]
    G    E_z[-log p(G(z))]
x^ lies around x. "notebook", as released: x + a s u with one a ~ U[0, 1] a sample, u ~ U[0, 1] for each
number, and s = 0.5 times the standard deviation of all numbers of the batch. "gaussian", as in the paper: x +
N(0, c I).

Differences from the paper:
- The default is the authors' notebook: its noise, and its networks of one hidden layer. c of the paper's
  noise is s^2, in proportion to the data.
- Pixels are in [-1, 1], and G ends in tanh. The notebook's are in [0, 1], where a slope of 1 lets D change
  half as much from black to white: `slope=0.5, penalty_weight=40` is its penalty.
- 2-D points (three layers of 128 ReLU, normal z, Adam at 1e-3) are not the paper's.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.errors import require_fraction, require_positive
from ganarium.layers.augmentation import Augmentation, AugmentOptions
from ganarium.layers.normalization import Norm, check_penalised, normalise_spectrally
from ganarium.layers.penalized import LeakyReLU
from ganarium.layers.shapes import image_shape
from ganarium.losses import as_fake, as_real, gradient_norm
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.backbones import BackboneOptions, Network, Pair, backbone
from ganarium.networks.mlp import MLP

PAPER = Paper(
    title="On Convergence and Stability of GANs",
    authors="Kodali, Abernethy, Hays, Kira",
    year=2017,
    arxiv="1705.07215",
    idea="Holding the discriminator's slope around the data, and only there, keeps a GAN from collapsing.",
)


@dataclass(frozen=True, kw_only=True)
class Config(AugmentOptions, BackboneOptions):
    penalty_weight: float = 10.0
    """Weight of the gradient penalty: lambda (paper, and the authors' notebook)."""
    slope: float = 1.0
    """The norm at which the discriminator's gradient is held near the data: k, per unit of pixels from -1 to
    1 (paper and notebook)."""
    noise: Literal["notebook", "gaussian"] = "notebook"
    """How the points near the data are drawn: as in the released notebook, or with normal noise (paper)."""
    noise_scale: float = 0.5
    """Size of that noise, in standard deviations of the batch (notebook)."""
    network: Network = "auto"
    """Kind of networks. auto: generator and discriminator of one hidden layer (notebook)."""
    latent_dim: int = 100
    """Numbers in z (notebook)."""
    prior: Literal["normal", "uniform"] = "uniform"
    """Distribution of the numbers in z: normal, or uniform on [-1, 1] (notebook)."""
    width: int | None = None
    """Units of a hidden layer, or channels next to the picture. None: 128 in the networks of auto (notebook);
    dcgan 64, resnet 128, both 32 below 48 pixels; mlp 512, or 128 for points."""
    generator_norm: bool | None = None
    """Batch norm in the generator. None: on in dcgan and resnet, off in others (notebook)."""
    norm: Norm = "none"
    """Normalisation in the discriminator: none (notebook), layer or spectral; batch norm is refused."""
    lr: float = 1e-4
    """Learning rate of Adam (notebook)."""
    beta1: float = 0.5
    """Adam's first momentum (notebook)."""

    def __post_init__(self) -> None:
        require_positive(self, "penalty_weight", "slope", "noise_scale", "latent_dim", "width", "lr")
        require_fraction(self, "beta1")
        check_penalised(self.norm, "dragan")

    @classmethod
    def for_points(cls) -> "Config":
        return cls(network="mlp", latent_dim=2, prior="normal", lr=1e-3)

    @classmethod
    def small(cls) -> "Config":
        return cls(width=16)


class DRAGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "dragan", shape)
        self.prior = Prior(config.latent_dim, config.prior)
        if config.network == "auto":
            self.generator, self.discriminator = notebook_networks(config, shape)
        else:
            self.generator, self.discriminator = backbone(
                "dragan",
                config.network,
                shape,
                config.latent_dim,
                config.width,
                generator_norm=config.batch_norm_in_generator,
                norm=config.norm,
            )
        if len(shape) == 3:
            self.batch_size = 128  # notebook
        rule = Adam(lr=config.lr, betas=(config.beta1, 0.9))
        self.players = {
            "D": Player(self.discriminator, optimizer=rule),
            "G": Player(self.generator, optimizer=rule),
        }

    def step(self, batches: Batches) -> Step:
        D, G, T, k = self.discriminator, self.generate, self.augment, self.config.slope
        real = T(next(batches).image)  # (b, c, h, w) in [-1, 1], or (b, 2)
        with torch.no_grad():
            fake = T(G(len(real)))
        score_real, score_fake = D(torch.cat([real, fake])).chunk(2)  # one pass: nothing in D mixes samples
        penalty = self.config.penalty_weight * (gradient_norm(D, self.around(real)) - k).square().mean()
        terms = {"real": as_real(score_real), "fake": as_fake(score_fake), "penalty": penalty}
        yield "D", terms, watch(real=score_real, fake=score_fake, **T.adapt(score_real))
        yield "G", {"adversarial": as_real(D(T(G(len(real)))))}

    def around(self, real: Tensor) -> Tensor:
        """x^, one for each real, in its neighbourhood."""
        size = self.config.noise_scale * real.std(correction=0)
        if self.config.noise == "gaussian":
            return real + size * torch.randn_like(real)
        a = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
        return real + a * size * torch.rand_like(real)


def notebook_networks(config: Config, shape: tuple[int, ...]) -> Pair:
    """G and D with one hidden layer of ReLU each; weights N(0, 2 / fan in), biases 0."""
    image = image_shape(shape, "dragan")
    hidden = [config.width or 128]
    norm: Norm = "batch" if config.generator_norm else "none"
    pair = Pair(
        MLP(config.latent_dim, hidden, image, last=nn.Tanh(), norm=norm),
        MLP(math.prod(image), hidden, (), lambda: LeakyReLU(0.0), norm=config.norm),
    )
    for network in pair:
        for layer in network.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
    if config.norm == "spectral":
        normalise_spectrally(pair.discriminator)
    return pair
