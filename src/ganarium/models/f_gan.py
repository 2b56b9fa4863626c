"""f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization (Nowozin et al.,
2016), https://arxiv.org/abs/1606.00709

Every f-divergence D_f(P||Q) = E_Q[f(p/q)] has a lower bound that a network V can raise and a generator lower.
The divergence is a choice of two functions: the output activation g_f, with T = g_f(V), and the convex
conjugate f*.

Losses, to minimise (P is the data, Q what G makes; f* and g_f are in `DIVERGENCES` below):
    V, player D     -(E_x[T(x)] - E_z[f*(T(G(z)))])      minus the bound; at best it is -D_f(P||Q)
    G, divergence   -E_z[f*(T(G(z)))]                    the bound itself (Algorithm 1), and the default
    G, practical    -E_z[T(G(z))]                        section 3.2: for `gan` the non-saturating loss
Where V is sure of a sample, `total_variation` moves neither player: its tanh is flat there.

Differences from the paper:
- Algorithm 1 moves V and G by one backward pass; here they move in turn, so G sees the V that has just moved.
- Networks are perceptrons as in the paper, but of another size, and V has LeakyReLU in the place of ELU.
- f*(g_f(v)) is one closed form, and exp goes on as a straight line above 20, so that no score overflows.
- Pearson's f* is flat below t = -2, where no p/q >= 0 lies. The paper's parabola rises again there, so that
  V's surest fakes would lower the bound by running further from the data; on `ring` they did, from most
  seeds, without end.
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
from ganarium.errors import require_fraction, require_positive
from ganarium.layers.augmentation import Augmentation, AugmentOptions
from ganarium.layers.normalization import Norm
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.backbones import BackboneOptions, Network, backbone

PAPER = Paper(
    title="f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization",
    authors="Nowozin, Cseke, Tomioka",
    year=2016,
    arxiv="1606.00709",
    idea="Any f-divergence makes a GAN: a network raises a lower bound of it, which the generator lowers.",
)


@dataclass(frozen=True, kw_only=True)
class Config(AugmentOptions, BackboneOptions):
    divergence: Literal[
        "kl", "reverse_kl", "pearson", "neyman", "hellinger", "jeffrey", "js", "gan", "total_variation"
    ] = "pearson"
    """The divergence between data and samples that is made small (table 1). hellinger is its square; js and
    gan are 2 JSD and 2 JSD - log 4, as in the paper, which has no default. With kl the samples ran away from
    the data in most of our runs."""
    loss: Literal["divergence", "practical"] = "divergence"
    """The generator's loss: the bound on the divergence itself (Algorithm 1), or the discriminator's output
    on its samples (section 3.2)."""
    network: Network = "mlp"
    """Kind of networks: mlp, as in the paper, dcgan or resnet."""
    num_discriminator_steps: int = 1
    """Updates of the discriminator for one of the generator (Algorithm 1)."""
    generator_norm: bool = True
    """Batch norm in the generator."""
    norm: Norm = "none"
    """Normalisation in the discriminator: none (paper), batch, layer or spectral."""
    lr: float = 2e-4
    """Learning rate of Adam."""
    beta1: float = 0.5
    """Adam's first momentum."""
    beta2: float = 0.999
    """Adam's second momentum."""

    def __post_init__(self) -> None:
        require_positive(self, "num_discriminator_steps", "latent_dim", "width", "lr")
        require_fraction(self, "beta1", "beta2")

    @classmethod
    def for_points(cls) -> "Config":
        return cls(latent_dim=2, generator_norm=False, lr=1e-3, beta2=0.9)

    @classmethod
    def small(cls) -> "Config":
        return cls(width=16)


def exp(x: Tensor) -> Tensor:
    """exp(x), and its tangent above 20: finite, convex and never flat. Only ratios of p and q beyond e^10
    need more."""
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
        self.augment = Augmentation(config.augment, "f_gan", shape)
        self.prior = Prior(config.latent_dim, config.prior)
        self.divergence = DIVERGENCES[config.divergence]
        self.generator, self.discriminator = backbone(
            "f_gan",
            config.network,
            shape,
            config.latent_dim,
            config.width,
            generator_norm=config.generator_norm,
            norm=config.norm,
        )
        adam = Adam(lr=config.lr, betas=(config.beta1, config.beta2))
        self.players = {
            "D": Player(self.discriminator, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        V, G, T = self.discriminator, self.generate, self.augment
        g, conjugate, threshold = self.divergence
        for _ in range(self.config.num_discriminator_steps):
            real = T(next(batches).image)  # (b, c, h, w) in [-1, 1], or (b, 2)
            with torch.no_grad():
                fake = T(G(len(real)))
            score_real, score_fake = V(real), V(fake)  # two passes: V may have batch norm
            terms = {"real": -g(score_real).mean(), "fake": conjugate(score_fake).mean()}
            signed_real, signed_fake = g(score_real) - threshold, g(score_fake) - threshold
            yield "D", terms, watch(real=signed_real, fake=signed_fake, **T.adapt(signed_real))
        score = V(T(G(len(real))))
        reward = g(score) if self.config.loss == "practical" else conjugate(score)
        yield "G", {"adversarial": -reward.mean()}
