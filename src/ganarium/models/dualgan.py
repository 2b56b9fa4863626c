"""DualGAN: Unsupervised Dual Learning for Image-to-Image Translation (Yi et al., 2017),
https://arxiv.org/abs/1704.02510

Two generators translate between two domains without pairs, and each undoes the other. Their judges are
Wasserstein critics with clipped weights; the generators' only noise is dropout, which stays on when they are
used.

Losses, to minimise (G: A to B, F: B to A, critics D_b of B and D_a of A):
    D    E_a[D_b(G(a))] - E_b[D_b(b)] + E_b[D_a(F(b))] - E_a[D_a(a)]
    G    lambda_a E[|a - F(G(a))|] + lambda_b E[|b - G(F(b))|] - E_a[D_b(G(a))] - E_b[D_a(F(b))]

Differences from the paper:
- Its equation 3 pairs each critic with the other generator, against its own definition and the released code;
  the form above is meant.
- The networks are pix2pix's, as the paper describes them. The released ones normalise a bottleneck of one
  pixel, which makes it a constant.
- Critics move `num_critic_steps` times for one of G; the released default is 1, the paper says 2 to 4.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganarium.data.augment import crop_and_mirror
from ganarium.data.batches import Batches
from ganarium.data.dataset import UnpairedImages
from ganarium.errors import UserError, require_positive
from ganarium.layers.init import init_normal
from ganarium.layers.shapes import image_shape
from ganarium.layers.upsampling import Upsampling
from ganarium.model import Model, Paper, Player, RMSProp, Step, watch
from ganarium.networks.patchgan import PatchDiscriminator, checked_layers
from ganarium.networks.unet import UNet, num_levels

PAPER = Paper(
    title="DualGAN: Unsupervised Dual Learning for Image-to-Image Translation",
    authors="Yi, Zhang, Tan, Gong",
    year=2017,
    arxiv="1704.02510",
    idea="Translate both ways without pairs: each way undoes the other, under two Wasserstein critics.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    a_weight: float = 500.0
    """Weight of the mean absolute error of an image of domain A there and back, in [-1, 1]: lambda_U of the
    paper, from 100 to 1,000 (section 4). Smaller for the side that holds natural photos."""
    b_weight: float = 500.0
    """The same for domain B: lambda_V."""
    num_critic_steps: int = 3
    """Updates of the critics for one of the generators (section 3.3: 2 to 4)."""
    clip: float = 0.01
    """Largest size of a parameter of the critics (section 3.3: 0.01 to 0.1)."""
    width: int = 64
    """Channels of the first layer of generators and critics."""
    levels: int | None = None
    """Halvings in the U-Nets. None: until the picture is one pixel wide, at most 8 (256 pixels)."""
    patch_layers: int | None = None
    """Stride-2 layers of a critic. None: 3, patches of 70 pixels, from 128 pixels; 2 below, 1 below 12."""
    dropout: float = 0.5
    """Share of zeros in the three innermost layers on a generator's way up: the noise z of the paper. 0:
    none."""
    upsampling: Upsampling = "transposed"
    """How generators enlarge: by transposed convolutions, or resize and convolve, which leaves no
    checkerboards."""
    augment: bool = True
    """Random crop ("load 286, crop 256") and mirror of every image. Turn it off where a mirror changes the
    meaning."""
    lr: float = 5e-5
    """Learning rate of RMSProp (released)."""

    def __post_init__(self) -> None:
        require_positive(self, "num_critic_steps", "clip", "width", "levels", "patch_layers", "lr")
        if min(self.a_weight, self.b_weight) < 0 or not 0 <= self.dropout < 1:
            raise UserError("a_weight and b_weight must be at least 0, dropout from 0 to below 1.")

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4, levels=3)


class DualGAN(Model):
    batch_type = UnpairedImages
    batch_size = 1
    directions = ("a2b", "b2a")
    sample_mode = "train"  # dropout stays on, and norms use the statistics of the picture

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        channels, h, w = image_shape(shape, "dualgan")
        levels = config.levels or num_levels(h, w)
        if 2**levels > min(h, w):
            raise UserError(f"levels {levels} needs images of {2**levels} pixels, not {h}x{w}: use fewer.")
        usual = 3 if min(h, w) >= 128 else 2 if min(h, w) >= 12 else 1
        layers = checked_layers(config.patch_layers or usual, h, w)
        self.a2b, self.b2a = (
            UNet(
                channels, channels, config.width, levels, dropout=config.dropout, upsampling=config.upsampling
            )
            for _ in range(2)
        )
        self.D_a, self.D_b = (
            PatchDiscriminator(channels, config.width, layers, norm="batch") for _ in range(2)
        )
        init_normal(self)
        rule = RMSProp(lr=config.lr, alpha=0.9)  # TensorFlow's default, as released
        self.players = {
            "D": Player(self.D_a, self.D_b, optimizer=rule),
            "G": Player(self.a2b, self.b2a, optimizer=rule),
        }
        last = f"layers.{len(self.D_a.layers) - 1}.bias"
        reason = "E[D(fake)] - E[D(real)] does not change with it: its gradient is exactly 0"
        self.still = {f"D_a.{last}": reason, f"D_b.{last}": reason}

    def step(self, batches: Batches) -> Step:
        G, F, D_a, D_b, config = self.a2b, self.b2a, self.D_a, self.D_b, self.config
        for _ in range(config.num_critic_steps):
            a, b = self.draw(batches)  # (b, c, h, w) in [-1, 1], each from its own domain
            with torch.no_grad():
                fake_b, fake_a = G(a), F(b)
            real_a, real_b, score_a, score_b = D_a(a), D_b(b), D_a(fake_a), D_b(fake_b)
            terms = {"a": score_a.mean() - real_a.mean(), "b": score_b.mean() - real_b.mean()}
            yield "D", terms, watch(real_a=real_a, fake_a=score_a, real_b=real_b, fake_b=score_b)
            with torch.no_grad():
                weights: list[Tensor] = [*D_a.parameters(), *D_b.parameters()]
                torch._foreach_clamp_min_(weights, -config.clip)
                torch._foreach_clamp_max_(weights, config.clip)

        fake_b, fake_a = G(a), F(b)
        terms = {
            "reconstruction_a": config.a_weight * (a - F(fake_b)).abs().mean(),
            "reconstruction_b": config.b_weight * (b - G(fake_a)).abs().mean(),
            "wasserstein": -D_b(fake_b).mean() - D_a(fake_a).mean(),
        }
        yield "G", terms

    def draw(self, batches: Batches) -> tuple[Tensor, Tensor]:
        a, b = next(batches)
        return (crop_and_mirror(a), crop_and_mirror(b)) if self.config.augment else (a, b)

    def mapped(self, image: Tensor, direction: str) -> Tensor:
        return {"a2b": self.a2b, "b2a": self.b2a}[direction](image)
