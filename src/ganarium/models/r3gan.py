"""The GAN is dead; long live the GAN! A Modern GAN Baseline (Huang et al., 2024),
https://arxiv.org/abs/2501.05441

A GAN stripped of its tricks: each fake is compared with one real, D's slope is held down at reals and at
fakes, and G and D are mirrored residual networks without any normalisation.

Losses, to minimise (x and G(z) are paired by their place in the batch; r(s) = -log sigmoid(s)):
    D    E[r(D(x) - D(G(z)))] + gamma / 2 (E_x[|grad D(x)|^2] + E_z[|grad D(G(z))|^2])
    G    E[r(D(G(z)) - D(x))], with images x of their own

Differences from the paper:
- Adam's rates follow the paper's half cosine by iterations at the paper's batch size; gamma follows it by
  images.
- The average of G's weights has a fixed decay of 0.999, for runs far shorter than the paper's; there its
  half-life grows to 500,000 images.
- No augmentation unless it is asked for; ada is the paper's, with the presets' probabilities.
- Images of any size: networks work on the next power of two, images are padded to it by reflection and G's
  are cropped and clipped outside.
- gamma is the preset of the size: 0.05 up to 32 pixels, 2 up to 64, 150 from 256; 20 between is ours.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import LabelledImages
from ganarium.errors import UserError, require_positive
from ganarium.layers.augmentation import Augmentation, ScheduledAugmentOptions
from ganarium.layers.labels import known_classes, one_hot
from ganarium.layers.shapes import image_shape, reflect_to_multiple
from ganarium.losses import gradient_norm
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.r3gan import Discriminator, Generator, num_groups, stage_widths

PAPER = Paper(
    title="The GAN is dead; long live the GAN! A Modern GAN Baseline",
    authors="Huang, Gokaslan, Kuleshov, Tompkin",
    year=2024,
    arxiv="2501.05441",
    idea="A modern baseline: relativistic pairs, penalties on reals and fakes, plain residual networks.",
)


@dataclass(frozen=True, kw_only=True)
class Config(ScheduledAugmentOptions):
    conditional: bool = False
    """Learn from labels: G draws the class it is told, and D projects on the label's embedding."""
    gamma: float | None = None
    """Weight of both gradient penalties. None: 0.05 up to 32 pixels, 2 up to 64, 20 up to 128, 150 above."""
    width: int = 768
    """Channels up to 32 pixels, halved with every doubling beyond (presets). 32 suits 32 pixels on a CPU."""
    num_blocks: int = 2
    """Residual blocks at each size (presets)."""
    latent_dim: int = 64
    """Numbers in z, normal (presets)."""
    burn_in: int = 20_000_000
    """Images over which rates fall to a quarter, gamma to a tenth, and Adam's second momentum rises from 0.9
    to 0.99 and ADA's probability from 0, along a half cosine (presets: 20 million)."""
    augment_p: float | None = None
    """ADA's probability in the end. None: 0.55 up to 32 pixels, 0.3 above (presets of CIFAR-10 and FFHQ)."""
    lr: float = 2e-4
    """Learning rate of Adam at the start (presets)."""

    def __post_init__(self) -> None:
        require_positive(self, "gamma", "width", "num_blocks", "latent_dim", "burn_in", "lr")
        if self.augment_p is not None and not 0 <= self.augment_p <= 1:
            raise UserError(f"augment_p must be from 0 to 1, not {self.augment_p}.")
        if self.augment_p is not None and self.augment != "ada":
            raise UserError(
                "augment_p is the probability of ada's changes: add --augment ada, or leave it away."
            )

    @classmethod
    def small(cls) -> "Config":
        return cls(width=8, num_blocks=1, latent_dim=8)


class R3GAN(Model):
    batch_size = 256

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        channels, height, width = image_shape(shape, "r3gan")
        self.augment = Augmentation(config.augment, "r3gan", shape, colour=0.5, cutout=1.0)  # presets
        self.size = 2 ** math.ceil(math.log2(max(height, width)))
        preset = 0.55 if self.size <= 32 else 0.3
        self.augment_p = preset if config.augment_p is None else config.augment_p
        self.gamma = config.gamma or next(
            (gamma for side, gamma in ((32, 0.05), (64, 2.0), (128, 20.0)) if self.size <= side), 150.0
        )
        self.prior = Prior(config.latent_dim)
        classes = 0
        if config.conditional:
            classes = known_classes(num_classes, "r3gan", ": leave --conditional away")
            self.conditional = True
            self.batch_type = LabelledImages
        widths = stage_widths(config.width, self.size)
        groups = [num_groups(width) for width in widths]
        blocks = [config.num_blocks] * len(widths)
        # numbers of a label's embedding in G; in D as many as channels
        code = config.latent_dim if classes else 0
        self.generator = Generator(config.latent_dim, channels, widths, groups, blocks, classes, code)
        self.discriminator = Discriminator(channels, widths[::-1], groups[::-1], blocks, classes, widths[0])
        self.ema = {"generator": 0.999}

        def falling(iteration: int, total: int) -> float:
            return cosine(iteration * self.batch_size / config.burn_in, config.lr, config.lr / 4)

        def rising(iteration: int, total: int) -> float:
            return cosine(iteration * self.batch_size / config.burn_in, 0.9, 0.99)

        adam = Adam(lr=falling, betas=(0.0, rising))
        self.players = {
            "D": Player(self.discriminator, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        real, label = self.draw(batches)  # (b, c, size, size) in [-1, 1]; (b, classes), or None
        share = self.share_of(len(real))
        augmented = self.augment.schedule(self.augment_p * share)
        with torch.no_grad():
            fake = self.generator(self.latent(len(real)), label)
        score_real, score_fake = self.D(real, label), self.D(fake, label)
        half = 0.5 * self.gamma * (1 - 0.9 * share)
        terms = {
            "adversarial": F.softplus(score_fake - score_real).mean(),
            "penalty_real": half * gradient_norm(lambda x: self.D(x, label), real).square().mean(),
            "penalty_fake": half * gradient_norm(lambda x: self.D(x, label), fake).square().mean(),
        }
        yield "D", terms, watch(real=score_real, fake=score_fake, **augmented)

        real, label = self.draw(batches)
        with torch.no_grad():
            score_real = self.D(real, label)
        score_fake = self.D(self.generator(self.latent(len(real)), label), label)
        yield "G", {"adversarial": F.softplus(score_real - score_fake).mean()}

    def draw(self, batches: Batches) -> tuple[Tensor, Tensor | None]:
        image, *label = next(batches)
        told = one_hot(label[0], self.num_labels, image.dtype) if self.conditional else None
        return reflect_to_multiple(image, self.size), told

    def D(self, image: Tensor, label: Tensor | None) -> Tensor:
        """Scores (b,) of images, behind the augmentation if there is one."""
        score: Tensor = self.discriminator(self.augment(image), label)
        return score

    def share_of(self, batch_size: int) -> Tensor:
        """How far gamma and ADA's probability are on their way after the images seen so far, () in [0, 1]."""
        share = (self.clock * batch_size / self.config.burn_in).clamp(max=1)
        return 0.5 * (1 - torch.cos(math.pi * share))

    def generate(self, n: int, latent: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        z = self.latent(n) if latent is None else latent
        told = None
        if self.conditional:
            told = one_hot(self.random_labels(n) if label is None else label, self.num_labels, z.dtype)
        made: Tensor = self.generator(z, told)
        return made[:, :, : self.shape[1], : self.shape[2]]


def cosine(share: float, start: float, end: float) -> float:
    """From `start` to `end` along a half cosine, as the share goes from 0 to 1."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
