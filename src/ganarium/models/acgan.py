"""Conditional Image Synthesis with Auxiliary Classifier GANs (Odena et al., 2016),
https://arxiv.org/abs/1610.09585

G is told a class and D is not: beside real or fake, D names the class of what it sees, and G must be named
right. So the label comes out of D instead of going in, and D is a classifier too.

Losses, to minimise (D's trunk has two heads: S, the score of the source, and C, logits of the classes;
p = sigmoid(S), H(x, y) = -log softmax(C(x))_y; a fake is told the label of the real beside it):
    D    E_x[-log p(x)] + E_z,y[-log(1 - p(G(z, y)))] + E_x,y[H(x, y)] + E_z,y[H(G(z, y), y)]
    G    E_z,y[-log p(G(z, y))] + E_z,y[H(G(z, y), y)]

Differences from the paper:
- The networks are those for CIFAR-10, for any height and width, without the noise on D's activations; for
  ImageNet the paper trains a hundred larger pairs, on ten classes each.
- D's dropout rests while G is trained, whose images are then judged without chance.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.data.dataset import LabelledImages
from ganarium.errors import require_fraction, require_positive
from ganarium.layers.augmentation import Augmentation, AugmentOptions
from ganarium.layers.init import init_normal
from ganarium.layers.labels import known_classes
from ganarium.layers.normalization import unrecorded
from ganarium.layers.precision import full
from ganarium.layers.shapes import image_shape
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.acgan import Trunk
from ganarium.networks.conditional import LabelledGenerator
from ganarium.networks.dcgan import Generator

PAPER = Paper(
    title="Conditional Image Synthesis with Auxiliary Classifier GANs",
    authors="Odena, Olah, Shlens",
    year=2016,
    arxiv="1610.09585",
    idea="The discriminator also names the class it sees, and the generator's images must be named right.",
)


@dataclass(frozen=True, kw_only=True)
class Config(AugmentOptions):
    latent_dim: int = 100
    """Numbers in z, normal. The one-hot label stands beside them: 110 numbers in all for ten classes (paper's
    network for CIFAR-10)."""
    generator_width: int = 96
    """Channels of the generator's layer next to the picture; they double with every halving of its size, up
    to 8 times (paper's network for CIFAR-10)."""
    discriminator_width: int = 16
    """Channels of the discriminator's first layer; they double with every layer, up to 32 times (paper's
    network for CIFAR-10)."""
    dropout: float = 0.5
    """Share of activations set to zero behind each layer of the discriminator, only while it is trained
    itself (paper's network for CIFAR-10)."""
    lr: float = 2e-4
    """Learning rate of Adam; the paper tries 1e-4 to 3e-4."""
    beta1: float = 0.5
    """Adam's first momentum (paper)."""

    def __post_init__(self) -> None:
        require_positive(self, "latent_dim", "generator_width", "discriminator_width", "lr")
        require_fraction(self, "dropout", "beta1")

    @classmethod
    def small(cls) -> "Config":
        return cls(latent_dim=8, generator_width=4, discriminator_width=4)


class ACGAN(Model):
    batch_type = LabelledImages
    batch_size = 100
    conditional = True
    classifies = True

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "acgan", shape)
        image = image_shape(shape, "acgan")
        K = known_classes(num_classes, "acgan")
        self.prior = Prior(config.latent_dim)
        generator = Generator(image, config.latent_dim + K, config.generator_width)
        self.generator = LabelledGenerator(generator, nn.Identity())
        self.trunk = Trunk(image, config.discriminator_width, config.dropout)
        self.source = nn.Linear(self.trunk.num_features, 1)
        self.classes = nn.Linear(self.trunk.num_features, K)
        init_normal(self)
        adam = Adam(lr=config.lr, betas=(config.beta1, 0.999))
        self.players = {
            "D": Player(self.trunk, self.source, self.classes, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        D, G, T = self.D, self.generate, self.augment
        real, label = next(batches)  # (b, c, h, w) in [-1, 1], and (b,)
        real = T(real)
        with torch.no_grad():
            fake = T(G(len(real), label=label))
        # apart, not in one batch: each has statistics of its own in D's batch norm, and reals' are kept
        score_real, class_real = D(real)
        with unrecorded(self.trunk):
            score_fake, class_fake = D(fake)
        terms = {
            "real": as_real(score_real),
            "fake": as_fake(score_fake),
            "class_real": F.cross_entropy(class_real, label),
            "class_fake": F.cross_entropy(class_fake, label),
        }
        yield "D", terms, watch(real=score_real, fake=score_fake, **T.adapt(score_real))
        with unrecorded(self.trunk):
            score, logits = D(T(G(len(real), label=label)), steady=True)
        yield "G", {"adversarial": as_real(score), "class": F.cross_entropy(logits, label)}

    def D(self, image: Tensor, *, steady: bool = False) -> tuple[Tensor, Tensor]:
        """Scores (b,) of the source, and logits (b, K) of the classes; `steady`: without dropout."""
        features = self.trunk(image, steady=steady)
        return full(self.source(features).squeeze(1)), full(self.classes(features))

    def class_logits(self, image: Tensor) -> Tensor:
        return self.D(image)[1]
