"""Self-Attention Generative Adversarial Networks (Zhang et al., 2018), https://arxiv.org/abs/1805.08318

In G and in D a layer lets every pixel of a map gather from all others, so that parts far apart fit together;
its strength starts at 0. Spectral norm holds both networks, and D learns four times as fast as G.

Losses, to minimise (D(x) is a score; with labels D(x, y) = psi(phi(x)) + <e(y), phi(x)>):
    D    E_x[max(0, 1 - D(x))] + E_z[max(0, 1 + D(G(z)))]
    G    -E_z[D(G(z))]

Differences from the paper:
- The released attention: keys and values are pooled over 2x2 pixels, values have half the channels.
- Without labels unless it is asked for them; the paper's images are all of ImageNet's classes.
- Any height and width. Attention works on maps of a quarter of the image's side, as in the paper, where that
  is 32 of 128 pixels.
- The same width and blocks of SNGAN's networks for ImageNet below 128 pixels; D's last layer has no bias.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import LabelledImages
from ganarium.errors import require_fraction, require_positive
from ganarium.layers.augmentation import Augmentation, AugmentOptions
from ganarium.layers.labels import known_classes, one_hot
from ganarium.layers.shapes import halvings, image_shape
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.sngan import Discriminator, Generator, discriminator_widths, generator_widths

PAPER = Paper(
    title="Self-Attention Generative Adversarial Networks",
    authors="Zhang, Goodfellow, Metaxas, Odena",
    year=2018,
    arxiv="1805.08318",
    idea="Pixels gather from all others by attention, so that distant parts of an image fit together.",
)


@dataclass(frozen=True, kw_only=True)
class Config(AugmentOptions):
    conditional: bool = False
    """Learn from labels (paper): G draws the class it is told, and D projects the label on its features."""
    attention: bool = True
    """Self-attention in both networks. Without it, as a control, pixels see their surroundings alone."""
    latent_dim: int = 128
    """Numbers in z, normal (released)."""
    width: int = 64
    """Channels of both networks next to the picture, doubled at every smaller map up to 16 times (released).
    16 suits a CPU."""
    lr: float = 1e-4
    """Learning rate of Adam for G (section 5)."""
    discriminator_lr: float = 4e-4
    """Learning rate of Adam for D (section 5)."""
    beta2: float = 0.9
    """Adam's second momentum; the first is 0 (section 5)."""

    def __post_init__(self) -> None:
        require_positive(self, "latent_dim", "width", "lr", "discriminator_lr")
        require_fraction(self, "beta2")

    @classmethod
    def small(cls) -> "Config":
        return cls(latent_dim=8, width=4)


class SAGAN(Model):
    batch_size = 256

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "sagan", shape)
        image = image_shape(shape, "sagan")
        classes = 0
        self.prior = Prior(config.latent_dim)
        if config.conditional:
            classes = known_classes(num_classes, "sagan", ": leave --conditional away")
            self.conditional = True
            self.batch_type = LabelledImages
        levels = halvings(*image[1:])
        behind = min(2, levels)  # blocks between the picture and the attention: a quarter of its side
        self.generator = Generator(
            image,
            config.latent_dim,
            generator_widths(config.width, levels, growing=True),
            classes,
            spectral=True,
            attention_before=levels - behind if config.attention else None,
        )
        self.discriminator = Discriminator(
            image[0],
            discriminator_widths(config.width, levels, 1, growing=True),
            levels,
            classes,
            mean=False,
            attention_behind=behind if config.attention else None,
        )
        betas = (0.0, config.beta2)
        self.players = {
            "D": Player(self.discriminator, optimizer=Adam(lr=config.discriminator_lr, betas=betas)),
            "G": Player(self.generator, optimizer=Adam(lr=config.lr, betas=betas)),
        }

    def step(self, batches: Batches) -> Step:
        G = self.generate
        real, *label_real = next(batches)  # (b, c, h, w) in [-1, 1]; and (b,), if it learns from labels
        n = len(real)
        label = self.random_labels(n) if self.conditional else None
        with torch.no_grad():
            fake = G(n, label=label)
        # one pass: nothing in D mixes samples
        labels = torch.cat([label_real[0], label]) if label is not None else None
        score_real, score_fake = self.D(torch.cat([real, fake]), labels).chunk(2)
        terms = {"real": F.relu(1 - score_real).mean(), "fake": F.relu(1 + score_fake).mean()}
        yield "D", terms, watch(real=score_real, fake=score_fake, **self.augment.adapt(score_real))

        label = self.random_labels(n) if self.conditional else None
        yield "G", {"adversarial": -self.D(G(n, label=label), label).mean()}

    def D(self, image: Tensor, label: Tensor | None) -> Tensor:
        """Scores (b,) of images, with their labels (b,) if it learns from them, behind the augmentation."""
        told = None if label is None else one_hot(label, self.num_labels, image.dtype)
        score: Tensor = self.discriminator(self.augment(image), told)
        return score
