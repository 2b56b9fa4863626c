"""Unsupervised and Semi-supervised Learning with Categorical Generative Adversarial Networks (Springenberg,
2015), https://arxiv.org/abs/1511.06390

D does not tell real from fake: it sorts what it sees into K categories. It is to be certain of every real and
to use all categories alike, and to be uncertain of fakes; G wants its fakes to be sorted with certainty and
evenly as well.

Losses, to minimise (p is D's softmax over K categories, H an entropy in nats):
    D    -H(E_x[p(y|x)]) + E_x[H(p(y|x))] - E_z[H(p(y|G(z)))]
    G    -H(E_z[p(y|G(z))]) + E_z[H(p(y|G(z)))]
Semi-supervised (K is the number of classes) D's loss has also
    lambda E[cross-entropy of the labelled]

Differences from the paper:
- The networks are DCGAN's with batch norm in both, for any height and width, or another shared kind; for
  points perceptrons without norm. Gaussian noise before every layer of D is the paper's idea, its size is
  ours.
- lambda, Adam's numbers, the prior of z, the batch of 100 and everything for 2-D points are ours. E_x[p(y|x)]
  is of a batch, which should be several times K.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.data.dataset import PartlyLabelledImages
from ganarium.errors import UserError, require_fraction, require_not_negative, require_positive
from ganarium.layers.gaussian_noise import GaussianNoise, noise_for_dropout
from ganarium.layers.heads import PerClass
from ganarium.layers.labels import known_classes
from ganarium.layers.normalization import Norm, unrecorded
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.backbones import BackboneOptions, backbone

PAPER = Paper(
    title="Unsupervised and Semi-supervised Learning with Categorical Generative Adversarial Networks",
    authors="Springenberg",
    year=2015,
    arxiv="1511.06390",
    idea="A discriminator sorts images into categories: certain of reals, unsure of fakes, all used alike.",
)


@dataclass(frozen=True, kw_only=True)
class Config(BackboneOptions):
    semi_supervised: bool = False
    """Learn to classify, from few labels (--labels-per-class) and all images."""
    num_categories: int | None = None
    """Categories into which the discriminator sorts images: K. None: 20, or 8 for points;
    semi-supervised it is always the number of classes."""
    labelled_weight: float = 1.0
    """Weight of the cross-entropy of labelled images in the discriminator's loss: lambda (section 3.3)."""
    marginal_weight: float = 1.0
    """Weight, in both losses, of the term that makes all categories used alike; the paper's is 1."""
    noise: float = 0.1
    """Standard deviation of the Gaussian noise before every layer of the discriminator (the size is ours)."""
    generator_norm: bool = True
    """Batch norm in the generator."""
    norm: Norm = "batch"
    """Normalisation in the discriminator: none, batch, layer or spectral."""
    lr: float = 2e-4
    """Learning rate of Adam (ours)."""
    beta1: float = 0.5
    """Adam's first momentum (ours)."""
    beta2: float = 0.999
    """Adam's second momentum (ours)."""

    def __post_init__(self) -> None:
        require_positive(self, "labelled_weight", "latent_dim", "width", "lr")
        require_fraction(self, "beta1", "beta2")
        require_not_negative(self, "marginal_weight", "noise")
        if self.num_categories is not None and (self.num_categories < 2 or self.semi_supervised):
            raise UserError("num_categories must be at least 2, and is left away with --semi-supervised.")

    @classmethod
    def for_points(cls) -> "Config":
        return cls(
            network="mlp",
            latent_dim=2,
            noise=0.0,
            generator_norm=False,
            norm="none",
            lr=1e-3,
            beta2=0.9,
        )

    @classmethod
    def small(cls) -> "Config":
        return cls(width=8)


class CatGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.prior = Prior(config.latent_dim, config.prior)
        K = config.num_categories or (20 if len(shape) == 3 else 8)
        if config.semi_supervised:
            K = known_classes(num_classes, "catgan")
            self.batch_type = PartlyLabelledImages
            self.classifies = True
        self.generator, body = backbone(
            "catgan",
            config.network,
            shape,
            config.latent_dim,
            config.width,
            generator_norm=config.generator_norm,
            norm=config.norm,
            dropout=0.5 if config.noise else 0.0,  # whose places the noise takes
        )
        noise_for_dropout(body, config.noise)
        self.discriminator = nn.Sequential(GaussianNoise(config.noise), PerClass(body, K, config.norm))
        if len(shape) == 3:
            self.batch_size = 100
        self.sample_mode = "train" if config.generator_norm else "eval"  # as DCGAN's authors sample
        adam = Adam(lr=config.lr, betas=(config.beta1, config.beta2))
        self.players = {
            "D": Player(self.discriminator, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        D, G, config = self.discriminator, self.generate, self.config
        batch = next(batches)
        real = batch.unlabelled if config.semi_supervised else batch.image  # in [-1, 1], or points (b, 2)
        with torch.no_grad():
            fake = G(len(real))
        log_real = D(real).log_softmax(1)  # (b, K)
        with unrecorded(D):  # apart from the reals: D may have batch norm
            log_fake = D(fake).log_softmax(1)
        entropy_real, entropy_fake = entropy(log_real), entropy(log_fake)
        terms = {
            "marginal": -config.marginal_weight * marginal_entropy(log_real),
            "real": entropy_real.mean(),
            "fake": -entropy_fake.mean(),
        }
        if config.semi_supervised:
            terms["labelled"] = config.labelled_weight * F.cross_entropy(D(batch.image), batch.label)
        yield "D", terms, watch(real=-entropy_real, fake=-entropy_fake)  # as scores, which are high on reals
        with unrecorded(D):
            log_fake = D(G(len(real))).log_softmax(1)
        marginal = -config.marginal_weight * marginal_entropy(log_fake)
        yield "G", {"marginal": marginal, "fake": entropy(log_fake).mean()}

    def class_logits(self, image: Tensor) -> Tensor:
        return self.discriminator(image)


def entropy(log_p: Tensor) -> Tensor:
    """H(p(y|x)) of each sample, (b, K) -> (b,), in nats. A certain sample has 0 and a gradient, never NaN."""
    return -(log_p.exp() * log_p).sum(1)


def marginal_entropy(log_p: Tensor) -> Tensor:
    """H(E_x[p(y|x)]), of the mean prediction of a batch: (b, K) -> (), in nats."""
    log_mean = log_p.logsumexp(0, keepdim=True) - math.log(len(log_p))
    return entropy(log_mean).squeeze(0)
