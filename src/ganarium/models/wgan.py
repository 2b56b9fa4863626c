"""Wasserstein GAN (Arjovsky et al., 2017), https://arxiv.org/abs/1701.07875

The critic D estimates the Wasserstein-1 distance of data and samples, up to a factor: it must be Lipschitz, which
clipping its weights ensures. It is trained well before G moves, so its loss tells how good samples are. Algorithm 1.

Losses, to minimise (D(x) is a score, not a probability):
    D    E_z[D(G(z))] - E_x[D(x)], and after each update every parameter of D is clipped to [-c, c]
    G    -E_z[D(G(z))]

Differences from the paper:
- In the first 25 iterations and in every 500th, G waits for 100 updates of the critic. The paper has no such schedule;
  the authors' code has, and says that it was forgotten. `num_long_critic_steps=5` is Algorithm 1 as printed.
- The released code clips before an update, so that G meets a critic one update outside the box. Here, as in Algorithm
  1, it clips after. The released critic is low on reals, the paper's and this one high.
- The convolutions are 5x5, for any height and width, where the authors' are 4x4.
- For 2-D points the paper's numbers give too flat a critic to learn from: there c is 0.05 and the learning rate 5e-4.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_positive
from ganarium.layers.normalization import Norm
from ganarium.model import Model, Paper, Player, RMSProp, Step, watch
from ganarium.networks.backbones import Network, backbone

PAPER = Paper(
    title="Wasserstein GAN",
    authors="Arjovsky, Chintala, Bottou",
    year=2017,
    arxiv="1701.07875",
    idea="A critic with clipped weights estimates the Wasserstein distance, a loss that tells how good samples are.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    clip: float | None = None
    """c, the largest size of a parameter of the critic. None: 0.01 for images (Algorithm 1), 0.05 for points."""
    num_critic_steps: int = 5
    """Updates of the critic for one of G (Algorithm 1)."""
    num_long_critic_steps: int = 100
    """The same in the first 25 iterations and in every 500th (released; not in the paper)."""
    network: Network = "auto"
    """Kind of networks. auto: dcgan for images (section 4), mlp for points."""
    latent_dim: int | None = None
    """Numbers in z, normal. None: 100 for images (released), 2 for points."""
    width: int | None = None
    """Channels next to the picture, or units in a hidden layer. None: as is usual for the networks."""
    generator_norm: bool | None = None
    """Batch norm in G. None: on in convolutional networks, off in an mlp (both released)."""
    norm: Norm | None = None
    """Normalisation in the critic. None: batch in convolutional networks, none in an mlp (both released)."""
    lr: float | None = None
    """Learning rate of RMSProp. None: 5e-5 for images (Algorithm 1), 5e-4 for points."""

    def __post_init__(self) -> None:
        require_positive(self, "clip", "num_critic_steps", "num_long_critic_steps", "latent_dim", "width", "lr")
        if self.norm == "spectral":
            raise UserError(
                "wgan clips the critic's weights, and spectral norm divides their size out again: "
                "use --norm batch, layer or none."
            )


class WGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        points = len(shape) == 1
        convolutional = not points and config.network != "mlp"
        self.clip = config.clip or (0.05 if points else 0.01)
        self.latent_dim = config.latent_dim or (2 if points else 100)
        generator_norm = convolutional if config.generator_norm is None else config.generator_norm
        self.generator, self.critic = backbone(
            "wgan",
            config.network,
            shape,
            self.latent_dim,
            config.width,
            generator_norm=generator_norm,
            norm=config.norm or ("batch" if convolutional else "none"),
        )
        self.batch_size = 256 if points else 64  # Algorithm 1
        self.sample_mode = "train" if generator_norm else "eval"  # released
        rule = RMSProp(lr=config.lr or (5e-4 if points else 5e-5))
        self.players = {"D": Player(self.critic, optimizer=rule), "G": Player(self.generator, optimizer=rule)}
        last = [name for name, layer in self.critic.named_modules() if isinstance(layer, nn.Linear)][-1]
        reason = "E[D(fake)] - E[D(real)] does not change with it: its gradient is exactly 0"
        self.still = {name: reason for name, _ in self.named_parameters() if name == f"critic.{last}.bias"}

    def step(self, batches: Batches) -> Step:
        D, G, c = self.critic, self.generate, self.clip
        long = self.iteration < 25 or self.iteration % 500 == 0
        for _ in range(self.config.num_long_critic_steps if long else self.config.num_critic_steps):
            real = next(batches).image  # (b, c, h, w) in [-1, 1], or (b, 2)
            with torch.no_grad():
                fake = G(len(real))
            # apart, not in one batch: each has statistics of its own in D's batch norm
            score_real, score_fake = D(real), D(fake)
            terms = {"wasserstein": score_fake.mean() - score_real.mean()}
            yield "D", terms, watch(real=score_real, fake=score_fake)
            with torch.no_grad():
                weights: list[Tensor] = list(D.parameters())  # all of them, batch norm's too
                torch._foreach_clamp_min_(weights, -c)
                torch._foreach_clamp_max_(weights, c)
        yield "G", {"wasserstein": -D(G(len(real))).mean()}

    def latent(self, n: int) -> Tensor:
        """z (n, latent_dim), normal."""
        return torch.randn(n, self.latent_dim, device=self.device, dtype=self.dtype)

    def generate(self, n: int, latent: Tensor | None = None) -> Tensor:
        return self.generator(self.latent(n) if latent is None else latent)
