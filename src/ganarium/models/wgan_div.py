"""Wasserstein Divergence for GANs (Wu et al., 2018), https://arxiv.org/abs/1712.01026

WGAN-GP holds the critic's gradient near norm 1, as the Wasserstein distance asks. Here a pure power of the norm is
penalised instead: the optimum is a true divergence of its own, for any critic, with no Lipschitz constraint at all.

Losses, to minimise (D(x) is a score, not a probability):
    D    E_z[D(G(z))] - E_x[D(x)] + k E[||grad D(x^)||^p],  x^ from almost any distribution P_u
    G    -E_z[D(G(z))]

Differences from the paper:
- The released file, whose critic is low on reals, has 10 in the place of the paper's k = 2: `penalty_weight=10`.
- The residual networks are those of WGAN-GP's CIFAR-10 experiment, with layer norm in the critic as released, for any
  height and width: the same channels in every block, where the released ones double them. Below 48 pixels the default
  width is 32 instead of 128, for speed on a CPU.
- 2-D points (three layers of 128 ReLU, Adam at 1e-3 with betas (0.5, 0.9)) are not the paper's.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_positive
from ganarium.layers.normalization import Norm, check_penalised
from ganarium.losses import gradient_norm
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.backbones import Network, backbone

PAPER = Paper(
    title="Wasserstein Divergence for GANs",
    authors="Wu, Huang, Thoma, Acharya, Van Gool",
    year=2018,
    arxiv="1712.01026",
    idea="A power of the critic's gradient as penalty makes its optimum a true divergence, with no Lipschitz limit.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    penalty_weight: float = 2.0
    """k of the penalty. The released file has 10."""
    penalty_power: float = 6.0
    """p of the penalty, the power of the gradient's norm; above 1."""
    penalty_at: Literal["between", "real", "fake", "both"] = "between"
    """P_u, where the gradient is penalised: on lines between reals and fakes (released), at reals, at fakes or both."""
    num_critic_steps: int = 4
    """Updates of the critic for one of G (released)."""
    network: Network = "auto"
    """Kind of networks. auto: resnet for images (released), mlp for points."""
    latent_dim: int | None = None
    """Numbers in z, normal. None: 128 for images (released), 2 for points."""
    width: int | None = None
    """Channels, or units in a hidden layer. None: as is usual for the networks."""
    generator_norm: bool | None = None
    """Batch norm in G. None: on in convolutional networks (released), off in an mlp."""
    norm: Norm | None = None
    """Normalisation in the critic, not batch. None: layer in convolutional networks (released), none in an mlp."""
    lr: float | None = None
    """Learning rate of Adam. None: 2e-4 for images (released), 1e-3 for points."""
    beta1: float | None = None
    """Adam's first momentum. None: 0 for images (released), 0.5 for points."""

    def __post_init__(self) -> None:
        require_positive(self, "penalty_weight", "num_critic_steps", "latent_dim", "width", "lr")
        if not self.penalty_power > 1:
            raise UserError(f"penalty_power must be above 1, not {self.penalty_power}.")
        if not 0 <= (self.beta1 or 0) < 1:
            raise UserError(f"beta1 must be from 0 to below 1, not {self.beta1}.")
        check_penalised(self.norm or "none", "wgan_div")


class WGANDiv(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        points = len(shape) == 1
        network: Network = "resnet" if config.network == "auto" and not points else config.network
        self.latent_dim = config.latent_dim or (2 if points else 128)
        convolutional = not points and network != "mlp"
        generator_norm = convolutional if config.generator_norm is None else config.generator_norm
        self.generator, self.critic = backbone(
            "wgan_div",
            network,
            shape,
            self.latent_dim,
            config.width,
            generator_norm=generator_norm,
            norm=config.norm or ("layer" if convolutional else "none"),
        )
        self.batch_size = 256 if points else 64  # released
        self.sample_mode = "train" if generator_norm else "eval"  # the released batch norm has no other mode
        beta1 = (0.5 if points else 0.0) if config.beta1 is None else config.beta1
        rule = Adam(lr=config.lr or (1e-3 if points else 2e-4), betas=(beta1, 0.9))
        self.players = {"D": Player(self.critic, optimizer=rule), "G": Player(self.generator, optimizer=rule)}
        last = [name for name, layer in self.critic.named_modules() if isinstance(layer, nn.Linear)][-1]
        self.still = {
            f"critic.{last}.bias": "E[D(fake)] - E[D(real)] does not change with it: its gradient is exactly 0"
        }

    def step(self, batches: Batches) -> Step:
        D, G, k, p = self.critic, self.generate, self.config.penalty_weight, self.config.penalty_power
        for _ in range(self.config.num_critic_steps):
            real = next(batches).image  # (b, c, h, w) in [-1, 1], or (b, 2)
            with torch.no_grad():
                fake = G(len(real))
            score_real, score_fake = D(torch.cat([real, fake])).chunk(2)  # one pass: nothing in D mixes samples
            penalty = k * gradient_norm(D, self.places(real, fake)).pow(p).mean()
            terms = {"wasserstein": score_fake.mean() - score_real.mean(), "penalty": penalty}
            yield "D", terms, watch(real=score_real, fake=score_fake)
        yield "G", {"wasserstein": -D(G(len(real))).mean()}

    def places(self, real: Tensor, fake: Tensor) -> Tensor:
        """x^, where the gradient is penalised: one for each sample, two for `both`."""
        if self.config.penalty_at == "between":
            e = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
            return e * real + (1 - e) * fake
        return {"real": real, "fake": fake, "both": torch.cat([real, fake])}[self.config.penalty_at]

    def latent(self, n: int) -> Tensor:
        """z (n, latent_dim), normal."""
        return torch.randn(n, self.latent_dim, device=self.device, dtype=self.dtype)

    def generate(self, n: int, latent: Tensor | None = None) -> Tensor:
        return self.generator(self.latent(n) if latent is None else latent)
