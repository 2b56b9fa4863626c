"""On Convergence and Stability of GANs (Kodali et al., 2017), https://arxiv.org/abs/1705.07215

The paper traces mode collapse to sharp gradients of D around some data. DRAGAN holds the gradient of D's logit near
norm 1 at points around the reals, and only there: fakes play no part in the penalty. One update of D for one of G.

Losses, to minimise (p = sigmoid(D)):
    D    E_x[-log p(x)] + E_z[-log(1 - p(G(z)))] + lambda E_x[(||grad D(x^)|| - k)^2]
    G    E_z[-log p(G(z))]
x^ lies around x. "notebook", as released: x + a s u with one a ~ U[0, 1] a sample, u ~ U[0, 1] for each number, and
s = 0.5 times the standard deviation of all numbers of the batch. "gaussian", as in the paper: x + N(0, c I).

Differences from the paper:
- The default is the authors' notebook: its noise, and its networks of one hidden layer. c of the paper's noise is s^2,
  in proportion to the data.
- Pixels are in [-1, 1], and G ends in tanh. The notebook's are in [0, 1], where a slope of 1 lets D change half as much
  from black to white: `slope=0.5, penalty_weight=40` is its penalty.
- 2-D points (three layers of 128 ReLU, normal z, Adam at 1e-3) are not the paper's.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_positive
from ganarium.layers.normalization import Norm, check_penalised, normalise_spectrally
from ganarium.layers.penalized import LeakyReLU
from ganarium.layers.shapes import image_shape
from ganarium.losses import as_fake, as_real, gradient_norm
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.backbones import Network, Pair, backbone
from ganarium.networks.mlp import MLP

PAPER = Paper(
    title="On Convergence and Stability of GANs",
    authors="Kodali, Abernethy, Hays, Kira",
    year=2017,
    arxiv="1705.07215",
    idea="Holding the slope of the discriminator around the data, and only there, keeps a GAN from collapsing.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    penalty_weight: float = 10.0
    """lambda (paper and notebook)."""
    slope: float = 1.0
    """k, the norm at which D's gradient is held, per unit of pixels from -1 to 1 (paper and notebook)."""
    noise: Literal["notebook", "gaussian"] = "notebook"
    """Where x^ lies: as released, or with normal noise (paper)."""
    noise_scale: float = 0.5
    """s, the size of the noise, in standard deviations of the batch (notebook)."""
    network: Network = "auto"
    """Kind of networks. auto: G and D of one hidden layer for images (notebook), mlp for points."""
    latent_dim: int | None = None
    """Numbers in z. None: 100 for images (notebook), 2 for points."""
    width: int | None = None
    """Units in a hidden layer, or channels. None: 128 for auto (notebook), else as is usual for the networks."""
    generator_norm: bool | None = None
    """Batch norm in G. None: on in convolutional networks, off in others (notebook)."""
    norm: Norm = "none"
    """Normalisation in D, not batch."""
    lr: float | None = None
    """Learning rate of Adam. None: 1e-4 for images (notebook), 1e-3 for points."""
    beta1: float = 0.5
    """Adam's first momentum (notebook)."""

    def __post_init__(self) -> None:
        require_positive(self, "penalty_weight", "slope", "noise_scale", "latent_dim", "width", "lr")
        if not 0 <= self.beta1 < 1:
            raise UserError(f"beta1 must be from 0 to below 1, not {self.beta1}.")
        check_penalised(self.norm, "dragan")


def notebook_networks(config: Config, shape: tuple[int, ...], latent_dim: int) -> Pair:
    """G and D with one hidden layer of ReLU each; weights N(0, 2 / fan in), biases 0."""
    image, hidden = image_shape(shape, "dragan"), [config.width or 128]
    pair = Pair(
        MLP(latent_dim, hidden, image, last=nn.Tanh(), norm="batch" if config.generator_norm else "none"),
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


class DRAGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        points = len(shape) == 1
        self.latent_dim = config.latent_dim or (2 if points else 100)
        if config.network == "auto" and not points:
            pair = notebook_networks(config, shape, self.latent_dim)
        else:
            convolutional = config.network in ("dcgan", "resnet")
            pair = backbone(
                "dragan",
                config.network,
                shape,
                self.latent_dim,
                config.width,
                generator_norm=convolutional if config.generator_norm is None else config.generator_norm,
                norm=config.norm,
            )
        self.generator, self.discriminator = pair
        self.batch_size = 256 if points else 128  # notebook
        rule = Adam(lr=config.lr or (1e-3 if points else 1e-4), betas=(config.beta1, 0.9))
        self.players = {
            "D": Player(self.discriminator, optimizer=rule),
            "G": Player(self.generator, optimizer=rule),
        }

    def step(self, batches: Batches) -> Step:
        D, G, k = self.discriminator, self.generate, self.config.slope
        real = next(batches).image  # (b, c, h, w) in [-1, 1], or (b, 2)
        with torch.no_grad():
            fake = G(len(real))
        score_real, score_fake = D(torch.cat([real, fake])).chunk(2)  # one pass: nothing in D mixes samples
        penalty = self.config.penalty_weight * (gradient_norm(D, self.around(real)) - k).square().mean()
        terms = {"real": as_real(score_real), "fake": as_fake(score_fake), "penalty": penalty}
        yield "D", terms, watch(real=score_real, fake=score_fake)
        yield "G", {"adversarial": as_real(D(G(len(real))))}

    def around(self, real: Tensor) -> Tensor:
        """x^, one for each real, in its neighbourhood."""
        size = self.config.noise_scale * real.std(correction=0)
        if self.config.noise == "gaussian":
            return real + size * torch.randn_like(real)
        a = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
        return real + a * size * torch.rand_like(real)

    def latent(self, n: int) -> Tensor:
        """z (n, latent_dim): uniform on [-1, 1] for images (notebook), normal for points."""
        z = torch.empty(n, self.latent_dim, device=self.device, dtype=self.dtype)
        return z.normal_() if len(self.shape) == 1 else z.uniform_(-1, 1)

    def generate(self, n: int, latent: Tensor | None = None) -> Tensor:
        return self.generator(self.latent(n) if latent is None else latent)
