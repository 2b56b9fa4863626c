"""Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image Synthesis (Liu et al., 2021),
https://arxiv.org/abs/2101.04775

A small GAN for few images. In G maps of low resolution open gates for those of high resolution; D must also
redraw the real images from its own maps, which keeps it from learning them by heart.

Losses, to minimise (T augments; D(x) is a map of scores; R is the mean absolute error of three decoders that
redraw, from D's maps of a real image, the whole of it, its small copy and a random quarter):
    D    E_x[max(0, 1 - D(T(x)))] + E_z[max(0, 1 + D(T(G(z))))] + R(T(x))
    G    -E_z[D(T(G(z)))]

Differences from the paper:
- R is of pixels; the paper's is LPIPS, whose weights are not in the package. Images are reduced for it by
  areas.
- Decoders have the widths of the release at width 64 and scale with `width`; they redraw half the size, at
  most 128 pixels. With fixed widths they would be nearly all of the work in a small network.
- G ends in tanh at every size, in the release at 1024 pixels alone.
- One draw of T is for both sizes of an image; the release draws twice.
- The average of G holds those of its batch norm too. It forgets as in the release, but at least half within
  5 % of the steps so far, so that short runs are not blurred by their first steps.
- Images of any size up to 1024 pixels: networks work on the next power of two, from 32 on; images are padded
  to it by reflection, and G's cropped.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_positive
from ganarium.layers.augmentation import Augmentation
from ganarium.layers.init import init_normal
from ganarium.layers.shapes import image_shape, reflect_to_multiple
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, ramped, watch
from ganarium.networks.fastgan import Discriminator, Generator, Judgement, internal_size, small_size

PAPER = Paper(
    title="Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image Synthesis",
    authors="Liu, Zhu, Song, Elgammal",
    year=2021,
    arxiv="2101.04775",
    idea="A light GAN for a few hundred photos: gates across scales in G, a D that must redraw what it sees.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    width: int = 64
    """Channels of G at 128 pixels, of which all other widths are multiples (released). 16 suits a CPU."""
    latent_dim: int = 256
    """Numbers in z, normal (released)."""
    augment: Literal["diff", "ada", "none"] = "diff"
    """What D sees: images changed by DiffAugment, colour and place (released), by ADA, or as they are."""
    cutout: bool = False
    """Hide a random square as well, of half of each side: for fewer than 500 images without dark frames."""
    reconstruction_weight: float = 1.0
    """Weight of the mean absolute error of the images that D redraws, in [-1, 1]. 0: without it."""
    random_margin: bool = False
    """Draw the hinge's margin anew for every score, from 0.8 to 1 (released). Paper: 1."""
    lr: float = 2e-4
    """Learning rate of Adam (released)."""
    beta1: float = 0.5
    """Adam's first momentum (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "width", "latent_dim", "lr")
        if self.width < 2 or self.reconstruction_weight < 0 or not 0 <= self.beta1 < 1:
            raise UserError(
                "width must be at least 2, reconstruction_weight at least 0, beta1 from 0 to below 1."
            )
        if self.cutout and self.augment != "diff":
            raise UserError("cutout is a part of DiffAugment: leave it away, or choose --augment diff.")

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4, latent_dim=8)


class FastGAN(Model):
    batch_size = 8

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        channels, height, width = image_shape(shape, "fastgan")
        if max(height, width) > 1024:
            raise UserError(
                f"fastgan makes images of at most 1024 pixels, not {height}x{width}: use --size 1024."
            )
        self.size = internal_size(height, width)
        policy = ("color", "translation", "cutout")[: 2 + config.cutout]
        self.augment = Augmentation(config.augment, "fastgan", shape, policy)
        self.prior = Prior(config.latent_dim)
        self.generator = Generator(config.latent_dim, channels, config.width, self.size)
        self.discriminator = Discriminator(channels, config.width, self.size, config.width)
        init_normal(self)
        self.ema = {"generator": ramped(0.999)}
        adam = Adam(lr=config.lr, betas=(config.beta1, 0.999))
        self.players = {
            "D": Player(self.discriminator, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }
        if config.reconstruction_weight == 0:
            unused = [name for name, _ in self.named_parameters() if name.startswith("discriminator.decode_")]
            self.still = dict.fromkeys(unused, "nothing is redrawn with reconstruction_weight 0")

    def step(self, batches: Batches) -> Step:
        D, T, weight = self.discriminator, self.augment, self.config.reconstruction_weight
        real = reflect_to_multiple(next(batches).image, self.size)  # (b, c, size, size) in [-1, 1]
        fake, fake_small = T.together(*self.generator(self.latent(len(real))))
        real = T(real)
        real_small = F.interpolate(real, size=small_size(self.size), mode="area")

        # apart, not in one batch: each has statistics of its own in D's batch norm
        of_real = D(real, real_small)
        score_fake = D(fake.detach(), fake_small.detach()).score
        terms = {
            "real": F.relu(self.margin(of_real.score) - of_real.score).mean(),
            "fake": F.relu(self.margin(score_fake) + score_fake).mean(),
        }
        if weight > 0:
            terms["reconstruction"] = weight * self.reconstruction(of_real, real, real_small)
        yield "D", terms, watch(real=of_real.score, fake=score_fake, **T.adapt(of_real.score, len(real)))

        yield "G", {"adversarial": -D(fake, fake_small).score.mean()}

    def margin(self, score: Tensor) -> Tensor:
        """The hinge's margin for each score (n,)."""
        return 0.8 + 0.2 * torch.rand_like(score) if self.config.random_margin else torch.ones_like(score)

    def reconstruction(self, judgement: Judgement, image: Tensor, small: Tensor) -> Tensor:
        """R: the three images that D's decoders redraw, against the true ones."""
        D = self.discriminator
        side = small.shape[2]
        quarter = torch.randint(4, (1,), device=image.device)
        part = quarter_of(judgement.middle, quarter), quarter_of(image, quarter)
        redrawn = D.decode_last(judgement.last), D.decode_small(judgement.small), D.decode_part(part[0])
        wanted = [F.interpolate(x, size=side, mode="area") for x in (image, small, part[1])]
        return torch.stack([(x - y).abs().mean() for x, y in zip(redrawn, wanted, strict=True)]).sum()

    def generate(self, n: int, latent: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        large, _ = self.generator(self.latent(n) if latent is None else latent)
        return large[:, :, : self.shape[1], : self.shape[2]]


def quarter_of(x: Tensor, quarter: Tensor) -> Tensor:
    """(b, c, h, w) -> (b, c, h / 2, w / 2): quarter 0 to 3 (1,), row by row, without asking the device
    which."""
    half = [torch.arange(side // 2, device=x.device) for side in x.shape[2:]]
    rows, columns = quarter // 2 * len(half[0]) + half[0], quarter % 2 * len(half[1]) + half[1]
    return x.index_select(2, rows).index_select(3, columns)
