"""Semi-Supervised Learning with Generative Adversarial Networks (Odena, 2016),
https://arxiv.org/abs/1606.01583

D is a classifier with one softmax over the N classes of the data and one more, "generated". To tell what is
generated, it must learn what the data are: of few labels it makes a better classifier than without G.

Losses, to minimise (D gives N + 1 logits, P = softmax(D), and class N is "generated"):
    D    E[-log P(y | x)] of the labelled + E_x[-log(1 - P(N | x))] of the unlabelled + E_z[-log P(N | G(z))]
    G    E_z[-log(1 - P(N | G(z)))]

Differences from the paper:
- The paper takes the mean over one minibatch of reals and fakes: half of the sum of both, which is nothing to
  Adam.
- It does not say clearly whether reals without a label are learned from. Here they are: as any class but
  "generated", which the paper has no formula for; `--no-unlabelled` leaves them away.
- It gives few details of its networks, and they are DCGAN's, for any height and width, with the numbers of
  DCGAN.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import PartlyLabelledImages
from ganarium.errors import require_fraction, require_positive
from ganarium.layers.heads import PerClass
from ganarium.layers.labels import known_classes
from ganarium.layers.normalization import unrecorded
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.backbones import BackboneOptions, backbone

PAPER = Paper(
    title="Semi-Supervised Learning with Generative Adversarial Networks",
    authors="Odena",
    year=2016,
    arxiv="1606.01583",
    idea="The discriminator is a classifier with one more class, for generated images: it needs few labels.",
)


@dataclass(frozen=True, kw_only=True)
class Config(BackboneOptions):
    unlabelled: bool = True
    """Let D learn from all images, of most of which the label is not known; else from the labelled ones
    alone."""
    prior: Literal["normal", "uniform"] = "uniform"
    """Distribution of the numbers in z: normal, or uniform on [-1, 1], as in DCGAN."""
    dropout: float = 0.0
    """Share of zeros behind each layer of D."""
    lr: float = 2e-4
    """Learning rate of Adam, as in DCGAN."""
    beta1: float = 0.5
    """Adam's first momentum, as in DCGAN."""

    def __post_init__(self) -> None:
        require_positive(self, "latent_dim", "width", "lr")
        require_fraction(self, "dropout", "beta1")

    @classmethod
    def for_points(cls) -> "Config":
        return cls(network="mlp", latent_dim=2, prior="normal", lr=1e-3)

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4)


class SGAN(Model):
    batch_type = PartlyLabelledImages
    classifies = True

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        num_logits = known_classes(num_classes, "sgan") + 1
        self.prior = Prior(config.latent_dim, config.prior)
        self.generator, discriminator = backbone(
            "sgan",
            config.network,
            shape,
            config.latent_dim,
            config.width,
            generator_norm=config.batch_norm_in_generator,
            norm=config.norm_in_discriminator,
            dropout=config.dropout,
        )
        self.discriminator = PerClass(discriminator, num_logits, config.norm_in_discriminator)
        # as DCGAN's authors sample
        self.sample_mode = "train" if config.batch_norm_in_generator else "eval"
        adam = Adam(lr=config.lr, betas=(config.beta1, 0.999))
        self.players = {
            "D": Player(self.discriminator, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        D, G = self.discriminator, self.generate
        image, label, unlabelled = next(batches)  # (b, c, h, w) in [-1, 1], or (b, 2); (b,) of `image`
        with torch.no_grad():
            fake = G(len(image))
        # apart, not in one batch: each has statistics of its own in D's batch norm
        labelled = D(image)  # (b, N + 1)
        score_real = realness(D(unlabelled) if self.config.unlabelled else labelled)
        with unrecorded(D):
            score_fake = realness(D(fake))
        terms = {"labelled": F.cross_entropy(labelled, label), "fake": as_fake(score_fake)}
        if self.config.unlabelled:
            terms["unlabelled"] = as_real(score_real)
        yield "D", terms, watch(real=score_real, fake=score_fake)
        with unrecorded(D):
            score = realness(D(G(len(image))))
        yield "G", {"adversarial": as_real(score)}

    def class_logits(self, image: Tensor) -> Tensor:
        """(b, N): without the class of what is generated."""
        return self.discriminator(image)[:, :-1]


def realness(logits: Tensor) -> Tensor:
    """(b, N + 1) -> (b,): the score whose sigmoid is 1 - P(N | x), the chance of being none of the
    generated."""
    return logits[:, :-1].logsumexp(1) - logits[:, -1]
