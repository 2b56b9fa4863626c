"""f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization (Nowozin et al., 2016),
https://arxiv.org/abs/1606.00709

Every f-divergence D_f(P||Q) = E_Q[f(p/q)] has a lower bound that a network V can raise and a generator lower. The
divergence is a choice of two functions: the output activation g_f, with T = g_f(V), and the convex conjugate f*.

Losses, to minimise (P is the data, Q what G makes; f* and g_f are in `DIVERGENCES` below):
    V, player D     -(E_x[T(x)] - E_z[f*(T(G(z)))])      minus the bound; at best it is -D_f(P||Q)
    G, divergence   -E_z[f*(T(G(z)))]                    the bound itself (Algorithm 1), and the default
    G, practical    -E_z[T(G(z))]                        section 3.2: for `gan` the non-saturating loss
Where V is sure of a sample, `total_variation` moves neither player: its tanh is flat there.

Differences from the paper:
- Algorithm 1 moves V and G by one backward pass; here they move in turn, so G sees the V that has just moved.
- Networks are perceptrons as in the paper, but of another size, and V has LeakyReLU in the place of ELU.
- f*(g_f(v)) is one closed form, and exp goes on as a straight line above 20, so that no score overflows.
- Pearson's f* is flat below t = -2, where no p/q >= 0 lies. The paper's parabola rises again there, so that V's surest
  fakes would lower the bound by running further from the data; on `ring` they did, from most seeds, without end.
- Batches and z are a choice of our own: 64 images, normal z.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_positive
from ganarium.layers.normalization import Norm
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.backbones import Network, backbone

PAPER = Paper(
    title="f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization",
    authors="Nowozin, Cseke, Tomioka",
    year=2016,
    arxiv="1606.00709",
    idea="Any f-divergence makes a GAN: a network raises a lower bound of it, and the generator lowers the bound.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    divergence: Literal[
        "kl", "reverse_kl", "pearson", "neyman", "hellinger", "jeffrey", "js", "gan", "total_variation"
    ] = "pearson"
    """D_f(P||Q), P the data. hellinger is its square; js and gan are 2 JSD and 2 JSD - log 4, as in the paper, which
    has no default. Ours is not `kl`, with whose bound G left `ring` and `grid` behind from most seeds."""
    loss: Literal["divergence", "practical"] = "divergence"
    """G's loss: the bound itself (Algorithm 1), or -T(G(z)) (section 3.2)."""
    network: Network = "auto"
    """Kind of networks. auto: mlp, as in the paper."""
    num_discriminator_steps: int = 1
    """Updates of V for one of G (Algorithm 1)."""
    latent_dim: int | None = None
    """Numbers in z. None: 100 for images, 2 for points."""
    width: int | None = None
    """Channels next to the picture, or units in a hidden layer. None: as is usual for the networks."""
    generator_norm: bool | None = None
    """Batch norm in G. None: on for images, off for points."""
    norm: Norm = "none"
    """Normalisation of V; the paper's has none."""
    lr: float | None = None
    """Learning rate of Adam. None: 2e-4, 1e-3 for points."""
    beta1: float = 0.5
    """Adam's first momentum."""

    def __post_init__(self) -> None:
        require_positive(self, "num_discriminator_steps", "latent_dim", "width", "lr")
        if not 0 <= self.beta1 < 1:
            raise UserError(f"beta1 must be from 0 to below 1, not {self.beta1}.")


def exp(x: Tensor) -> Tensor:
    """exp(x), and its tangent above 20: finite, convex and never flat. Only ratios of p and q beyond e^10 need more."""
    over = F.relu(x - 20)
    return (x - over).exp() * (1 + over)


def log_lambert(y: Tensor) -> Tensor:
    """log W(e^y), the root a of e^a + a = y, by Newton's method; its gradient is that of the last step."""
    with torch.no_grad():
        a = torch.where(y > 1, y.clamp(min=1).log(), y)  # never below the root, so each step stays above it
        for _ in range(6):
            a = a - (a.exp() + a - y) / (a.exp() + 1)
    return a - (a.exp() + a - y) / (a.exp() + 1)


def jeffrey(v: Tensor) -> Tensor:
    """f*(v) = W + 1/W + v - 2 with W = W(e^(1 - v)); as W + log W = 1 - v, that is 1/W - log W - 1."""
    a = log_lambert(1 - v)
    return exp(-a) - a - 1


class Divergence(NamedTuple):
    activation: Callable[[Tensor], Tensor]  # g_f: v -> T, rising, onto the domain of f*
    conjugate: Callable[[Tensor], Tensor]  # v -> f*(g_f(v)), composed
    threshold: float  # f'(1): T above it says "more likely data"


DIVERGENCES = {
    "kl": Divergence(lambda v: v, lambda v: exp(v - 1), 1.0),
    "reverse_kl": Divergence(lambda v: -exp(-v), lambda v: v - 1, -1.0),
    "pearson": Divergence(lambda v: v, lambda v: F.relu(1 + v / 2).square() - 1, 0.0),
    "neyman": Divergence(lambda v: 1 - exp(-v), lambda v: 2 - 2 * exp(-v / 2), 0.0),
    "hellinger": Divergence(lambda v: 1 - exp(-v), lambda v: exp(v) - 1, 0.0),
    "jeffrey": Divergence(lambda v: v, jeffrey, 0.0),
    "js": Divergence(lambda v: math.log(2) - F.softplus(-v), lambda v: F.softplus(v) - math.log(2), 0.0),
    "gan": Divergence(lambda v: -F.softplus(-v), F.softplus, -math.log(2)),
    "total_variation": Divergence(lambda v: v.tanh() / 2, lambda v: v.tanh() / 2, 0.0),
}


class FGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        points = len(shape) == 1
        network: Network = "mlp" if config.network == "auto" else config.network
        norm = not points if config.generator_norm is None else config.generator_norm
        self.latent_dim = config.latent_dim or (2 if points else 100)
        self.generator, self.discriminator = backbone(
            "f_gan", network, shape, self.latent_dim, config.width, generator_norm=norm, norm=config.norm
        )
        self.divergence = DIVERGENCES[config.divergence]
        self.batch_size = 256 if points else 64
        adam = Adam(lr=config.lr or (1e-3 if points else 2e-4), betas=(config.beta1, 0.9 if points else 0.999))
        self.players = {"D": Player(self.discriminator, optimizer=adam), "G": Player(self.generator, optimizer=adam)}

    def step(self, batches: Batches) -> Step:
        V, G, (g, conjugate, threshold) = self.discriminator, self.generate, self.divergence
        for _ in range(self.config.num_discriminator_steps):
            real = next(batches).image  # (b, c, h, w) in [-1, 1], or (b, 2)
            with torch.no_grad():
                fake = G(len(real))
            score_real, score_fake = V(real), V(fake)  # two passes: V may have batch norm
            terms = {"real": -g(score_real).mean(), "fake": conjugate(score_fake).mean()}
            yield "D", terms, watch(real=g(score_real) - threshold, fake=g(score_fake) - threshold)
        score = V(G(len(real)))
        yield "G", {"adversarial": -(g if self.config.loss == "practical" else conjugate)(score).mean()}

    def latent(self, n: int) -> Tensor:
        """z (n, latent_dim), normal."""
        return torch.randn(n, self.latent_dim, device=self.device, dtype=self.dtype)

    def generate(self, n: int, latent: Tensor | None = None) -> Tensor:
        return self.generator(self.latent(n) if latent is None else latent)
