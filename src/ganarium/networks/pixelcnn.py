"""PixelCNN and PixelRNN (van den Oord et al. 2016): every value sees only those before it in raster order."""

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.precision import full
from ganarium.networks.masked import MaskedConv2d
from ganarium.networks.pixelrnn import DiagonalMemory, RecurrentBlock, RowMemory

Layer = Literal["convolution", "row_lstm", "diagonal_bilstm"]


class ResidualBlock(nn.Module):
    """(b, 2 width, h, w) -> the same: ReLU and 1x1 to `width` maps, ReLU and 3x3, ReLU and 1x1 back, plus x."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.bias_maps = width  # of what a small image adds
        self.narrow = MaskedConv2d(2 * width, width, 1, "B", channels)
        self.look = MaskedConv2d(width, width, 3, "B", channels)
        self.widen = MaskedConv2d(width, 2 * width, 1, "B", channels)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        seen = self.look(F.relu(self.narrow(F.relu(x))))
        return x + self.widen(F.relu(seen if bias is None else seen + bias))


class Enlargement(nn.Module):
    """A small image (b, channels, h, w) -> what it adds to each block, (b, bias_maps, factor h, factor w): transposed
    convolutions that double its sides, and a 1x1 convolution for each block (section 3.6)."""

    def __init__(self, channels: int, width: int, factor: int, bias_maps: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number in range(factor.bit_length() - 1):
            layers += [nn.ConvTranspose2d(2 * width if number else channels, 2 * width, 4, 2, 1), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.biases = nn.ModuleList(nn.Conv2d(2 * width, maps, 1) for maps in bias_maps)

    def forward(self, small: Tensor) -> list[Tensor]:
        maps = self.layers(small)
        return [bias(maps) for bias in self.biases]


class PixelCNN(nn.Module):
    """(b, channels, h, w) -> logits (b, channels, outputs, h, w), each from the values before it in raster order.

    With a `factor` above 1, a power of two, the logits also depend on an image of sides so many times smaller.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        num_blocks: int,
        head: int,
        outputs: int,
        layer: Layer = "convolution",
        factor: int = 1,
    ) -> None:
        super().__init__()
        self.channels, self.outputs, self.diagonal = channels, outputs, layer == "diagonal_bilstm"
        self.first = MaskedConv2d(channels, 2 * width, 7, "A", channels)
        blocks = [
            ResidualBlock(width, channels) if layer == "convolution" else RecurrentBlock(layer, width, channels)
            for _ in range(num_blocks)
        ]
        self.blocks = nn.ModuleList(blocks)
        self.head = MaskedConv2d(2 * width, head, 1, "B", channels)
        self.last = MaskedConv2d(head, channels * outputs, 1, "B", channels)
        if factor > 1:
            self.enlargement = Enlargement(channels, width, factor, [block.bias_maps for block in blocks])

    def biases(self, small: Tensor | None) -> list[Tensor | None]:
        """What a small image adds to each block; nothing without one."""
        return [None] * len(self.blocks) if small is None else [*self.enlargement(small)]

    def forward(self, x: Tensor, small: Tensor | None = None) -> Tensor:
        x = self.first(x)
        for block, bias in zip(self.blocks, self.biases(small), strict=True):
            x = block(x, bias)
        return full(self.last(F.relu(self.head(F.relu(x))))).unflatten(1, (self.channels, self.outputs))


class Canvas:
    """Images being drawn in raster order: the logits of `PixelCNN`, for one pixel at a time.

    What convolutions look at, and the states of recurrent layers, are kept for all pixels already done, so that a pixel
    costs one column of the network instead of a pass over the image.
    """

    def __init__(self, network: PixelCNN, image: Tensor, small: Tensor | None = None) -> None:
        self.network, self.biases = network, network.biases(small)
        # with the border that a kernel sees above and beside the image; below it all taps are masked
        self.padded = F.pad(image, (3, 3, 3, 0))
        self.image = self.padded[:, :, 3:, 3:-3]  # (n, c, h, w), to be filled by the caller
        n, _, h, w = image.shape
        self.weights = {
            layer: (layer.weight * layer.mask)[:, :, : layer.kernel_size[0] // 2 + 1].flatten(1)
            for layer in network.modules()
            if isinstance(layer, MaskedConv2d)
        }
        self.memories: list[Tensor | RowMemory | DiagonalMemory] = []
        for block, bias in zip(network.blocks, self.biases, strict=True):
            if isinstance(block, ResidualBlock):
                self.memories.append(image.new_zeros(n, block.look.in_channels, h + 1, w + 2))
            elif isinstance(block, RecurrentBlock):
                memory = DiagonalMemory if network.diagonal else RowMemory
                self.memories.append(memory(block, n, h, w, image, bias))

    def logits(self, y: int, x: int) -> Tensor:
        """(n, c, outputs) at pixel (y, x): those of a channel hold once every value before it is in `image`."""
        network = self.network
        features = self._apply(network.first, self.padded[:, :, y : y + 4, x : x + 7])
        for block, memory, bias in zip(network.blocks, self.memories, self.biases, strict=True):
            if isinstance(block, ResidualBlock):
                assert isinstance(memory, Tensor)
                memory[:, :, y + 1, x + 1] = F.relu(self._apply(block.narrow, F.relu(features)))
                seen = self._apply(block.look, memory[:, :, y : y + 2, x : x + 3])
                seen = F.relu(seen if bias is None else seen + bias[:, :, y, x])
            else:
                assert not isinstance(memory, Tensor)
                seen = memory.at(features, y, x)
            widen = block.widen
            assert isinstance(widen, MaskedConv2d)
            features = features + self._apply(widen, seen)
        logits = self._apply(network.last, F.relu(self._apply(network.head, F.relu(features))))
        return full(logits).unflatten(1, (network.channels, network.outputs))

    def _apply(self, layer: MaskedConv2d, patch: Tensor) -> Tensor:
        return F.linear(patch.flatten(1), self.weights[layer], layer.bias)
