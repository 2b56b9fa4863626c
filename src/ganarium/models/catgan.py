"""Unsupervised and Semi-supervised Learning with Categorical Generative Adversarial Networks (Springenberg, 2015),
https://arxiv.org/abs/1511.06390

D does not tell real from fake: it sorts what it sees into K categories. It is to be certain of every real and to use
all categories alike, and to be uncertain of fakes; G wants its fakes to be sorted with certainty and evenly as well.

Losses, to minimise (p is D's softmax over K categories, H an entropy in nats):
    D    -H(E_x[p(y|x)]) + E_x[H(p(y|x))] - E_z[H(p(y|G(z)))]
    G    -H(E_z[p(y|G(z))]) + E_z[H(p(y|G(z)))]
Semi-supervised (K is the number of classes) D's loss has also
    lambda E[cross-entropy of the labelled]

Differences from the paper:
- The networks are DCGAN's with batch norm in both, for any height and width, or another shared kind; for points
  perceptrons without norm. Gaussian noise before every layer of D is the paper's idea, its size is ours.
- lambda, Adam's numbers, the prior of z, the batch of 100 and everything for 2-D points are ours. E_x[p(y|x)] is of a
  batch, which should be several times K.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.data.dataset import PartlyLabelledImages
from ganarium.errors import UserError, require_positive
from ganarium.layers.gaussian_noise import GaussianNoise, noise_for_dropout
from ganarium.layers.heads import PerClass
from ganarium.layers.labels import known_classes
from ganarium.layers.normalization import Norm, unrecorded
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.backbones import Network, backbone

PAPER = Paper(
    title="Unsupervised and Semi-supervised Learning with Categorical Generative Adversarial Networks",
    authors="Springenberg",
    year=2015,
    arxiv="1511.06390",
    idea="A discriminator that sorts images into categories: certain of reals, uncertain of fakes, all used alike.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    semi_supervised: bool = False
    """Learn to classify, from few labels (--labels-per-class) and all images."""
    num_categories: int | None = None
    """K. None: 20, or 8 for points; semi-supervised it is always the number of classes."""
    labelled_weight: float = 1.0
    """lambda, the weight of the labelled images' cross-entropy."""
    marginal_weight: float = 1.0
    """Weight of the entropies of mean predictions in both losses; the paper's is 1."""
    noise: float | None = None
    """Standard deviation of the noise before every layer of D. None: 0.1, or 0 for points (both ours)."""
    network: Network = "auto"
    """Kind of networks. auto: dcgan for images, mlp for points."""
    latent_dim: int | None = None
    """Numbers in z, normal. None: 100, or 2 for points."""
    width: int | None = None
    """Channels next to the picture, or units in a hidden layer. None: as is usual for the networks."""
    generator_norm: bool | None = None
    """Batch norm in G. None: on for images, off for points."""
    norm: Norm | None = None
    """Normalisation in D. None: batch for images, none for points."""
    lr: float | None = None
    """Learning rate of Adam. None: 2e-4, or 1e-3 for points."""
    beta1: float = 0.5
    """Adam's first momentum."""

    def __post_init__(self) -> None:
        require_positive(self, "labelled_weight", "latent_dim", "width", "lr")
        if min(self.marginal_weight, self.noise or 0) < 0 or not 0 <= self.beta1 < 1:
            raise UserError("marginal_weight and noise must be at least 0, beta1 from 0 to below 1.")
        if self.num_categories is not None and (self.num_categories < 2 or self.semi_supervised):
            raise UserError("num_categories must be at least 2, and is left away with --semi-supervised.")


class CatGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        points = len(shape) == 1
        K = config.num_categories or (8 if points else 20)
        if config.semi_supervised:
            K, self.batch_type, self.classifies = known_classes(num_classes, "catgan"), PartlyLabelledImages, True
        self.latent_dim = config.latent_dim or (2 if points else 100)
        noise = (0.0 if points else 0.1) if config.noise is None else config.noise
        norm: Norm = config.norm or ("none" if points else "batch")
        g_norm = not points if config.generator_norm is None else config.generator_norm
        self.generator, body = backbone(
            "catgan", config.network, shape, self.latent_dim, config.width,
            generator_norm=g_norm, norm=norm, dropout=0.5 if noise else 0.0,
        )  # fmt: skip
        noise_for_dropout(body, noise)
        self.discriminator = nn.Sequential(GaussianNoise(noise), PerClass(body, K, norm))
        self.sample_mode = "train" if g_norm else "eval"  # as DCGAN's authors sample
        self.batch_size = 256 if points else 100
        adam = Adam(lr=config.lr or (1e-3 if points else 2e-4), betas=(config.beta1, 0.9 if points else 0.999))
        self.players = {"D": Player(self.discriminator, optimizer=adam), "G": Player(self.generator, optimizer=adam)}

    def step(self, batches: Batches) -> Step:
        D, G, config = self.discriminator, self.generate, self.config
        batch = next(batches)
        real = batch.unlabelled if config.semi_supervised else batch.image  # (b, c, h, w) in [-1, 1], or (b, 2)
        with torch.no_grad():
            fake = G(len(real))
        log_real = D(real).log_softmax(1)  # (b, K)
        with unrecorded(D):  # apart from the reals: D may have batch norm
            log_fake = D(fake).log_softmax(1)
        entropy_real, entropy_fake = entropy(log_real), entropy(log_fake)
        terms = {"marginal": -config.marginal_weight * marginal_entropy(log_real)}
        terms |= {"real": entropy_real.mean(), "fake": -entropy_fake.mean()}
        if config.semi_supervised:
            terms["labelled"] = config.labelled_weight * F.cross_entropy(D(batch.image), batch.label)
        yield "D", terms, watch(real=-entropy_real, fake=-entropy_fake)  # as scores, which are high on reals
        with unrecorded(D):
            log_fake = D(G(len(real))).log_softmax(1)
        marginal = -config.marginal_weight * marginal_entropy(log_fake)
        yield "G", {"marginal": marginal, "fake": entropy(log_fake).mean()}

    def class_logits(self, image: Tensor) -> Tensor:
        return self.discriminator(image)

    def latent(self, n: int) -> Tensor:
        """z (n, latent_dim), normal."""
        return torch.randn(n, self.latent_dim, device=self.device, dtype=self.dtype)

    def generate(self, n: int, latent: Tensor | None = None) -> Tensor:
        return self.generator(self.latent(n) if latent is None else latent)


def entropy(log_p: Tensor) -> Tensor:
    """H(p(y|x)) of each sample, (b, K) -> (b,), in nats. A certain sample has 0 and a gradient, never NaN."""
    return -(log_p.exp() * log_p).sum(1)


def marginal_entropy(log_p: Tensor) -> Tensor:
    """H(E_x[p(y|x)]), of the mean prediction of a batch: (b, K) -> (), in nats."""
    log_mean = log_p.logsumexp(0, keepdim=True) - math.log(len(log_p))
    return entropy(log_mean).squeeze(0)
