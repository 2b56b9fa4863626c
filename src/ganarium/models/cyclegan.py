"""Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (Zhu et al., 2017),
https://arxiv.org/abs/1703.10593, equations 1 to 3

Two generators learn to turn images of one kind into the other and back, from two piles with no pairs: each
has a discriminator that wants its results to look real. What ties a result to its source is the cycle:
translated there and back, an image must come out as it went in.

Losses, to minimise (G: a -> b, F: b -> a; E: mean over batch, channels and positions; D scores patches):
    G    E[(D_b(G(a)) - 1)^2] + E[(D_a(F(b)) - 1)^2] + 10 (E|F(G(a)) - a| + E|G(F(b)) - b|)
         + 0.5 * 10 (E|G(b) - b| + E|F(a) - a|)                      (G and F together)
    D    1/2 (E[(D_b(b) - 1)^2] + E[D_b(old G(a))^2]), and the same for D_a; "old" draws from the last fakes,
         a pool of 50 images, without gradient to G
G and F move in one update, then both D in one, on the fakes made before it: the order of the authors' code.

Differences from the paper:
- The identity term (the 0.5 * 10 above) is on. The paper has it for painting -> photo only, both of the
  authors' codes always; `identity_weight=0` is the paper's other experiments.
- The learning rate is constant for half of the steps, then falls linearly to zero, for 100 + 100 epochs.
- Instance norm without weights, as in the authors' PyTorch code; their Torch code had them.
- The crop enlarges bilinearly by 286/256, at any size; the authors' PyTorch code is bicubic.
- Below 128 pixels D's patches are 34 pixels wide, below 100 the generators have 3 blocks. Sides that are no
  multiple of 4 are padded by reflection and the result is cropped.
"""

from dataclasses import dataclass

from torch import Tensor

from ganarium.data.augment import crop_and_mirror
from ganarium.data.batches import Batches
from ganarium.data.dataset import UnpairedImages
from ganarium.errors import require_not_negative, require_positive
from ganarium.layers.image_pool import ImagePool
from ganarium.layers.init import init_normal
from ganarium.layers.shapes import image_shape
from ganarium.layers.upsampling import Upsampling
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.cyclegan_generator import ResNetGenerator
from ganarium.networks.patchgan import PatchDiscriminator, checked_layers

PAPER = Paper(
    title="Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks",
    authors="Zhu, Park, Isola, Efros",
    year=2017,
    arxiv="1703.10593",
    idea="Translate between two kinds of images without pairs: there and back must give the image itself.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    cycle_weight: float = 10.0
    """Weight of the cycle term, the mean absolute difference between an image and its translation there and
    back, in [-1, 1]: the paper's lambda (section 4)."""
    identity_weight: float = 0.5
    """Weight, as a share of cycle_weight, of the identity term: an image that is already of the wanted kind
    is to stay as it is (section 5.2). 0 leaves the term out."""
    pool_size: int = 50
    """Past translations kept for each discriminator, which learns from them as well (section 4). 0: none."""
    width: int = 64
    """Channels of the first layer of generators and discriminators (appendix 7.2)."""
    num_blocks: int | None = None
    """Residual blocks of a generator. None: 9 from 256 pixels, 6 from 100 (appendix 7.2), 3 below."""
    upsampling: Upsampling = "transposed"
    """How generators enlarge: by transposed convolutions (appendix 7.2), or resize and convolve, which leaves
    no checkerboards and is what PyTorch-GAN has."""
    patch_layers: int | None = None
    """Layers of stride 2 in a discriminator: 1, 2, 3, 4 or 5 make it judge patches of 16, 34, 70, 142 or 286
    pixels. None: 3 from 128 pixels (appendix 7.2), 2 from 12, 1 below."""
    augment: bool = True
    """Random crop ("load 286, crop 256") and mirror of every image, as in the authors' code. Turn it off
    where a mirror changes the meaning: in scenes_unpaired a hidden map of stripe angles tells which images
    belong together, and a mirror breaks it."""
    lr: float = 2e-4
    """Learning rate of Adam in the first half of the steps; then it falls linearly to zero (appendix 7.1)."""

    def __post_init__(self) -> None:
        require_positive(self, "width", "patch_layers", "lr")
        require_not_negative(self, "cycle_weight", "identity_weight", "pool_size", "num_blocks")

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4, num_blocks=1)


class CycleGAN(Model):
    batch_type = UnpairedImages
    batch_size = 1
    directions = ("a2b", "b2a")
    picture_statistics = True  # instance norm

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        channels, height, width = image_shape(shape, "cyclegan")
        side = min(height, width)
        blocks = config.num_blocks
        if blocks is None:
            blocks = 9 if side >= 256 else 6 if side >= 100 else 3
        layers = config.patch_layers or (3 if side >= 128 else 2 if side >= 12 else 1)
        layers = checked_layers(layers, height, width)
        generator = (channels, config.width, blocks, config.upsampling)
        self.a2b, self.b2a = (ResNetGenerator(*generator) for _ in range(2))  # G and F
        self.reach = self.a2b.reach
        patch = {"channels": channels, "width": config.width, "num_layers": layers}
        self.D_a, self.D_b = (PatchDiscriminator(**patch, norm="instance") for _ in range(2))
        self.pool_a, self.pool_b = (ImagePool(config.pool_size, (channels, height, width)) for _ in range(2))
        init_normal(self, 0.02)
        adam = Adam(lr=lambda step, total: config.lr * min(1, 2 - 2 * step / total), betas=(0.5, 0.999))
        self.players = {
            "G": Player(self.a2b, self.b2a, optimizer=adam),
            "D": Player(self.D_a, self.D_b, optimizer=adam),
        }

    def step(self, batches: Batches) -> Step:
        G, F, D_a, D_b, weight = self.a2b, self.b2a, self.D_a, self.D_b, self.config.cycle_weight
        a, b = next(batches)  # (b, c, h, w) in [-1, 1], each from its own domain
        if self.config.augment:
            a, b = crop_and_mirror(a), crop_and_mirror(b)

        fake_b, fake_a = G(a), F(b)
        terms = {
            "adversarial": as_real(D_b(fake_b)) + as_real(D_a(fake_a)),
            "cycle": weight * (l1(F(fake_b), a) + l1(G(fake_a), b)),
        }
        if self.config.identity_weight > 0:
            terms["identity"] = self.config.identity_weight * weight * (l1(G(b), b) + l1(F(a), a))
        yield "G", terms

        old_a, old_b = self.pool_a(fake_a), self.pool_b(fake_b)
        score_a, score_b = D_a(a), D_b(b)
        score_old_a, score_old_b = D_a(old_a), D_b(old_b)
        terms = {
            "a": 0.5 * (as_real(score_a) + as_fake(score_old_a)),
            "b": 0.5 * (as_real(score_b) + as_fake(score_old_b)),
        }
        yield "D", terms, watch(real_a=score_a, fake_a=score_old_a, real_b=score_b, fake_b=score_old_b)

    def mapped(self, image: Tensor, direction: str) -> Tensor:
        return self.a2b(image) if direction == "a2b" else self.b2a(image)


def as_real(score: Tensor) -> Tensor:
    """How far scores are from 1, which the discriminators give to reals."""
    return (score - 1).square().mean()


def as_fake(score: Tensor) -> Tensor:
    """How far scores are from 0, which the discriminators give to fakes."""
    return score.square().mean()


def l1(x: Tensor, target: Tensor) -> Tensor:
    """The mean absolute difference."""
    return (x - target).abs().mean()
