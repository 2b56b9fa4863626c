"""Pixel Recurrent Neural Networks (van den Oord et al., 2016), https://arxiv.org/abs/1601.06759

No adversary: an image is written value by value, row by row, pixel by pixel, R then G then B, and a network
learns the distribution of each value given all those before it. Masks hide what comes later, so that all
conditionals of an image are learnt in one pass: in the convolutions of a PixelCNN, or around recurrent
layers, which see everything before a pixel (Diagonal BiLSTM) or a triangle above it (Row LSTM).

Losses, to minimise (x_i: the values of an image, in that order):
    model    E_x[sum_i -log p(x_i | x_1, ..., x_i-1)], in nats per image: a sum over its values, no mean
Watched beside it: bits_per_dim, the same in bits per value, nats / (h w c ln 2).

Differences from the paper:
- The default is the convolutional form (section 3.5); `--layer` has the recurrent ones. No skip connections
  from layers to the output.
- In the multi-scale form (section 3.6) the pixels of the small image are copied into the large one, which the
  paper draws anew: so the likelihood of an image is exact.
- Binary images are drawn afresh for every batch, each value 1 with its grey value as probability.
- 7 residual blocks for binary images, as many as the paper has recurrent layers there; for its PixelCNN on
  MNIST it prints no size.
- A constant learning rate and a limit on the gradient's norm; the paper set schedules by hand.
"""

import itertools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.errors import UserError, require_positive
from ganarium.layers.shapes import image_shape
from ganarium.model import Model, Paper, Player, RMSProp, Step, watch
from ganarium.networks.pixelcnn import Canvas, Layer, PixelCNN

