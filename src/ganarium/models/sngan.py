"""Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018),
https://arxiv.org/abs/1802.05957

Every weight matrix of D is divided by its largest singular value, estimated by one step of power iteration in
each pass; so D's slope is bounded at little cost. With labels, "cGANs with Projection Discriminator" (Miyato,
Koyama, 2018, 1802.05637): D adds the inner product of the label's embedding and its features.

Losses, to minimise (D(x) is a score; with labels D(x, y) = psi(phi(x)) + <e(y), phi(x)>):
    D    E_x[max(0, 1 - D(x))] + E_z[max(0, 1 + D(G(z)))]
    G    -E_z[D(G(z))]
or, with `loss` log (r(s) = -log sigmoid(s)):
    D    E_x[r(D(x))] + E_z[r(-D(G(z)))]
    G    E_z[r(D(G(z)))]

Differences from the paper:
- The residual networks alone. Below 48 pixels those for CIFAR-10, above those for ImageNet (released, 128
  pixels), for any height and width; D's last layer has no bias at any size.
- One pass of D for reals and fakes together, so one power iteration where the release has two.
- The rate falls to 0 over the whole run, at any size; for ImageNet the release holds it for nine tenths.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import LabelledImages
from ganarium.errors import require_fraction, require_positive
from ganarium.layers.augmentation import Augmentation, AugmentOptions
from ganarium.layers.labels import known_classes, one_hot
from ganarium.layers.shapes import image_shape
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, watch
from ganarium.networks.sngan import networks

PAPER = Paper(
    title="Spectral Normalization for Generative Adversarial Networks",
    authors="Miyato, Kataoka, Koyama, Yoshida",
    year=2018,
    arxiv="1802.05957",
    idea="Every weight of D is divided by its largest singular value; labels are projected on D's features.",
)


@dataclass(frozen=True, kw_only=True)
class Config(AugmentOptions):
    conditional: bool = False
    """Learn from labels: G draws the class it is told, and D projects the label on its features
    (1802.05637)."""
    loss: Literal["hinge", "log"] = "hinge"
    """The hinge, or the logarithms of the first GAN (section 2)."""
    spectral: bool = True
    """Spectral norm in D. Without it, as a control, D's slope grows without bound."""
    num_critic_steps: int = 5
    """Updates of D for one of G (section 4)."""
    latent_dim: int = 128
    """Numbers in z, normal (appendix B.4)."""
    generator_width: int | None = None
    """Channels of G next to the picture. None: 256 below 48 pixels, where all maps have so many; 64 above,
    doubled at every smaller map up to 16 times (released). 32 suits a CPU."""
    discriminator_width: int | None = None
    """Channels of D's first block, likewise. None: 128 below 48 pixels, 64 above (released)."""
    lr: float = 2e-4
    """Learning rate of Adam, which falls linearly to 0 over the run (appendix B.4, released)."""
    beta1: float = 0.0
    """Adam's first momentum (section 4)."""
    beta2: float = 0.9
    """Adam's second momentum (section 4)."""

    def __post_init__(self) -> None:
        require_positive(
            self, "num_critic_steps", "latent_dim", "generator_width", "discriminator_width", "lr"
        )
        require_fraction(self, "beta1", "beta2")

    @classmethod
    def small(cls) -> "Config":
        return cls(latent_dim=8, generator_width=4, discriminator_width=4, num_critic_steps=2)


class SNGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        self.augment = Augmentation(config.augment, "sngan", shape)
        image = image_shape(shape, "sngan")
        classes = 0
        self.prior = Prior(config.latent_dim)
        if config.conditional:
            classes = known_classes(num_classes, "sngan", ": leave --conditional away")
            self.conditional = True
            self.batch_type = LabelledImages
        self.generator, self.discriminator = networks(
            image,
            config.latent_dim,
            config.generator_width,
            config.discriminator_width,
            classes,
            spectral=config.spectral,
        )
        adam = Adam(
            lr=lambda iteration, total: config.lr * (1 - iteration / total),
            betas=(config.beta1, config.beta2),
        )
        self.players = {
            "G": Player(self.generator, optimizer=adam),
            "D": Player(self.discriminator, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        G = self.generate
        n = 2 * batches.batch_size  # twice that of D
        label = self.random_labels(n) if self.conditional else None
        score = self.D(G(n, label=label), label)
        yield "G", {"adversarial": as_real(score) if self.config.loss == "log" else -score.mean()}

        for _ in range(self.config.num_critic_steps):
            real, *label_real = next(batches)  # (b, c, h, w) in [-1, 1]; and (b,), if it learns from labels
            label = self.random_labels(len(real)) if self.conditional else None
            with torch.no_grad():
                fake = G(len(real), label=label)
            # one pass: nothing in D mixes samples
            labels = torch.cat([label_real[0], label]) if label is not None else None
            score_real, score_fake = self.D(torch.cat([real, fake]), labels).chunk(2)
            if self.config.loss == "log":
                terms = {"real": as_real(score_real), "fake": as_fake(score_fake)}
            else:
                terms = {"real": F.relu(1 - score_real).mean(), "fake": F.relu(1 + score_fake).mean()}
            yield "D", terms, watch(real=score_real, fake=score_fake, **self.augment.adapt(score_real))

    def D(self, image: Tensor, label: Tensor | None) -> Tensor:
        """Scores (b,) of images, with their labels (b,) if it learns from them, behind the augmentation."""
        told = None if label is None else one_hot(label, self.num_labels, image.dtype)
        score: Tensor = self.discriminator(self.augment(image), told)
        return score
