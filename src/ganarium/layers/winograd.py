"""Computes residual networks with instance norm faster on the CPU, where no gradient is wanted.

A 3x3 convolution needs a quarter of its multiplications as F(4x4, 3x3) of Winograd's minimal filtering (Lavin and Gray
2015, arXiv 1509.09308, section 4.3), which pays from about 128 channels on. In float32 the results differ from those
of PyTorch's own convolution by less than a thousandth of one of 255 levels.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAST = 128  # channels, of the input and of the output
TILES = 256  # at a time, which bounds memory
INPUT = ((4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0), (0, -2, -1, 2, 1, 0), (0, 2, -1, -2, 1, 0),
         (0, 4, 0, -5, 0, 1))  # fmt: skip
FILTER = ((6, 0, 0), (-4, -4, -4), (-4, 4, -4), (1, 2, 4), (1, -2, 4), (0, 0, 24))  # times 24
OUTPUT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


@contextmanager
def faster_on_cpu(network: nn.Module) -> Iterator[None]:
    """Inside, a network with instance norm computes the same on the CPU in float32 in less time; others are left as
    they are. The weights must not change meanwhile."""
    layers = [layer for layer in network.modules() if type(layer) in FASTER]
    own = next(network.parameters())
    if own.device.type != "cpu" or own.dtype != torch.float32 or nn.InstanceNorm2d not in map(type, layers):
        yield
        return
    try:
        for layer in layers:
            layer.forward = FASTER[type(layer)](layer)
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)


def convolution(layer: nn.Conv2d) -> Callable[[Tensor], Tensor]:
    """The convolution with contiguous weights: channels_last would make instance norm four times as slow."""
    plain = (layer.kernel_size, layer.stride, layer.dilation, layer.groups, layer.padding_mode)
    wide = min(layer.in_channels, layer.out_channels) >= LEAST
    if plain == ((3, 3), (1, 1), (1, 1), 1, "zeros") and wide and not isinstance(layer.padding, str):
        weight = cache(lambda: transformed(layer.weight))
        down, across = layer.padding
        return lambda x: winograd(F.pad(x, (across, across, down, down)), weight(), layer.bias)
    kept = cache(lambda: layer.weight.contiguous())
    return lambda x: layer._conv_forward(x.contiguous(), kept(), layer.bias)


def transposed_convolution(layer: nn.ConvTranspose2d) -> Callable[[Tensor], Tensor]:
    """A 3x3 convolution that doubles the sides is four small ones, one for each place in a square of four pixels."""
    form = (layer.kernel_size, layer.stride, layer.padding, layer.output_padding, layer.dilation, layer.groups)
    if form != ((3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 1):
        return partial(type(layer).forward, layer)

    @cache
    def parts() -> list[Tensor]:
        weight = layer.weight.transpose(0, 1)  # (out, in, 3, 3)
        taps = ([1], [2, 0])  # of an even and of an odd row
        return [weight[:, :, rows][:, :, :, columns].contiguous() for rows in taps for columns in taps]

    def forward(x: Tensor) -> Tensor:
        b, _, h, w = x.shape
        x = F.pad(x, (0, 1, 0, 1))
        made = x.new_empty(b, layer.out_channels, h, 2, w, 2)
        for place, weight in enumerate(parts()):
            down, across = divmod(place, 2)
            made[:, :, :, down, :, across] = F.conv2d(x[:, :, : h + down, : w + across], weight, layer.bias)
        return made.view(b, -1, 2 * h, 2 * w)

    return forward


def instance_norm(layer: nn.InstanceNorm2d) -> Callable[[Tensor], Tensor]:
    """Group norm of one channel a group is the same, and PyTorch has it several times as fast on contiguous images."""

    def forward(x: Tensor) -> Tensor:
        if layer.running_mean is not None:  # see `fixed_norms`
            return type(layer).forward(layer, x)
        return F.group_norm(x.contiguous(), x.shape[1], layer.weight, layer.bias, layer.eps)

    return forward


FASTER: dict[type, Callable[..., Callable[[Tensor], Tensor]]] = {
    nn.Conv2d: convolution,
    nn.ConvTranspose2d: transposed_convolution,
    nn.InstanceNorm2d: instance_norm,
}


def transformed(weight: Tensor) -> Tensor:
    """Filters (out, in, 3, 3) -> (36, out, in)."""
    matrix = weight.new_tensor(FILTER, dtype=torch.float64) / 24
    both = torch.kron(matrix, matrix).to(weight.dtype)  # (36, 9)
    return (both @ weight.reshape(-1, 9).T).view(36, *weight.shape[:2])


def winograd(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(b, in, h + 2, w + 2) -> (b, out, h, w): the 3x3 convolution of filters that `transformed` prepared."""
    b, channels, h, w = (*x.shape[:2], x.shape[2] - 2, x.shape[3] - 2)
    x = F.pad(x.contiguous(), (0, -w % 4, 0, -h % 4))
    tiles = x.unfold(2, 6, 4).unfold(3, 6, 4)  # (b, in, down, across, 6, 6), each overlaps the next by 2
    down, across = tiles.shape[2:4]
    made = x.new_empty(b, weight.shape[1], down, 4, across, 4)
    before, after = x.new_tensor(INPUT), x.new_tensor(OUTPUT)
    rows = max(1, TILES // (b * across))
    for start in range(0, down, rows):
        part = tiles[:, :, start : start + rows].permute(4, 5, 1, 0, 2, 3).reshape(6, -1)
        part = torch.matmul(before, (before @ part).view(6, 6, -1)).view(36, channels, -1)
        part = (after @ torch.bmm(weight, part).view(6, -1)).view(4, 6, -1)
        part = torch.matmul(after, part).view(4, 4, -1, b, min(rows, down - start), across)
        made[:, :, start : start + rows] = part.permute(3, 2, 4, 0, 5, 1)
    result = made.view(b, -1, 4 * down, 4 * across)[:, :, :h, :w]
    return result if bias is None else result + bias.view(-1, 1, 1)
