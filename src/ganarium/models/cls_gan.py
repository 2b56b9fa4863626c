"""Least Squares Generative Adversarial Networks (Mao et al., 2016), https://arxiv.org/abs/1611.04076

The conditional form, for data of many classes: a label y reaches both networks through a linear layer, which
brings thousands of classes down to a short vector, and D(x, y) is fitted by least squares to a target for
reals and one for fakes. Without labels it is `lsgan`; the conditional loss-sensitive GAN, also called
CLS-GAN, is `loss_sensitive_gan`.

Losses, to minimise (a is the target of fakes, b that of reals, c what G wants D to say of its samples; a fake
has the label of the real beside it, which G is given and D judges):
    D    0.5 E_x,y[(D(x, y) - b)^2] + 0.5 E_z,y[(D(G(z, y), y) - a)^2]
    G    0.5 E_z,y[(D(G(z, y), y) - c)^2]

Differences from the paper:
- The released code is for 28x28 characters of 3,740 classes, with 1024 numbers in z, 256 for a label and two
  wide convolutions; the defaults are smaller, for tens of classes. Height and width may be any; G ends in
  tanh, not in a sigmoid.
- In D the label joins every layer but the first, as released.
- The linear layers of the label begin as N(0, 1 / label_dim), so that a label is a vector of length about 1,
  which D hears from the start among few classes, and which does not drown z.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import LabelledImages
from ganarium.errors import require_fraction, require_positive
from ganarium.layers.augmentation import Augmentation, AugmentOptions
from ganarium.layers.init import init_normal
from ganarium.layers.labels import known_classes, one_hot
from ganarium.layers.shapes import image_shape
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.conditional import LabelledGenerator, LayeredDiscriminator, embedding
from ganarium.networks.dcgan import Generator

PAPER = Paper(
    title="Least Squares Generative Adversarial Networks",
    authors="Mao, Li, Xie, Lau, Wang, Smolley",
    year=2016,
    arxiv="1611.04076",
    idea="A least squares GAN is told the label through a linear layer: it can learn thousands of classes.",
)


@dataclass(frozen=True, kw_only=True)
class Config(AugmentOptions):
    fake_target: float = 0.0
    """a, the score that the discriminator is trained to give to fakes (released)."""
    real_target: float = 1.0
    """b, the score that the discriminator is trained to give to reals (released)."""
    generator_target: float = 1.0
    """c, the score that the generator wants for its samples (released)."""
    latent_dim: int = 100
    """Numbers in z, uniform on [-1, 1]; 1024 released, for 3,740 classes."""
    label_dim: int = 50
    """Numbers that a label is turned into, in both networks; 256 released, for 3,740 classes."""
    width: int = 32
    """Channels of the layers next to the picture; they double with every halving of its size, up to 8 times.
    The discriminator's hidden layer has 32 times as many units, by default the released 1024."""
    lr: float = 2e-4
    """Learning rate of Adam (released)."""
    beta1: float = 0.5
    """Adam's first momentum (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "latent_dim", "label_dim", "width", "lr")
        require_fraction(self, "beta1")

    @classmethod
    def small(cls) -> "Config":
        return cls(latent_dim=8, label_dim=6, width=4)


class ConditionalLSGAN(Model):
    batch_type = LabelledImages
    batch_size = 64
    conditional = True

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "cls_gan", shape)
        image = image_shape(shape, "cls_gan")
        K = known_classes(num_classes, "cls_gan")
        self.prior = Prior(config.latent_dim, "uniform")
        generator = Generator(image, config.latent_dim + config.label_dim, config.width)
        init_normal(generator)
        self.generator = LabelledGenerator(generator, embedding(K, config.label_dim))
        units = 32 * config.width
        self.discriminator = LayeredDiscriminator(image, K, config.label_dim, config.width, units)
        adam = Adam(lr=config.lr, betas=(config.beta1, 0.999))
        self.players = {
            "D": Player(self.discriminator, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        D, G, T = self.D, self.generate, self.augment
        a, b, c = self.config.fake_target, self.config.real_target, self.config.generator_target
        real, label = next(batches)  # (b, c, h, w) in [-1, 1], and (b,)
        real = T(real)
        with torch.no_grad():
            fake = T(G(len(real), label=label))
        # apart, not in one batch: each has statistics of its own in D's batch norm
        score_real, score_fake = D(real, label), D(fake, label)
        terms = {"real": half_squares(score_real - b), "fake": half_squares(score_fake - a)}
        watched = watch(real=score_real, fake=score_fake, **T.adapt(score_real - (a + b) / 2))
        yield "D", terms, watched
        yield "G", {"adversarial": half_squares(D(T(G(len(real), label=label)), label) - c)}

    def D(self, image: Tensor, label: Tensor) -> Tensor:
        """Scores (b,) of samples with their labels."""
        return self.discriminator(image, one_hot(label, self.num_labels, image.dtype))


def half_squares(x: Tensor) -> Tensor:
    """0.5 E[x^2], the mean of the squares."""
    return 0.5 * x.square().mean()
