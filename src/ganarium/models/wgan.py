"""Wasserstein GAN (Arjovsky et al., 2017), https://arxiv.org/abs/1701.07875

The critic D estimates the Wasserstein-1 distance of data and samples, up to a factor: it must be Lipschitz,
which clipping its weights ensures. It is trained well before G moves, so its loss tells how good samples are.
Algorithm 1.

Losses, to minimise (D(x) is a score, not a probability):
    D    E_z[D(G(z))] - E_x[D(x)], and after each update every parameter of D is clipped to [-c, c]
    G    -E_z[D(G(z))]

Differences from the paper:
- In the first 25 iterations and in every 500th, G waits for 100 updates of the critic. The paper has no such
  schedule; the authors' code has, and says that it was forgotten. `num_long_critic_steps=5` is Algorithm 1 as
  printed.
- The released code clips before an update, so that G meets a critic one update outside the box. Here, as in
  Algorithm 1, it clips after. The released critic is low on reals, the paper's and this one high.
- The convolutions are 5x5, for any height and width, where the authors' are 4x4.
- For 2-D points the paper's numbers give too flat a critic to learn from: there c is 0.05 and the learning
  rate 5e-4.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_positive
from ganarium.layers.augmentation import Augmentation, DiffAugmentOptions
from ganarium.layers.heads import last_linear
from ganarium.model import Model, Paper, Player, Prior, RMSProp, Step, watch
from ganarium.networks.backbones import BackboneOptions, backbone

PAPER = Paper(
    title="Wasserstein GAN",
    authors="Arjovsky, Chintala, Bottou",
    year=2017,
    arxiv="1701.07875",
    idea="A critic with clipped weights estimates the Wasserstein distance: it tells how good samples are.",
)


@dataclass(frozen=True, kw_only=True)
class Config(DiffAugmentOptions, BackboneOptions):
    clip: float = 0.01
    """c: after each update, every parameter of the critic is clipped to [-c, c] (Algorithm 1)."""
    num_critic_steps: int = 5
    """Updates of the critic for one of G (Algorithm 1)."""
    num_long_critic_steps: int = 100
    """Updates of the critic for one of G in the first 25 iterations and in every 500th (released; not in the
    paper)."""
    lr: float = 5e-5
    """Learning rate of RMSProp (Algorithm 1)."""

    def __post_init__(self) -> None:
        require_positive(self, "clip", "num_critic_steps", "num_long_critic_steps")
        require_positive(self, "latent_dim", "width", "lr")
        if self.norm == "spectral":
            raise UserError(
                "wgan clips the critic's weights, and spectral norm divides their size out again: "
                "use --norm batch, layer or none."
            )

    @classmethod
    def for_points(cls) -> "Config":
        return cls(network="mlp", clip=0.05, latent_dim=2, lr=5e-4)

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4, num_long_critic_steps=6)


class WGAN(Model):
    stages = (25,)  # before it the critic has its long turns

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "wgan", shape)
        self.prior = Prior(config.latent_dim, config.prior)
        self.generator, self.critic = backbone(
            "wgan",
            config.network,
            shape,
            config.latent_dim,
            config.width,
            generator_norm=config.batch_norm_in_generator,
            norm=config.norm_in_discriminator,
        )
        self.sample_mode = "train" if config.batch_norm_in_generator else "eval"  # released
        rule = RMSProp(lr=config.lr)
        self.players = {"D": Player(self.critic, optimizer=rule), "G": Player(self.generator, optimizer=rule)}
        name, last = last_linear(self.critic)
        if last.bias is not None:
            reason = "E[D(fake)] - E[D(real)] does not change with it: its gradient is exactly 0"
            self.still = {f"critic.{name}.bias": reason}

    def step(self, batches: Batches) -> Step:
        D, G, T, c = self.critic, self.generate, self.augment, self.config.clip
        long = self.iteration < 25 or self.iteration % 500 == 0
        for _ in range(self.config.num_long_critic_steps if long else self.config.num_critic_steps):
            real = T(next(batches).image)  # (b, c, h, w) in [-1, 1], or (b, 2)
            with torch.no_grad():
                fake = T(G(len(real)))
            # apart, not in one batch: each has statistics of its own in D's batch norm
            score_real, score_fake = D(real), D(fake)
            terms = {"wasserstein": score_fake.mean() - score_real.mean()}
            yield "D", terms, watch(real=score_real, fake=score_fake)
            with torch.no_grad():
                weights: list[Tensor] = list(D.parameters())  # all of them, batch norm's too
                torch._foreach_clamp_min_(weights, -c)
                torch._foreach_clamp_max_(weights, c)
        yield "G", {"wasserstein": -D(T(G(len(real)))).mean()}
