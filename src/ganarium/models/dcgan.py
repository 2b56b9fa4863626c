"""Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks
(Radford et al., 2015), https://arxiv.org/abs/1511.06434

The first convolutional GAN that trained reliably. G is all transposed and D all strided convolutions, with
batch norm everywhere but G's output and D's input, ReLU and tanh in G, LeakyReLU in D; no pooling and no
hidden dense layer.

Losses, to minimise (p = sigmoid(D)):
    D    E_x[-log p(x)] + E_z[-log(1 - p(G(z)))]
    G    E_z[-log p(G(z))]

Differences from the paper:
- Any height and width: as many halvings as bring the shorter side to about 4 (64 -> 4x4 in four, as
  published), and never more than 8 `width` channels.
- G's first batch norm is per channel; the released code normalises each of the projection's units by itself.
- Below 48 pixels the default width is 32 instead of 128, for speed on a CPU; `width=128` is the paper's.
"""

from dataclasses import dataclass

import torch

from ganarium.data.batches import Batches
from ganarium.errors import require_fraction, require_not_negative, require_positive
from ganarium.layers.augmentation import Augmentation, AugmentOptions
from ganarium.layers.init import init_normal
from ganarium.layers.shapes import image_shape
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.dcgan import Discriminator, Generator

PAPER = Paper(
    title="Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
    authors="Radford, Metz, Chintala",
    year=2015,
    arxiv="1511.06434",
    idea="Strided convolutions, batch norm and a few more rules make a convolutional GAN train reliably.",
)


@dataclass(frozen=True, kw_only=True)
class Config(AugmentOptions):
    latent_dim: int = 100
    """Numbers in z, uniform on [-1, 1] (released)."""
    width: int | None = None
    """Channels of D's first layer; they double with every halving, up to 8 times. None: 128 (released), 32
    below 48 pixels."""
    lr: float = 2e-4
    """Learning rate of Adam (section 4)."""
    beta1: float = 0.5
    """Adam's first momentum (section 4)."""
    weight_decay: float = 1e-5
    """L2 penalty on every parameter, as in the released code; not in the paper."""

    def __post_init__(self) -> None:
        require_positive(self, "latent_dim", "width", "lr")
        require_fraction(self, "beta1")
        require_not_negative(self, "weight_decay")

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4)


class DCGAN(Model):
    batch_size = 128
    sample_mode = "train"  # the authors sample with the statistics of the batch

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "dcgan", shape)
        image = image_shape(shape, "dcgan")
        self.prior = Prior(config.latent_dim, "uniform")
        width = config.width or (128 if min(image[1:]) >= 48 else 32)
        self.generator = Generator(image, config.latent_dim, width, last_bias=False)
        self.discriminator = Discriminator(image, width)
        init_normal(self)
        adam = Adam(lr=config.lr, betas=(config.beta1, 0.999), weight_decay=config.weight_decay)
        self.players = {
            "D": Player(self.discriminator, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        D, G, T = self.discriminator, self.generate, self.augment
        real = T(next(batches).image)  # (b, c, h, w) in [-1, 1]
        with torch.no_grad():
            fake = T(G(len(real)))
        # apart, not in one batch: each has statistics of its own in D's batch norm
        score_real, score_fake = D(real), D(fake)
        terms = {"real": as_real(score_real), "fake": as_fake(score_fake)}
        yield "D", terms, watch(real=score_real, fake=score_fake, **T.adapt(score_real))
        yield "G", {"adversarial": as_real(D(T(G(len(real)))))}
