"""PixelCNN (van den Oord et al. 2016): masked convolutions, so that each value sees only those before it."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.precision import full


def groups(count: int, channels: int) -> Tensor:
    """(count,) the image channel each of `count` maps belongs to: equal shares, in the order of channels."""
    return torch.arange(count) * channels // count


class MaskedConv2d(nn.Conv2d):
    """A convolution whose taps right of the centre in its row, and in all rows below, are zero.

    At the centre, a map of group g sees the groups before g (mask "A"), or those and its own (mask "B").
    """

    mask: Tensor  # bool, the shape of the weight

    def __init__(self, fan_in: int, fan_out: int, kernel: int, kind: Literal["A", "B"], channels: int) -> None:
        super().__init__(fan_in, fan_out, kernel, padding=kernel // 2)
        centre, seen, seeing = kernel // 2, groups(fan_in, channels), groups(fan_out, channels)[:, None]
        mask = torch.ones(fan_out, fan_in, kernel, kernel, dtype=torch.bool)
        mask[:, :, centre, centre] = seen < seeing if kind == "A" else seen <= seeing
        mask[:, :, centre, centre + 1 :] = False
        mask[:, :, centre + 1 :] = False
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class ResidualBlock(nn.Module):
    """(b, 2 width, h, w) -> the same: ReLU and 1x1 to `width` maps, ReLU and 3x3, ReLU and 1x1 back, plus x."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.narrow = MaskedConv2d(2 * width, width, 1, "B", channels)
        self.look = MaskedConv2d(width, width, 3, "B", channels)
        self.widen = MaskedConv2d(width, 2 * width, 1, "B", channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.widen(F.relu(self.look(F.relu(self.narrow(F.relu(x))))))


class PixelCNN(nn.Module):
    """(b, channels, h, w) -> logits (b, channels, outputs, h, w), each from the values before it in raster order."""

    def __init__(self, channels: int, width: int, num_blocks: int, head: int, outputs: int) -> None:
        super().__init__()
        self.channels, self.outputs = channels, outputs
        self.first = MaskedConv2d(channels, 2 * width, 7, "A", channels)
        self.blocks = nn.ModuleList(ResidualBlock(width, channels) for _ in range(num_blocks))
        self.head = MaskedConv2d(2 * width, head, 1, "B", channels)
        self.last = MaskedConv2d(head, channels * outputs, 1, "B", channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return full(self.last(F.relu(self.head(F.relu(x))))).unflatten(1, (self.channels, self.outputs))


class Canvas:
    """Images being drawn in raster order: the logits of `PixelCNN`, for one pixel at a time.

    What the 7x7 and the 3x3 convolutions look at is kept for all pixels already done, so that a pixel costs one column
    of the network instead of a pass over the image.
    """

    def __init__(self, network: PixelCNN, image: Tensor) -> None:
        self.network = network
        # with the border that a kernel sees above and beside the image; below it all taps are masked
        self.padded = F.pad(image, (3, 3, 3, 0))
        self.image = self.padded[:, :, 3:, 3:-3]  # (n, c, h, w), to be filled by the caller
        self.blocks = [block for block in network.blocks if isinstance(block, ResidualBlock)]
        n, _, h, w = image.shape
        self.kept = [image.new_zeros(n, block.look.in_channels, h + 1, w + 2) for block in self.blocks]
        self.weights = {
            layer: (layer.weight * layer.mask)[:, :, : layer.kernel_size[0] // 2 + 1].flatten(1)
            for layer in network.modules()
            if isinstance(layer, MaskedConv2d)
        }

    def logits(self, y: int, x: int) -> Tensor:
        """(n, c, outputs) at pixel (y, x): those of a channel hold once every value before it is in `image`."""
        network = self.network
        features = self._apply(network.first, self.padded[:, :, y : y + 4, x : x + 7])
        for block, kept in zip(self.blocks, self.kept, strict=True):
            kept[:, :, y + 1, x + 1] = F.relu(self._apply(block.narrow, F.relu(features)))
            looked = self._apply(block.look, kept[:, :, y : y + 2, x : x + 3])
            features = features + self._apply(block.widen, F.relu(looked))
        logits = self._apply(network.last, F.relu(self._apply(network.head, F.relu(features))))
        return full(logits).unflatten(1, (network.channels, network.outputs))

    def _apply(self, layer: MaskedConv2d, patch: Tensor) -> Tensor:
        return F.linear(patch.flatten(1), self.weights[layer], layer.bias)
