"""Progressive Growing of GANs for Improved Quality, Stability, and Variation (Karras et al., 2017),
https://arxiv.org/abs/1710.10196

Both networks start with images of 4x4 pixels; whenever training has settled, layers for twice the resolution
fade in. Large images are learnt from what is already known of small ones, and most of the time goes into
cheap small images.

Losses, to minimise (those of WGAN-GP, and a drift that keeps scores of reals from wandering off; x is a real
at the resolution of the stage, in a fade mixed with what the stage before had seen of it):
    D    E_z[D(G(z))] - E_x[D(x)] + lambda / gamma^2 E[(||grad D(x^)|| - gamma)^2] + e_drift E_x[D(x)^2],
             x^ = x + e (G(z) - x), one e ~ U[0, 1] a sample
    G    -E_z[D(G(z))]

Differences from the paper:
- Images of any size up to 1024 pixels: networks work on the next power of two, images are padded to it by
  reflection and G's are cropped and clipped outside.
- Phases are counted in steps, at the paper's batches of 16 images (14, 6 and 3 from 256 pixels on): another
  batch size shows another number of images in as many steps.
- The average of G's weights begins anew where layers enter, and a weight counts half as much after a tenth of
  the steps since then, at most after the 693 of a decay of 0.999: short runs would keep their first weights.
- The mean of 2x2 pixels follows the activation in D, as the paper has it; the release's default fuses it with
  the convolution before.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.errors import require_not_negative, require_positive
from ganarium.layers.augmentation import Augmentation, DiffAugmentOptions
from ganarium.layers.shapes import image_shape, reflect_to_multiple
from ganarium.losses import gradient_norm
from ganarium.model import Adam, Model, Paper, Player, Prior, Step, ramped, watch
from ganarium.networks.progan import (
    Discriminator,
    Generator,
    Growth,
    enlarged,
    growing_size,
    seen_at,
    side_of,
    stage_widths,
)

PAPER = Paper(
    title="Progressive Growing of GANs for Improved Quality, Stability, and Variation",
    authors="Karras, Aila, Laine, Lehtinen",
    year=2017,
    arxiv="1710.10196",
    idea="Both networks grow from 4x4 pixels on: layers for the next resolution fade in.",
)

BATCH_SIZES = {256: 14, 512: 6, 1024: 3}  # side in pixels -> images in a batch (appendix A.1); 16 below


@dataclass(frozen=True, kw_only=True)
class Config(DiffAugmentOptions):
    first_size: int = 4
    """Side in pixels of the first images, a power of two (section 2). The size of the data: no growing."""
    stable_images: int = 800_000
    """Real images shown at each resolution after it has faded in (appendix A), at the paper's batch sizes."""
    fading_images: int = 800_000
    """Real images shown while a resolution fades in (appendix A). 0: it is there at once."""
    width: int = 512
    """Channels up to 32 pixels, halved with every doubling beyond (table 2). 32 suits 16 pixels on a CPU."""
    latent_dim: int = 512
    """Numbers in z, normal, of which the direction alone counts (appendix A)."""
    group_size: int = 16
    """Images over which D is told the standard deviation; 16 for the paper's results, 4 in the released
    default. 1: it is told nothing."""
    penalty_weight: float = 10.0
    """Weight of the gradient penalty: lambda (appendix A)."""
    slope: float = 1.0
    """Norm at which the penalty holds D's gradient: gamma, 1; 750 for CIFAR-10 (appendix A)."""
    drift_weight: float = 0.001
    """Weight of the mean square of D's scores of reals, which keeps them near 0: e_drift (appendix A)."""
    lr: float = 1e-3
    """Learning rate of Adam (appendix A), for millions of images. 4e-3 suits a few thousand steps."""

    def __post_init__(self) -> None:
        require_positive(self, "stable_images", "width", "latent_dim", "group_size", "slope", "lr")
        require_not_negative(self, "fading_images", "penalty_weight", "drift_weight")

    @classmethod
    def small(cls) -> "Config":
        return cls(stable_images=32, fading_images=32, width=6, latent_dim=8)


class ProGAN(Model):
    batch_size = 16

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        channels, height, width = image_shape(shape, "progan")
        self.augment = Augmentation(config.augment, "progan", shape)
        self.size = growing_size(height, width, config.first_size, "progan")
        self.growth = Growth(
            self.size, config.first_size, config.stable_images, config.fading_images, batch_size_at
        )
        self.stages, self.resolutions = self.growth.starts, self.growth.sides
        first, last = self.growth.first, self.growth.last
        widths = stage_widths(config.width, last + 1)
        self.prior = Prior(config.latent_dim)
        self.generator = Generator(config.latent_dim, channels, widths)
        self.discriminator = Discriminator(channels, widths, config.group_size)
        self.ema = {"generator": self.growth.anew(ramped(0.999, share=0.1))}
        adam = Adam(lr=config.lr, betas=(0.0, 0.99))
        for stage in range(first, last + 1):  # players of their own: Adam starts anew where layers enter
            for name, network in (("D", self.discriminator), ("G", self.generator)):
                parts = network.grown(stage, fades=stage > first)
                self.players[name + str(side_of(stage))] = Player(*parts, optimizer=adam)
        moved = {parameter for player in self.players.values() for parameter in player.parameters()}
        reason = f"no image is smaller than first_size {config.first_size}"
        self.still = {name: reason for name, value in self.named_parameters() if value not in moved}
        if config.drift_weight == 0:
            self.still["discriminator.last.layers.5.bias"] = (
                "without a drift the loss does not change with it"
            )

    def step(self, batches: Batches) -> Step:
        T, config = self.augment, self.config
        stage, alpha = self.growth.at(self.iteration, self.clock)
        side = side_of(stage)
        batch = max(1, batches.batch_size * batch_size_at(side) // self.batch_size)
        D, G = (lambda x: self.discriminator(x, stage, alpha)), (lambda z: self.generator(z, stage, alpha))
        real = T(seen_at(reflect_to_multiple(batches.draw(batch).image, self.size), side, alpha))
        with torch.no_grad():
            fake = T(G(self.latent(batch)))  # (b, c, side, side)
        # apart, not in one batch: D sees deviations within a batch
        score_real, score_fake = D(real), D(fake)
        e = torch.rand(batch, 1, 1, 1, device=real.device, dtype=real.dtype)
        norm = gradient_norm(D, real + e * (fake - real))  # (b,), at x^
        weight = config.penalty_weight / config.slope**2
        terms = {
            "wasserstein": score_fake.mean() - score_real.mean(),
            "penalty": weight * (norm - config.slope).square().mean(),
            "drift_penalty": config.drift_weight * score_real.square().mean(),
        }
        yield f"D{side}", terms, watch(real=score_real, fake=score_fake)

        yield f"G{side}", {"wasserstein": -D(T(G(self.latent(batch)))).mean()}

    def generate(self, n: int, latent: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        """At the resolution reached so far, with pixels repeated up to the size of the data."""
        stage, alpha = self.growth.at(self.iteration, self.clock)
        image = self.generator(self.latent(n) if latent is None else latent, stage, alpha)
        return enlarged(image, self.size // image.shape[2])[:, :, : self.shape[1], : self.shape[2]]


def batch_size_at(side: int) -> int:
    """The paper's."""
    return BATCH_SIZES.get(side, 16)
