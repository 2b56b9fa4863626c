"""Wasserstein Divergence for GANs (Wu et al., 2018), https://arxiv.org/abs/1712.01026

WGAN-GP holds the critic's gradient near norm 1, as the Wasserstein distance asks. Here a pure power of the
norm is penalised instead: the optimum is a true divergence of its own, for any critic, with no Lipschitz
constraint at all.

Losses, to minimise (D(x) is a score, not a probability):
    D    E_z[D(G(z))] - E_x[D(x)] + k E[||grad D(x^)||^p],  x^ from almost any distribution P_u
    G    -E_z[D(G(z))]

Differences from the paper:
- The released file, whose critic is low on reals, has 10 in the place of the paper's k = 2:
  `penalty_weight=10`.
- The residual networks are those of WGAN-GP's CIFAR-10 experiment, with layer norm in the critic as released,
  for any height and width: the same channels in every block, where the released ones double them. Below 48
  pixels the default width is 32 instead of 128, for speed on a CPU.
- 2-D points (three layers of 128 ReLU, Adam at 1e-3 with betas (0.5, 0.9)) are not the paper's.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_fraction, require_positive
from ganarium.layers.augmentation import Augmentation, DiffAugmentOptions
from ganarium.layers.heads import last_linear
from ganarium.layers.normalization import Norm, check_penalised
from ganarium.losses import gradient_norm
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.backbones import BackboneOptions, Network, backbone

PAPER = Paper(
    title="Wasserstein Divergence for GANs",
    authors="Wu, Huang, Thoma, Acharya, Van Gool",
    year=2018,
    arxiv="1712.01026",
    idea="A power of the critic's gradient as penalty makes its optimum a divergence: no Lipschitz limit.",
)


@dataclass(frozen=True, kw_only=True)
class Config(DiffAugmentOptions, BackboneOptions):
    penalty_weight: float = 2.0
    """k, the weight of the penalty on the critic's gradient (paper; the released file has 10)."""
    penalty_power: float = 6.0
    """p, the power of the gradient's norm in the penalty (paper); above 1."""
    penalty_at: Literal["between", "real", "fake", "both"] = "between"
    """Where the gradient is penalised: at points on straight lines between reals and fakes (released), at the
    reals, at the fakes, or at both (the paper's P_u)."""
    num_critic_steps: int = 4
    """Updates of the critic for one of G (released)."""
    network: Network = "auto"
    """Kind of G and D: dcgan, resnet or mlp. auto: resnet (released)."""
    latent_dim: int = 128
    """Numbers in z (released)."""
    norm: Norm | None = None
    """Normalisation in the critic: none, layer or spectral; batch norm is refused. None: layer in
    convolutional networks (released), none in an mlp."""
    lr: float = 2e-4
    """Learning rate of Adam (released)."""
    beta1: float = 0.0
    """Adam's first momentum (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "penalty_weight", "num_critic_steps", "latent_dim", "width", "lr")
        if not self.penalty_power > 1:
            raise UserError(f"penalty_power must be above 1, not {self.penalty_power}.")
        require_fraction(self, "beta1")
        check_penalised(self.norm or "none", "wgan_div")

    @classmethod
    def for_points(cls) -> "Config":
        return cls(network="mlp", latent_dim=2, lr=1e-3, beta1=0.5)

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4)


class WGANDiv(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "wgan_div", shape)
        self.prior = Prior(config.latent_dim, config.prior)
        self.generator, self.critic = backbone(
            "wgan_div",
            "resnet" if config.network == "auto" else config.network,
            shape,
            config.latent_dim,
            config.width,
            generator_norm=config.batch_norm_in_generator,
            norm=config.norm or ("layer" if config.convolutional else "none"),
        )
        # the released batch norm has no other mode
        self.sample_mode = "train" if config.batch_norm_in_generator else "eval"
        adam = Adam(lr=config.lr, betas=(config.beta1, 0.9))
        self.players = {"D": Player(self.critic, optimizer=adam), "G": Player(self.generator, optimizer=adam)}
        name, _ = last_linear(self.critic)
        reason = "E[D(fake)] - E[D(real)] does not change with it: its gradient is exactly 0"
        self.still = {f"critic.{name}.bias": reason}

    def step(self, batches: Batches) -> Step:
        D, G, T = self.critic, self.generate, self.augment
        k, p = self.config.penalty_weight, self.config.penalty_power
        for _ in range(self.config.num_critic_steps):
            real = T(next(batches).image)  # (b, c, h, w) in [-1, 1], or (b, 2)
            with torch.no_grad():
                fake = T(G(len(real)))
            # one pass: nothing in D mixes samples
            score_real, score_fake = D(torch.cat([real, fake])).chunk(2)
            penalty = k * gradient_norm(D, self.places(real, fake)).pow(p).mean()
            terms = {"wasserstein": score_fake.mean() - score_real.mean(), "penalty": penalty}
            yield "D", terms, watch(real=score_real, fake=score_fake)
        yield "G", {"wasserstein": -D(T(G(len(real)))).mean()}

    def places(self, real: Tensor, fake: Tensor) -> Tensor:
        """x^, where the gradient is penalised: one for each sample, two for `both`."""
        if self.config.penalty_at == "between":
            e = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
            return e * real + (1 - e) * fake
        return {"real": real, "fake": fake, "both": torch.cat([real, fake])}[self.config.penalty_at]
