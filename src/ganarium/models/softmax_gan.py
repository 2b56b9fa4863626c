"""Softmax GAN (Lin, 2017), https://arxiv.org/abs/1704.06191

The real and fake samples of a batch share one softmax over their scores. D is to spread all of it evenly over
the reals, G to spread it evenly over reals and fakes: a cross-entropy over the batch instead of one for each
sample.

Losses, to minimise, with N reals, M fakes and log Z = log(sum of exp(D) over all N + M):
    D    log Z - (mean of D over the reals)              the target is 1/N on reals and 0 on fakes
    G    log Z - (mean of D over reals and fakes)        the target is 1/(N + M) on each

Differences from the paper:
- Its network is an energy; here D is a score, high on reals, as everywhere in ganarium: D is minus the
  energy.
- `auto` is DCGAN's networks without batch norm, for any height and width, and for 2-D points three layers of
  128.
- G begins with He's weights in place of DCGAN's N(0, 0.02), which count on batch norm.
- Under torchrun every process has a softmax over its own part of the batch.
"""

from dataclasses import dataclass
from typing import Literal

import torch

from ganarium.data.batches import Batches
from ganarium.errors import require_fraction, require_positive
from ganarium.layers.augmentation import Augmentation, DiffAugmentOptions
from ganarium.layers.heads import last_linear
from ganarium.layers.normalization import Norm
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.backbones import BackboneOptions, backbone

PAPER = Paper(
    title="Softmax GAN",
    authors="Lin",
    year=2017,
    arxiv="1704.06191",
    idea="One softmax over all real and fake samples of a batch takes the place of a classification of each.",
)


@dataclass(frozen=True, kw_only=True)
class Config(DiffAugmentOptions, BackboneOptions):
    prior: Literal["normal", "uniform"] = "uniform"
    """Distribution of the numbers in z: normal, or uniform on [-1, 1], as in DCGAN."""
    generator_norm: bool = False
    """Batch norm in G; the paper takes it out of DCGAN's networks."""
    norm: Norm = "none"
    """Normalisation in D: none, batch, layer or spectral; the paper takes it out of DCGAN's networks."""
    lr: float = 2e-4
    """Learning rate of Adam, as in DCGAN."""
    beta1: float = 0.5
    """Adam's first momentum, as in DCGAN."""
    beta2: float = 0.999
    """Adam's second momentum, as in DCGAN."""

    def __post_init__(self) -> None:
        require_positive(self, "latent_dim", "width", "lr")
        require_fraction(self, "beta1", "beta2")

    @classmethod
    def for_points(cls) -> "Config":
        return cls(network="mlp", latent_dim=2, prior="normal", lr=1e-3, beta2=0.9)

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4)


class SoftmaxGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "softmax_gan", shape)
        self.prior = Prior(config.latent_dim, config.prior)
        self.generator, self.discriminator = backbone(
            "softmax_gan",
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
        name, last = last_linear(self.discriminator)
        if last.bias is not None:
            reason = "a constant added to every score leaves the softmax as it is"
            self.still = {f"discriminator.{name}.bias": reason}

    def step(self, batches: Batches) -> Step:
        D, G, T = self.discriminator, self.generate, self.augment
        real = T(next(batches).image)  # (b, c, h, w) in [-1, 1], or (b, 2)
        with torch.no_grad():
            fake = T(G(len(real)))
        score_real, score_fake = D(real), D(fake)  # apart, for the sake of --norm batch
        log_z = torch.cat([score_real, score_fake]).logsumexp(0)
        yield "D", {"cross_entropy": log_z - score_real.mean()}, watch(real=score_real, fake=score_fake)
        with torch.no_grad():
            score_real = D(real)  # constants to G, but part of log Z
        score = torch.cat([score_real, D(T(G(len(real))))])
        yield "G", {"cross_entropy": score.logsumexp(0) - score.mean()}
