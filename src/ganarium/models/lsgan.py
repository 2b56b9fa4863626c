"""Least Squares Generative Adversarial Networks (Mao et al., 2016), https://arxiv.org/abs/1611.04076

D is fitted by least squares to a target for reals and one for fakes, with no sigmoid, and G's samples are
drawn to a target too: those far beyond the boundary are still pulled to it, where cross-entropy has no
gradient left.

Losses, to minimise (equation 2; a is the target of fakes, b that of reals, c what G wants D to say of its
samples):
    D    0.5 E_x[(D(x) - b)^2] + 0.5 E_z[(D(G(z)) - a)^2]
    G    0.5 E_z[(D(G(z)) - c)^2]
Codings: "0-1-1" is a = 0, b = c = 1; "pearson" is a = -1, b = 1, c = 0, with which G minimises the Pearson
chi^2 divergence of p_data + p_g and 2 p_g, as it does wherever b - c = 1 and b - a = 2.

Differences from the paper:
- The networks are the released DCGAN pair, of the stability experiments, for any height and width. The
  paper's scenes have the same D, and a VGG-like G of twice as many layers with a learning rate of 1e-3.
- The released code sums over the batch where the paper has a mean: under these optimisers only epsilon
  notices.
- 2-D points (three layers of 128 ReLU, normal z, Adam at 1e-3) are not the paper's, which has two of 128
  tanh.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.errors import require_fraction, require_positive
from ganarium.layers.augmentation import Augmentation, AugmentOptions
from ganarium.model import Adam, Model, OptimizerConfig, Paper, Player, Prior, RMSProp, Step, watch
from ganarium.networks.backbones import BackboneOptions, backbone

PAPER = Paper(
    title="Least Squares Generative Adversarial Networks",
    authors="Mao, Li, Xie, Lau, Wang, Smolley",
    year=2016,
    arxiv="1611.04076",
    idea="Least squares in place of cross-entropy pull every sample to the boundary, the confident ones too.",
)
CODINGS = {"0-1-1": (0.0, 1.0, 1.0), "pearson": (-1.0, 1.0, 0.0)}  # (a, b, c)


@dataclass(frozen=True, kw_only=True)
class Config(AugmentOptions, BackboneOptions):
    latent_dim: int = 1024
    """Numbers in z (released)."""
    prior: Literal["normal", "uniform"] = "uniform"
    """Distribution of the numbers in z: normal, or uniform on [-1, 1] (released)."""
    coding: Literal["0-1-1", "pearson"] = "0-1-1"
    """The three targets: a = 0, b = c = 1, as for the paper's scenes, or a = -1, b = 1, c = 0."""
    fake_target: float | None = None
    """a, what D is to say of fakes. None: the coding's."""
    real_target: float | None = None
    """b, what D is to say of reals. None: the coding's."""
    generator_target: float | None = None
    """c, what G wants D to say of fakes. None: the coding's."""
    optimizer: Literal["adam", "rmsprop"] = "adam"
    """Both released: rmsprop, with the coding "pearson", for the networks without any batch norm."""
    lr: float = 2e-4
    """Learning rate (released, DCGAN networks)."""
    beta1: float = 0.5
    """Adam's first momentum (released)."""
    beta2: float = 0.999
    """Adam's second momentum (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "latent_dim", "width", "lr")
        require_fraction(self, "beta1", "beta2")

    @classmethod
    def for_points(cls) -> "Config":
        return cls(network="mlp", latent_dim=2, prior="normal", lr=1e-3, beta2=0.9)

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4)


class LSGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "lsgan", shape)
        own = (config.fake_target, config.real_target, config.generator_target)
        targets = zip(own, CODINGS[config.coding], strict=True)
        self.targets = tuple(preset if given is None else given for given, preset in targets)
        self.prior = Prior(config.latent_dim, config.prior)
        self.generator, self.discriminator = backbone(
            "lsgan",
            config.network,
            shape,
            config.latent_dim,
            config.width,
            generator_norm=config.batch_norm_in_generator,
            norm=config.norm_in_discriminator,
        )
        rule: OptimizerConfig = Adam(lr=config.lr, betas=(config.beta1, config.beta2))
        if config.optimizer == "rmsprop":
            rule = RMSProp(lr=config.lr, alpha=0.9)  # TensorFlow's default, as released
        self.players = {
            "D": Player(self.discriminator, optimizer=rule),
            "G": Player(self.generator, optimizer=rule),
        }

    def step(self, batches: Batches) -> Step:
        D, G, T = self.discriminator, self.generate, self.augment
        a, b, c = self.targets
        real = T(next(batches).image)  # (b, c, h, w) in [-1, 1], or (b, 2)
        with torch.no_grad():
            fake = T(G(len(real)))
        # apart, not in one batch: each has statistics of its own in D's batch norm
        score_real, score_fake = D(real), D(fake)
        terms = {"real": half_squares(score_real - b), "fake": half_squares(score_fake - a)}
        watched = watch(real=score_real, fake=score_fake, **T.adapt(score_real - (a + b) / 2))
        yield "D", terms, watched
        yield "G", {"adversarial": half_squares(D(T(G(len(real)))) - c)}


def half_squares(x: Tensor) -> Tensor:
    """0.5 E[x^2], the mean of the squares."""
    return 0.5 * x.square().mean()
