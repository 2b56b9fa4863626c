"""Image-to-Image Translation with Conditional Adversarial Networks (Isola et al., 2016),
https://arxiv.org/abs/1611.07004

From pairs of images that show the same scene G learns to turn one kind into the other. D sees both images of
a pair and judges overlapping patches, which teaches G what L1 alone leaves blurred. G has no noise but its
dropout, which stays on when it is used.

Losses, to minimise (x is the input, y its partner; p = sigmoid(D), a mean over patches):
    D    0.5 E[-log p(x, y)] + 0.5 E[-log(1 - p(x, G(x)))]
    G    E[-log p(x, G(x))] + lambda E[|y - G(x)|]

Differences from the paper:
- The U-Net halves the picture until it is one pixel wide, for any size: 8 levels at 256 pixels. As released,
  only its last layer has a bias. Dropout stands in the three innermost layers on the way up, as the paper
  writes it; the released code has it one layer further out (`generator="released"`).
- Patches are of 70 pixels from 128 pixels on, of 34 below.
- `direction`, `upsampling`, `dropout` and PyTorch-GAN's generator are options of ours.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ganarium.data.augment import crop_and_mirror
from ganarium.data.batches import Batches
from ganarium.data.dataset import PairedImages
from ganarium.errors import UserError, require_positive
from ganarium.layers.init import init_normal
from ganarium.layers.shapes import image_shape
from ganarium.layers.upsampling import Upsampling
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.patchgan import PatchDiscriminator, checked_layers
from ganarium.networks.unet import UNet, num_levels
from ganarium.networks.unet_pytorch_gan import PyTorchGanUNet

PAPER = Paper(
    title="Image-to-Image Translation with Conditional Adversarial Networks",
    authors="Isola, Zhu, Zhou, Efros",
    year=2016,
    arxiv="1611.07004",
    idea="Images into another kind, learned from pairs: L1 for the layout, a patch D for the look.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    direction: Literal["a2b", "b2a"] = "a2b"
    """Which image of a pair is the input: a2b takes the first (the left one, or that of folder A)."""
    l1_weight: float = 100.0
    """Weight of the mean absolute error in [-1, 1]: the paper's lambda (section 3.3)."""
    adversarial_weight: float = 1.0
    """Weight of D's verdict in the loss of G. 0: L1 alone, which is blurred."""
    conditional_discriminator: bool = True
    """Show D the input beside the output (section 3.1). Without it D judges the output alone."""
    width: int = 64
    """Channels of the first layer of G and of D (appendix 6.1)."""
    generator: Literal["paper", "released", "pytorch_gan"] = "paper"
    """The U-Net of the paper, that of the released code (dropout one layer further out), or PyTorch-GAN's
    variant (instance norm, other skips)."""
    levels: int | None = None
    """Halvings in the U-Net. None: until the picture is one pixel wide, at most 8 (256 pixels)."""
    patch_layers: int | None = None
    """Stride-2 layers of D. None: 3, patches of 70 pixels (appendix 6.1.2), from 128 pixels; 2 below, 1
    below 12."""
    dropout: float = 0.5
    """Share of zeros in the three innermost layers on G's way up (appendix 6.1.1): its only noise."""
    upsampling: Upsampling = "transposed"
    """How G enlarges: by transposed convolutions (paper), or resize and convolve, which leaves no
    checkerboards."""
    augment: bool = True
    """Random crop ("load 286, crop 256") and mirror, the same for both images of a pair (appendix 6.2). Turn
    it off where a mirror changes the meaning."""
    lr: float = 2e-4
    """Learning rate of Adam (section 3.3)."""
    beta1: float = 0.5
    """Adam's first momentum (section 3.3)."""

    def __post_init__(self) -> None:
        require_positive(self, "width", "levels", "patch_layers", "lr")
        if min(self.l1_weight, self.adversarial_weight) < 0 or self.l1_weight + self.adversarial_weight == 0:
            raise UserError("l1_weight and adversarial_weight must be at least 0, and one of them above it.")
        for name in ("dropout", "beta1"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} must be from 0 to below 1, not {getattr(self, name)}.")

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4, levels=3)


class Pix2Pix(Model):
    batch_type = PairedImages
    batch_size = 1
    directions = ("a2b",)
    sample_mode = "train"  # dropout stays on, and norms use the statistics of the picture (section 3.4)

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        channels, h, w = image_shape(shape, "pix2pix")
        self.directions = (config.direction,)
        levels = config.levels or num_levels(h, w)
        if 2**levels > min(h, w):
            raise UserError(f"levels {levels} needs images of {2**levels} pixels, not {h}x{w}: use fewer.")
        usual = 3 if min(h, w) >= 128 else 2 if min(h, w) >= 12 else 1
        layers = checked_layers(config.patch_layers or usual, h, w)
        self.generator = unet(config, channels, levels)
        seen = 2 * channels if config.conditional_discriminator else channels
        self.discriminator = PatchDiscriminator(seen, config.width, layers, norm="batch")
        init_normal(self)
        adam = Adam(lr=config.lr, betas=(config.beta1, 0.999))
        self.players = {
            "D": Player(self.discriminator, optimizer=adam),
            "G": Player(self.generator, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        G, D, config = self.generator, self.D, self.config
        x, y = next(batches)  # (b, c, h, w) in [-1, 1], of the same scene
        if config.direction == "b2a":
            x, y = y, x
        if config.augment:
            x, y = crop_and_mirror(torch.cat([x, y], 1)).chunk(2, 1)  # the same window of both

        fake = G(x)
        score_real, score_fake = D(x, y), D(x, fake.detach())
        terms = {"real": 0.5 * as_real(score_real), "fake": 0.5 * as_fake(score_fake)}
        yield "D", terms, watch(real=score_real, fake=score_fake)

        terms = {"l1": config.l1_weight * (y - fake).abs().mean()}
        if config.adversarial_weight > 0:
            terms["adversarial"] = config.adversarial_weight * as_real(D(x, fake))
        yield "G", terms

    def D(self, x: Tensor, y: Tensor) -> Tensor:
        """Scores (b, 1, h', w') of pairs, one for each patch."""
        seen = torch.cat([x, y], 1) if self.config.conditional_discriminator else y
        score: Tensor = self.discriminator(seen)
        return score

    def mapped(self, image: Tensor, direction: str) -> Tensor:
        return self.generator(image)


def unet(config: Config, channels: int, levels: int) -> UNet | PyTorchGanUNet:
    size = (channels, channels, config.width, levels)
    dropout = config.dropout
    if config.generator != "pytorch_gan":
        return UNet(*size, dropout=dropout, dropped=config.generator, upsampling=config.upsampling)
    if config.upsampling != "transposed" or levels < 2:
        raise UserError("PyTorch-GAN's U-Net has transposed convolutions, and at least 2 levels.")
    return PyTorchGanUNet(*size, dropout)
