"""The recurrent layers of PixelRNN (van den Oord et al. 2016): Row LSTM and Diagonal BiLSTM, in residual blocks.

What comes from the same pixel is masked by channels, as in `pixelcnn`. The states that a pixel takes up belong to
pixels before it, all channels of which may be seen.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.networks.masked import MaskedConv2d, groups

Layer = Literal["row_lstm", "diagonal_bilstm"]


class RecurrentBlock(nn.Module):
    """(b, 2 width, h, w) -> the same: a recurrent layer to `width` maps, a 1x1 convolution back, plus x (figure 5)."""

    def __init__(self, layer: Layer, width: int, channels: int) -> None:
        super().__init__()
        recurrent = RowLSTM if layer == "row_lstm" else DiagonalBiLSTM
        self.layer = recurrent(width, channels)
        self.bias_maps = (4 if layer == "row_lstm" else 8) * width  # of what a small image adds to the gates
        self.widen = MaskedConv2d(width, 2 * width, 1, "B", channels)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        return x + self.widen(self.layer(x, bias))


class States(nn.Module):
    """Base of a layer with an LSTM: its first state, learned, and a step from gates to the next state."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.first_h, self.first_c = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))

    @staticmethod
    def step(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Gates (b, 4 width, n) and memory (b, width, n) -> state and memory (equation 3)."""
        o, f, i, g = gates.chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class RowLSTM(States):
    """(b, 2 width, h, w) -> (b, width, h, w), row by row: a pixel takes up the states of the three above it (section
    3.1)."""

    mask: Tensor

    def __init__(self, width: int, channels: int) -> None:
        super().__init__(width)
        self.look = nn.Conv2d(2 * width, 4 * width, (1, 2))  # of a kernel of 3 the tap to the right is always masked
        self.remember = nn.Conv1d(width, 4 * width, 3, padding=1, bias=False)
        mask = torch.ones(4 * width, 2 * width, 1, 2, dtype=torch.bool)
        mask[..., 1] = gate_mask(width, channels)[:, :, None]
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        gates = F.conv2d(F.pad(x, (1, 0)), self.look.weight * self.mask, self.look.bias)
        gates = gates if bias is None else gates + bias
        h, c = (first[None, :, None].expand(len(x), -1, x.shape[3]) for first in (self.first_h, self.first_c))
        rows = []
        for y in range(x.shape[2]):
            h, c = self.step(gates[:, :, y] + self.remember(h), c)
            rows.append(h)
        return torch.stack(rows, 2)


class DiagonalLSTM(States):
    """(b, 2 width, h, w) -> (b, width, h, w): a pixel takes up the states of those above and on its left (section 3.2).

    A map is skewed, so that row y begins y columns later; then a whole column, a diagonal of the image, is computed at
    once. Above the first row are zeros.
    """

    mask: Tensor

    def __init__(self, width: int, channels: int) -> None:
        super().__init__(width)
        self.look = nn.Conv2d(2 * width, 4 * width, 1)
        self.remember = nn.Conv1d(width, 4 * width, 2, bias=False)  # the row above, and the same row
        self.register_buffer("mask", gate_mask(width, channels)[:, :, None, None], persistent=False)

    def gates(self, x: Tensor) -> Tensor:
        """What the input adds to the gates: (b, 2 width, h, w) -> (b, 4 width, h, w)."""
        return F.conv2d(x, self.look.weight * self.mask, self.look.bias)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        gates, rows = self.gates(x), torch.arange(x.shape[2], device=x.device)
        gates = skewed(gates if bias is None else gates + bias)
        first_h, first_c = (
            first[None, :, None].expand(len(x), -1, len(rows)) for first in (self.first_h, self.first_c)
        )
        h, c, columns = first_h, first_c, []
        for column in range(gates.shape[3]):
            h, c = self.step(gates[:, :, :, column] + self.remember(F.pad(h, (1, 0))), c)
            begun = rows <= column  # the rows that have a pixel there; the others wait in their first state
            h, c = torch.where(begun, h, first_h), torch.where(begun, c, first_c)
            columns.append(h)
        return unskewed(torch.stack(columns, 3))


class DiagonalBiLSTM(nn.Module):
    """Two `DiagonalLSTM`, the second from right to left. Its output moves down a row before they are added, for in the
    same row it has seen pixels that come later."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.right, self.left = DiagonalLSTM(width, channels), DiagonalLSTM(width, channels)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        to_right, to_left = (None, None) if bias is None else bias.chunk(2, 1)
        left = self.left(x.flip(3), None if to_left is None else to_left.flip(3)).flip(3)
        added: Tensor = self.right(x, to_right) + F.pad(left[:, :, :-1], (0, 0, 1, 0))
        return added


def gate_mask(width: int, channels: int) -> Tensor:
    """Which of 2 `width` input maps the 4 `width` gates of the same pixel see, bool: the groups before theirs and their
    own (mask B)."""
    return groups(2 * width, channels) <= groups(width, channels).repeat(4)[:, None]


def skewed(x: Tensor) -> Tensor:
    """(b, c, h, w) -> (b, c, h, w + h - 1): row y stands y columns further right, among zeros."""
    height, width = x.shape[2:]
    return F.pad(x, (0, height)).flatten(2)[:, :, : height * (width + height - 1)].unflatten(2, (height, -1))


def unskewed(x: Tensor) -> Tensor:
    """The inverse of `skewed`."""
    height, columns = x.shape[2:]
    width = columns - height + 1
    return F.pad(x.flatten(2), (0, height)).unflatten(2, (height, columns + 1))[..., :width]


class RowMemory:
    """A `RowLSTM` in a block, one pixel after the other: keeps its states of all pixels so far."""

    def __init__(
        self, block: RecurrentBlock, n: int, height: int, width: int, like: Tensor, bias: Tensor | None = None
    ) -> None:
        assert isinstance(block.layer, RowLSTM)
        self.bias = bias  # (n, 4 width, height, width), what a small image adds to the gates
        self.layer = layer = block.layer
        self.inputs = like.new_zeros(n, 2 * layer.width, height, width + 1)
        self.h, self.c = like.new_zeros(2, n, layer.width, height + 1, width + 2)
        self.h[:, :, 0, 1:-1], self.c[:, :, 0, 1:-1] = layer.first_h[:, None], layer.first_c[:, None]
        self.look, self.remember = (layer.look.weight * layer.mask).flatten(1), layer.remember.weight.flatten(1)

    def at(self, features: Tensor, y: int, x: int) -> Tensor:
        """Features (n, 2 width) of a pixel -> the layer's output (n, width)."""
        self.inputs[:, :, y, x + 1] = features
        gates = F.linear(self.inputs[:, :, y, x : x + 2].flatten(1), self.look, self.layer.look.bias)
        gates = gates + F.linear(self.h[:, :, y, x : x + 3].flatten(1), self.remember)
        gates = gates if self.bias is None else gates + self.bias[:, :, y, x]
        h, c = self.layer.step(gates, self.c[:, :, y, x + 1])
        self.h[:, :, y + 1, x + 1], self.c[:, :, y + 1, x + 1] = h, c
        return h


class DiagonalMemory:
    """A `DiagonalBiLSTM` in a block, one pixel after the other. At the start of a row, the direction from the right is
    computed for the row above, which is then complete."""

    def __init__(
        self, block: RecurrentBlock, n: int, height: int, width: int, like: Tensor, bias: Tensor | None = None
    ) -> None:
        assert isinstance(block.layer, DiagonalBiLSTM)
        to_right, to_left = (None, None) if bias is None else bias.chunk(2, 1)
        self.biases = (to_right, None if to_left is None else to_left.flip(3))  # each from its own side
        self.layers, self.width = (block.layer.right, block.layer.left), width
        self.inputs = like.new_zeros(n, 2 * block.layer.right.width, height, width)
        self.states = []
        for layer in self.layers:  # a row above the first, of zeros, and a column before the first pixel
            h, c = like.new_zeros(2, n, layer.width, height + 1, width + 1)
            h[:, :, 1:, 0], c[:, :, 1:, 0] = layer.first_h[:, None], layer.first_c[:, None]
            self.states.append((h, c))

    def at(self, features: Tensor, y: int, x: int) -> Tensor:
        """Features (n, 2 width) of a pixel -> the layer's output (n, width)."""
        if y > 0 and x == 0:
            for place in range(self.width):
                self._move(1, self.inputs[:, :, y - 1, self.width - 1 - place], y - 1, place)
        self.inputs[:, :, y, x] = features
        output = self._move(0, features, y, x)
        return output + self.states[1][0][:, :, y, self.width - x] if y > 0 else output

    def _move(self, direction: int, features: Tensor, y: int, x: int) -> Tensor:
        """The state of one direction at column x from its own side, kept and given back."""
        layer, (h, c) = self.layers[direction], self.states[direction]
        gates = F.linear(features, (layer.look.weight * layer.mask)[:, :, 0, 0], layer.look.bias)
        bias = self.biases[direction]
        gates = gates if bias is None else gates + bias[:, :, y, x]
        before = torch.stack([h[:, :, y, x + 1], h[:, :, y + 1, x]], 2)  # above, and beside
        new, memory = layer.step(
            gates + F.linear(before.flatten(1), layer.remember.weight.flatten(1)), c[:, :, y + 1, x]
        )
        h[:, :, y + 1, x + 1], c[:, :, y + 1, x + 1] = new, memory
        return new
