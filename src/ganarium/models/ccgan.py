"""CC-GAN: Semi-Supervised Learning with Context-Conditional Generative Adversarial Networks (Denton et al.,
2016), https://arxiv.org/abs/1611.06430

G fills a hole of an image from what is around it, and D judges the image with its hole filled: what is
visible is copied, so that G must fit it. To judge well D must know what images show, which makes it a better
classifier where few labels are known. No error of pixels is taken.

Losses, to minimise (x has a hole M, x_G = G(x without M, z), x_I is x with x_G in M; p = sigmoid(D)):
    D    E[-log p(x)] + E[-log(1 - p(x_I))]
    G    E[-log p(x_I)]
CC-GAN2, the default, also has D reject the whole of x_G, as a GAN without context would:
    D    + E[-log p(x)] + E[-log(1 - p(x_G))]      G    + E[-log p(x_G)]
With `--semi-supervised` D has also the cross-entropy of labelled images.

Differences from the paper:
- All terms of a player are one update; the release makes three, one for each game and one for the classifier.
- Images of any size: D has as many stages of VGG-A as the size allows. A hole is grey to G.
- Random crops are an option (`--crop 0.25`). No fine-tuning at a larger size with another optimiser.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import Images, PartlyLabelledImages
from ganarium.errors import UserError, require_fraction, require_not_negative, require_positive
from ganarium.layers.init import init_normal
from ganarium.layers.labels import known_classes
from ganarium.layers.normalization import unrecorded
from ganarium.layers.shapes import image_shape
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.ccgan import Discriminator, Generator

PAPER = Paper(
    title="Semi-Supervised Learning with Context-Conditional Generative Adversarial Networks",
    authors="Denton, Gross, Fergus",
    year=2016,
    arxiv="1611.06430",
    idea="G fills holes so well that D, a classifier of few labels, cannot tell the images from whole ones.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    semi_supervised: bool = False
    """Learn to classify too, from few labels (--labels-per-class) and all images."""
    hole: float = 0.5
    """Side of the hole, as a share of the image's; it is at a random place (32 of 64 pixels as released)."""
    full_image: bool = True
    """Let D reject G's whole images too: CC-GAN2 (section 2.3)."""
    low_resolution: int = 0
    """Show G a copy of the whole image, reduced by so many times and enlarged again, which helps with large
    holes; then a hole is made sharp, and not invented. 0: none."""
    crop: float = 0.0
    """How much smaller than a training image a random crop of it may be, as a share of the side; it is
    enlarged again (the release crops and scales; how much is ours). 0: no crops."""
    noise_dim: int = 100
    """Numbers of noise that G reads beside the image, normal (released, optional). 0: none."""
    class_weight: float = 1.0
    """Weight of the cross-entropy of labelled images: lambda_c (released)."""
    dropout: float = 0.5
    """Share of D's last features that the classifier does without while it trains (the size is ours)."""
    width: int = 64
    """Channels of the first layer of G and of D, which double up to 8 times (released)."""
    lr: float = 2e-4
    """Learning rate of Adam (released)."""
    beta1: float = 0.5
    """Adam's first momentum (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "class_weight", "width", "lr")
        require_not_negative(self, "noise_dim", "low_resolution")
        require_fraction(self, "dropout", "beta1", "crop")
        if not 0 < self.hole < 1:
            raise UserError(f"hole must be between 0 and 1, a share of the image's side, not {self.hole}.")

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4, noise_dim=3)


class CCGAN(Model):
    batch_size = 100
    min_batch_size = 2
    inpaints = True
    z: Tensor  # (1, noise_dim), the noise of all that `inpaint` fills
    grey: Tensor  # (1, 1, 1, 1), what G sees of a hole

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        image = image_shape(shape, "ccgan")
        self.batch_type = PartlyLabelledImages if config.semi_supervised else Images
        self.classifies = config.semi_supervised
        classes = known_classes(num_classes, "ccgan --semi-supervised") if config.semi_supervised else None
        inputs = image[0] * (2 if config.low_resolution else 1)
        self.generator = Generator(inputs, image, config.noise_dim, config.width)
        self.discriminator = Discriminator(image, classes, config.width, config.dropout)
        init_normal(self)
        self.register_buffer("z", torch.randn(1, config.noise_dim))
        self.register_buffer("grey", torch.zeros(1, 1, 1, 1), persistent=False)
        adam = Adam(lr=config.lr, betas=(config.beta1, 0.999))
        self.players = {
            "D": Player(self.discriminator, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        D, config = self.discriminator, self.config
        batch = next(batches)
        # (b, c, h, w) in [-1, 1]
        x = self.cropped(batch.unlabelled if config.semi_supervised else batch.image)
        mask = self.holes(len(x))  # (b, 1, h, w), True in the hole
        with torch.no_grad():
            made = self.made(x, mask)
        score_real = D(x)
        games = 1 + config.full_image
        with unrecorded(D):  # apart from the reals, which D classifies
            score_fake = D(torch.where(mask, made, x))
            score_full = D(made) if config.full_image else None
        terms = {"real": games * as_real(score_real), "fake": as_fake(score_fake)}
        if score_full is not None:
            terms["full"] = as_fake(score_full)
        if config.semi_supervised:
            logits = D.class_logits(self.cropped(batch.image))
            terms["labelled"] = config.class_weight * F.cross_entropy(logits, batch.label)
        yield "D", terms, watch(real=score_real, fake=score_fake)
        made = self.made(x, mask)
        with unrecorded(D):
            terms = {"adversarial": as_real(D(torch.where(mask, made, x)))}
            if config.full_image:
                terms["full"] = as_real(D(made))
        yield "G", terms

    def cropped(self, x: Tensor) -> Tensor:
        """A part of each image, of a random size at a random place, enlarged to the size of the image."""
        if not self.config.crop:
            return x
        side, across, down = torch.rand(3, len(x), device=x.device, dtype=x.dtype)
        side = 1 - self.config.crop * side
        zero = torch.zeros_like(side)
        rows = [side, zero, (2 * across - 1) * (1 - side), zero, side, (2 * down - 1) * (1 - side)]
        grid = F.affine_grid(torch.stack(rows, 1).view(-1, 2, 3), list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, padding_mode="border", align_corners=False)

    def made(self, x: Tensor, mask: Tensor, z: Tensor | None = None) -> Tensor:
        """G's whole images (b, c, h, w) for images whose holes are hidden from it, by noise that is drawn."""
        seen = torch.where(mask, self.grey.to(x.dtype), x)
        if self.config.low_resolution:
            height, width = x.shape[2:]
            size = [max(1, side // self.config.low_resolution) for side in (height, width)]
            coarse = F.interpolate(x, size, mode="bilinear", antialias=True)
            seen = torch.cat([seen, F.interpolate(coarse, (height, width), mode="bilinear")], 1)
        if z is None:
            z = torch.randn(len(x), self.config.noise_dim, device=x.device, dtype=x.dtype)
        images: Tensor = self.generator(seen, z)
        return images

    def holes(self, n: int) -> Tensor:
        """A rectangle in each image, at a random place."""
        inside = []
        for length in self.shape[1:]:
            side = max(1, round(self.config.hole * length))
            first = torch.randint(length - side + 1, (n, 1), device=self.device)
            place = torch.arange(length, device=self.device)
            inside.append((place >= first) & (place < first + side))
        rows, columns = inside
        return (rows[:, :, None] & columns[:, None, :])[:, None]

    def filled(self, image: Tensor, mask: Tensor) -> Tensor:
        made = self.made(image, mask, self.z.to(image.dtype).expand(len(image), -1))
        return torch.where(mask, made.to(image.dtype), image)

    def class_logits(self, image: Tensor) -> Tensor:
        return self.discriminator.class_logits(image)
