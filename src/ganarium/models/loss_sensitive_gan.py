"""Loss-Sensitive Generative Adversarial Networks on Lipschitz Densities (Qi, 2017),
https://arxiv.org/abs/1701.06264

A network L gives every sample a loss, low on data, and must hold a fake's above that of the real it is paired
with by a margin: the distance between the two. Known as LS-GAN; `lsgan`, with least squares, is another
model.

Losses, to minimise (x and G(z) are paired by their place in the batch; C(a) = max(a, slope a)):
    L, player D   gamma E[L(x)] + E[C(Delta + L(x) - L(G(z)))],  Delta = margin_scale |x - G(z)|_1
    G             E[L(G(z))]
    conditional   L(x) = -log p(y|x), p(.|x) the softmax of an output for each class; G(z, y) has x's label
Slope 0 is LS-GAN; GLS-GAN, the generalised form, is any slope up to 1, where C is no hinge and the loss is
WGAN's.

Differences from the paper:
- The networks are DCGAN's, as released, for any height and width. Classes are told by the running statistics
  of L's batch norm, which are those of reals alone; released, by the statistics of the test images.
- The released margin scales, 0.0002 at 3x64x64 and 0.0008 at 3x32x32, are 2.4576 over the numbers in an
  image: that is the default at any size. 2-D points, with margin scale 1 and no ReLU behind L, are not the
  paper's.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import LabelledImages
from ganarium.errors import UserError, require_fraction, require_not_negative, require_positive
from ganarium.layers.augmentation import Augmentation, DiffAugmentOptions
from ganarium.layers.heads import PerClass, last_linear
from ganarium.layers.labels import known_classes, one_hot
from ganarium.layers.normalization import unrecorded
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.backbones import BackboneOptions, Pair, backbone

PAPER = Paper(
    title="Loss-Sensitive Generative Adversarial Networks on Lipschitz Densities",
    authors="Qi",
    year=2017,
    arxiv="1701.06264",
    idea="A network gives each sample a loss, and a fake's must exceed a real's by the distance of the two.",
)


@dataclass(frozen=True, kw_only=True)
class Config(DiffAugmentOptions, BackboneOptions):
    conditional: bool = False
    """Learn from labels: G draws the class it is told, and L has an output for each class (released as
    clsgan)."""
    margin_scale: float | None = None
    """Margin for each unit of L1 distance between a real and a fake. None: 2.4576 / (numbers in an image),
    which gives the two released values."""
    gamma: float | None = None
    """Weight of the mean loss of reals in L's loss. None: 0, or 1 if conditional (both released)."""
    slope: float = 0.0
    """Slope of the margin's cost below 0: 0 is a hinge (LS-GAN), 1 gives WGAN's loss, between them is
    GLS-GAN."""
    output_relu: bool | None = None
    """ReLU behind L, so that no loss is below 0; a conditional L has none. None: on in convolutional networks
    (released), off in an mlp."""
    prior: Literal["normal", "uniform"] | None = None  # type: ignore[assignment]
    """Distribution of the numbers in z: normal, or uniform on [-1, 1]. None: uniform, or normal if
    conditional (both released)."""
    lr: float | None = None
    """Learning rate of Adam. None: 1e-4, or 1e-3 if conditional (both released)."""
    beta1: float = 0.5
    """Adam's first momentum (released)."""
    beta2: float = 0.999
    """Adam's second momentum (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "latent_dim", "width", "lr")
        require_not_negative(self, "margin_scale", "gamma")
        if not 0 <= self.slope <= 1:
            raise UserError(f"slope must be from 0 to 1, not {self.slope}.")
        require_fraction(self, "beta1", "beta2")

    @classmethod
    def for_points(cls) -> "Config":
        return cls(network="mlp", margin_scale=1.0, latent_dim=2, prior="normal", lr=1e-3, beta2=0.9)

    @classmethod
    def small(cls) -> "Config":
        return cls(width=8)


class LossSensitiveGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "loss_sensitive_gan", shape)
        self.conditional = self.classifies = config.conditional
        K = 0
        if self.conditional:
            self.batch_type = LabelledImages
            K = known_classes(num_classes, "conditional loss_sensitive_gan", ": leave --conditional away")
        self.margin_scale = config.margin_scale
        if self.margin_scale is None:
            self.margin_scale = 2.4576 / math.prod(shape)
        self.gamma = float(self.conditional) if config.gamma is None else config.gamma
        self.relu = config.convolutional if config.output_relu is None else config.output_relu
        self.prior = Prior(config.latent_dim, config.prior or ("normal" if self.conditional else "uniform"))
        self.generator, self.discriminator = build_networks(config, self.shape, K)
        self.sample_mode = "train" if config.batch_norm_in_generator else "eval"
        lr = config.lr or (1e-3 if self.conditional else 1e-4)
        adam = Adam(lr=lr, betas=(config.beta1, config.beta2))
        self.players = {
            "D": Player(self.discriminator, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }
        name, last = last_linear(self.discriminator)
        if last.bias is not None and not (self.conditional or self.gamma or self.relu):
            reason = "only differences of L count: its gradient is exactly 0"
            self.still = {f"discriminator.{name}.bias": reason}

    def step(self, batches: Batches) -> Step:
        L, G, T, scale = self.L, self.generate, self.augment, self.margin_scale
        batch = next(batches)
        real = batch.image  # (b, c, h, w) in [-1, 1], or (b, 2)
        label = batch.label if self.conditional else None  # (b,)
        with torch.no_grad():
            fake = G(len(real), label=label)
        margin = scale * (real - fake).abs().flatten(1).sum(1)
        loss_real = L(T(real), label)
        with unrecorded(self.discriminator):  # two passes: L may have batch norm
            loss_fake = L(T(fake), label)
        violated = F.leaky_relu(margin + loss_real - loss_fake, self.config.slope)
        terms = {"real": self.gamma * loss_real.mean(), "margin": violated.mean()}
        yield "D", terms, watch(real=-loss_real, fake=-loss_fake)  # as scores, which are high on reals
        with unrecorded(self.discriminator):
            loss = L(T(G(len(real), label=label)), label)
        yield "G", {"loss": loss.mean()}

    def L(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        """Losses (b,), low on data."""
        loss = self.discriminator(image)  # (b,), or with labels logits (b, num_classes)
        if label is not None:
            return F.cross_entropy(loss, label, reduction="none")
        return F.relu(loss) if self.relu else loss

    def class_logits(self, image: Tensor) -> Tensor:
        return self.discriminator(image)

    def generate(self, n: int, latent: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        z = self.latent(n) if latent is None else latent
        if self.conditional:
            label = self.random_labels(n) if label is None else label
            z = torch.cat([z, one_hot(label, self.num_labels, z.dtype)], 1)
        return self.generator(z)


def build_networks(config: Config, shape: tuple[int, ...], num_classes: int) -> Pair:
    """G, which reads z and the label side by side, and L; `num_classes` is 0 without labels."""
    norm = config.norm_in_discriminator
    generator, discriminator = backbone(
        "loss_sensitive_gan",
        config.network,
        shape,
        config.latent_dim + num_classes,
        config.width,
        generator_norm=config.batch_norm_in_generator,
        norm=norm,
    )
    return Pair(generator, PerClass(discriminator, num_classes, norm) if num_classes else discriminator)