PAPER = Paper(
    title="Pixel Recurrent Neural Networks",
    authors="van den Oord, Kalchbrenner, Kavukcuoglu",
    year=2016,
    arxiv="1601.06759",
    idea="Write an image value by value: learn the distribution of each given all those before it.",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    layer: Layer = "convolution"
    """What stands in a residual block: masked convolutions (PixelCNN, section 3.5), a Row LSTM (section 3.1),
    or a Diagonal BiLSTM (section 3.2), the slowest and best."""
    levels: int | None = None
    """Values a channel can take, 2 to 256. None: 2 for one channel (binary MNIST), 256 for colour (section
    5)."""
    width: int | None = None
    """Channels inside a residual block; between the blocks there are twice as many (the paper's h, figure 5).
    None:
    16 for 2 levels, else 128."""
    num_blocks: int | None = None
    """Residual blocks. None: 7 for 2 levels, else 15, or 12 of recurrent layers (section 5)."""
    head: int | None = None
    """Channels of the 1x1 convolution before the output (table 1). None: 32 for 2 levels, else 1024."""
    subsample: int = 1
    """Multi-scale: draw every 2nd, 4th ... pixel first, as a small image, and then all others from it by a
    second network (section 3.6). 1: one scale."""
    lr: float | None = None
    """Learning rate of RMSProp; the paper set its own by hand. None: 3e-3 for 2 levels, the best of short
    runs on MNIST, else 1e-3, with which the wide network does not leap in its first steps."""
    clip_norm: float | None = 1.0
    """Largest norm of the gradient of the loss (in nats per image); a larger gradient is scaled down to it.
    None: no limit. Not in the paper."""

    def __post_init__(self) -> None:
        require_positive(self, "width", "num_blocks", "head", "lr", "clip_norm")
        if self.levels is not None and not 2 <= self.levels <= 256:
            raise UserError(f"levels must be from 2 to 256, not {self.levels}.")
        if self.subsample < 1 or self.subsample & (self.subsample - 1):
            raise UserError(f"subsample must be 1, 2, 4 or another power of two, not {self.subsample}.")

    @classmethod
    def small(cls) -> "Config":
        return cls(width=6, num_blocks=1, head=8)


class PixelRNN(Model):
    batch_size = 16
    has_likelihood = completes = True

    def __init__(self, config: Config, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__(config, shape, num_classes)
        channels = image_shape(shape, "pixelrnn")[0]
        self.levels = config.levels or (2 if channels == 1 else 256)
        width, num_blocks, head = (16, 7, 32) if self.levels == 2 else (128, 15, 1024)
        if self.levels > 2 and config.layer != "convolution":
            num_blocks = 12
        if any(side % config.subsample for side in shape[1:]):
            height, wide = shape[1:]
            raise UserError(f"{height}x{wide} pixels cannot be divided by subsample {config.subsample}.")
        sizes = (channels, config.width or width, config.num_blocks or num_blocks, config.head or head)
        outputs = 1 if self.levels == 2 else self.levels
        self.network = PixelCNN(*sizes, outputs, config.layer, config.subsample)
        self.small_network = PixelCNN(*sizes, outputs, config.layer) if config.subsample > 1 else None
        rmsprop = RMSProp(lr=config.lr or (3e-3 if self.levels == 2 else 1e-3))
        networks = [network for network in (self.network, self.small_network) if network is not None]
        self.players = {"model": Player(*networks, optimizer=rmsprop, clip_norm=config.clip_norm)}

    def step(self, batches: Batches) -> Step:
        nll = self.nll(next(batches).image).mean()
        yield "model", {"nll": nll}, watch(bits_per_dim=nll / (math.prod(self.shape) * math.log(2)))

    def nll(self, image: Tensor) -> Tensor:
        """-log p of each image (b, c, h, w) in [-1, 1], in nats: (b,).

        With 2 levels the image is first made binary as in training, by drawing 1 with the grey value as
        probability; one of only -1 and 1, such as a sample, is taken as it is. With more levels, each value
        goes to the nearest one.
        """
        x = self.quantised(image)
        k = self.config.subsample
        if self.small_network is None:
            return self.nats(self.network, x).flatten(1).sum(1)
        small = x[:, :, ::k, ::k]
        new = torch.ones_like(x[:1, :1])
        new[:, :, ::k, ::k] = 0
        nats = self.nats(self.network, x, self.decoded(small).to(self.dtype)) * new
        return nats.flatten(1).sum(1) + self.nats(self.small_network, small).flatten(1).sum(1)

    def nats(self, network: PixelCNN, x: Tensor, small: Tensor | None = None) -> Tensor:
        """-log p of each value, 0 to levels - 1, of x (b, c, h, w), by those before it and a small image."""
        logits = network(self.decoded(x).to(self.dtype), small)  # (b, c, outputs, h, w)
        if self.levels == 2:
            return F.softplus(torch.where(x == 1, -logits.squeeze(2), logits.squeeze(2)))
        return F.cross_entropy(logits.movedim(2, 1), x, reduction="none")

    def quantised(self, image: Tensor) -> Tensor:
        """(b, c, h, w) in [-1, 1] -> int64 from 0 to levels - 1."""
        if self.levels == 2:
            return (torch.rand_like(image) < (image + 1) / 2).long()
        return ((image + 1) * ((self.levels - 1) / 2)).round().long()

    def decoded(self, x: Tensor) -> Tensor:
        """0 to levels - 1 -> [-1, 1]."""
        return x * (2 / (self.levels - 1)) - 1

    def generate(self, n: int) -> Tensor:  # type: ignore[override]
        """(n, c, h, w) in [-1, 1], one value after the other: h * w * c small steps."""
        blank = torch.zeros(n, *self.shape, device=self.device, dtype=self.dtype)
        return self.drawn(blank, torch.ones_like(blank[:, :1], dtype=torch.bool))

    def completed(self, image: Tensor, mask: Tensor) -> Tensor:
        return self.drawn(self.decoded(self.quantised(image)).to(self.dtype), mask)

    @torch.no_grad()
    def drawn(self, known: Tensor, mask: Tensor) -> Tensor:
        """Images (n, c, h, w) of `known` values, with those of the mask (n, 1, h, w) drawn."""
        if self.small_network is None:
            return self.scanned(self.network, known, mask)
        known, mask = known.clone(), mask.clone()
        k = self.config.subsample
        small = self.scanned(self.small_network, known[:, :, ::k, ::k], mask[:, :, ::k, ::k])
        known[:, :, ::k, ::k] = small
        mask[:, :, ::k, ::k] = False
        return self.scanned(self.network, known, mask, small)

    def scanned(self, network: PixelCNN, known: Tensor, mask: Tensor, small: Tensor | None = None) -> Tensor:
        """`drawn` by one network, one value after the other."""
        canvas = Canvas(network, torch.zeros_like(known), small)
        channels, height, width = known.shape[1:]
        for y, x, channel in itertools.product(range(height), range(width), range(channels)):
            logits = canvas.logits(y, x)[:, channel]  # (n, outputs)
            if self.levels == 2:
                value = (torch.rand_like(logits) < torch.sigmoid(logits)).squeeze(1)
            else:  # the largest of logit + Gumbel noise is a draw from the softmax
                value = (logits - torch.empty_like(logits).exponential_().log()).argmax(1)
            value = self.decoded(value).to(self.dtype)
            canvas.image[:, channel, y, x] = torch.where(mask[:, 0, y, x], value, known[:, channel, y, x])
        return canvas.image.contiguous()
