"""Context Encoders: Feature Learning by Inpainting (Pathak et al., 2016), https://arxiv.org/abs/1604.07379

G is shown an image with a hole and learns what belongs there. The squared error teaches it the layout, which
alone is blurred; D, which sees what fills the hole and not what is around it, teaches it the look.

Losses, to minimise (x is an image, M its hole, x^ = G(x without M); p = sigmoid(D)):
    D    E[-log p(x in M)] + E[-log(1 - p(x^ in M))]
    G    0.999 E[w (x - x^)^2 in M] + 0.001 E[-log p(x^ in M)]
The square that G predicts is 4 pixels wider on each side than the hole (at 128 pixels); in this rim, whose
answer it is shown, the weight w is 10, elsewhere 1.

Differences from the paper:
- As released: D sees no context, the rim, G's learning rate ten times D's, convolutions without bias. The
  fill is (117, 104, 123) of 255 for R, G, B there and here, the mean of ImageNet with two channels exchanged.
- G's update uses D as it is after D's own; the release reuses scores from before it.
- Images of any size: the hole is half as high and wide as the image, the rim a sixteenth of that.
- Random regions: blobs that cover a quarter, no rim. D sees the whole image with its hole filled.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_positive
from ganarium.layers.init import init_normal
from ganarium.layers.shapes import image_shape
from ganarium.losses import as_fake, as_real
from ganarium.model import Adam, Model, Paper, Player, Step, watch
from ganarium.networks.context_encoder import Discriminator, Generator

PAPER = Paper(
    title="Context Encoders: Feature Learning by Inpainting",
    authors="Pathak, Krahenbuhl, Donahue, Darrell, Efros",
    year=2016,
    arxiv="1604.07379",
    idea="Fill a hole in an image from what is around it: squared error for the layout, a D for the look.",
)
FILL = (117.0, 104.0, 123.0)
RIM_WEIGHT = 10.0
COVERED, COARSE = 0.25, 0.06  # random regions: the share of an image, and the cells of the noise in a pixel


@dataclass(frozen=True, kw_only=True)
class Config:
    regions: Literal["centre", "random"] = "centre"
    """Where holes are: the square in the middle of every image, or blobs anywhere (section 3.3). Only a model
    of random regions can fill a hole at any place."""
    adversarial_weight: float = 1e-3
    """Weight of D's verdict in the loss of G (equation 3); the squared error has the rest of 1. 0: squared
    error alone, which is blurred."""
    overlap: int | None = None
    """Pixels of the rim of the predicted square that G is shown. None: a sixteenth of the square (4 of 64,
    as released), at least 1."""
    bottleneck: int = 4000
    """Numbers of the code between encoder and decoder (section 5.1)."""
    width: int = 64
    """Channels of the first layer of G and of D."""
    lr: float = 2e-4
    """Learning rate of Adam for D."""
    generator_lr: float = 2e-3
    """Learning rate of Adam for G: ten times D's (section 5.1)."""
    beta1: float = 0.5
    """Adam's first momentum."""

    def __post_init__(self) -> None:
        require_positive(self, "overlap", "bottleneck", "width", "lr", "generator_lr")
        if not 0 <= self.adversarial_weight < 1 or not 0 <= self.beta1 < 1:
            raise UserError("adversarial_weight and beta1 must be from 0 to below 1.")

    @classmethod
    def small(cls) -> "Config":
        return cls(width=4, bottleneck=16)


class ContextEncoder(Model):
    inpaints = True
    min_batch_size = 2  # batch norm sees one value of each image in the bottleneck
    weight: Tensor  # (1, 1, *square), of each predicted pixel
    fill: Tensor  # (1, c, 1, 1), the colour of a hole

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        channels, height, width = image_shape(shape, "context_encoder")
        self.random = config.regions == "random"
        square = (height, width) if self.random else (height // 2, width // 2)
        rim = config.overlap or max(1, min(square) // 16)
        top, left = (height - square[0]) // 2, (width - square[1]) // 2
        self.square = (slice(top, top + square[0]), slice(left, left + square[1]))  # what G predicts
        if not self.random:
            if 2 * rim >= min(square):
                raise UserError(
                    f"overlap {rim} leaves no hole in a square of {square[0]}x{square[1]} pixels."
                )
            self.hole = (top + rim, left + rim, top + square[0] - rim, left + square[1] - rim)
        self.generator = Generator((channels, height, width), square, config.width, config.bottleneck)
        self.discriminator = Discriminator((channels, *square), config.width)
        init_normal(self)
        weight = torch.full((1, 1, *square), RIM_WEIGHT)
        weight[:, :, rim:-rim, rim:-rim] = 1.0
        fill = torch.tensor({1: [sum(FILL) / 3], 3: list(FILL), 4: [*FILL, 255.0]}[channels]) / 127.5 - 1
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("fill", fill.view(1, -1, 1, 1), persistent=False)
        self.players = {
            "D": Player(self.discriminator, optimizer=Adam(lr=config.lr, betas=(config.beta1, 0.999))),
            "G": Player(self.generator, optimizer=Adam(lr=config.generator_lr, betas=(config.beta1, 0.999))),
        }

    def step(self, batches: Batches) -> Step:
        D, config = self.discriminator, self.config
        image = next(batches).image  # (b, c, h, w) in [-1, 1]
        mask = self.holes(len(image))
        rows, columns = self.square
        x = image[:, :, rows, columns]  # what G is to predict
        made = self.generator(self.without(image, mask))
        shown = torch.where(mask, made, x) if self.random else made

        score_real, score_fake = D(x), D(shown.detach())
        terms = {"real": as_real(score_real), "fake": as_fake(score_fake)}
        yield "D", terms, watch(real=score_real, fake=score_fake)

        error = (x - made).square()
        squared = (
            (error * mask).sum() / (mask.sum() * len(x[0])) if self.random else (self.weight * error).mean()
        )
        terms = {"l2": (1 - config.adversarial_weight) * squared}
        if config.adversarial_weight > 0:
            terms["adversarial"] = config.adversarial_weight * as_real(D(shown))
        yield "G", terms

    def without(self, image: Tensor, mask: Tensor) -> Tensor:
        """Images (b, c, h, w) with the fill where the mask (b, 1, h, w) says so."""
        return torch.where(mask, self.fill.to(image.dtype), image)

    def holes(self, n: int) -> Tensor:
        height, width = self.shape[1:]
        if self.hole:
            top, left, bottom, right = self.hole
            mask = torch.zeros(n, 1, height, width, dtype=torch.bool, device=self.device)
            mask[:, :, top:bottom, left:right] = True
            return mask
        coarse = [max(3, round(COARSE * side)) for side in (height, width)]
        noise = F.interpolate(torch.rand(n, 1, *coarse, device=self.device), (height, width), mode="bicubic")
        last = round(COVERED * height * width)
        return noise <= noise.flatten(1).sort(1).values[:, last - 1].view(n, 1, 1, 1)

    def filled(self, image: Tensor, mask: Tensor) -> Tensor:
        hidden = mask if self.random else mask | self.holes(len(image))
        result = image.clone()
        result[:, :, self.square[0], self.square[1]] = self.generator(self.without(image, hidden)).to(
            image.dtype
        )
        return torch.where(mask, result, image) if self.random else result
