"""Computes residual networks with instance norm faster on the CPU, where no gradient is wanted.

A 3x3 convolution needs a quarter of its multiplications as F(4x4, 3x3) of Winograd's minimal filtering (Lavin and Gray
2015, arXiv 1509.09308, section 4.3), which pays from about 128 channels on. Filters are transformed at each call: that
takes a twentieth of the time, and all results of ResNet-9 would take 170 MB of memory. In float32 the images differ
from those of PyTorch's own layers by less than a hundredth of one of 255 levels.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAST = 128  # channels, of the input and of the output
FEW = 8  # output channels, up to which columns are computed apart
TILES = 256  # at a time, which bounds memory
INPUT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
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
    simple = (layer.stride, layer.dilation, layer.groups, layer.padding_mode) == ((1, 1), (1, 1), 1, "zeros")
    if simple and not isinstance(layer.padding, str):
        down, across = layer.padding
        edges = (across, across, down, down)
        if layer.kernel_size == (3, 3) and min(layer.in_channels, layer.out_channels) >= LEAST:
            return lambda x: winograd(padded(x, edges), transformed(layer.weight), layer.bias)
        if layer.kernel_size[1] > 3 and layer.out_channels <= FEW:
            return lambda x: by_columns(padded(x, edges), layer.weight, layer.bias)
    kept = cache(lambda: layer.weight.contiguous())
    return lambda x: layer._conv_forward(x.contiguous(), kept(), layer.bias)


def by_columns(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(b, in, h, w) -> (b, out, h', w'), without padding. The columns of the filters become outputs of their own, of
    which shifted parts are added up: vector units are wide, and few outputs leave most of their width unused."""
    out, channels, high, wide = weight.shape
    columns = weight.permute(3, 0, 1, 2).reshape(wide * out, channels, high, 1)
    parts = F.conv2d(x.contiguous(), columns).split(out, 1)
    width = x.shape[3] - wide + 1
    result = parts[0][:, :, :, :width].clone()
    for shift in range(1, wide):
        result += parts[shift][:, :, :, shift : shift + width]
    return result if bias is None else result.add_(bias.view(-1, 1, 1))


def transposed_convolution(layer: nn.ConvTranspose2d) -> Callable[[Tensor], Tensor]:
    """The convolution in channels_last, which PyTorch has up to twice as fast, with a contiguous result."""
    kept = cache(lambda: layer.weight.contiguous(memory_format=torch.channels_last))
    form: tuple[Any, ...] = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)

    def forward(x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        made = F.conv_transpose2d(x, kept(), layer.bias, *form).permute(0, 2, 3, 1)  # (b, h, w, out)
        result = made.new_empty(made.shape[0], made.shape[3], *made.shape[1:3])
        for image, turned in zip(made, result, strict=True):  # as matrices, which PyTorch transposes faster
            turned.flatten(1).copy_(image.flatten(0, 1).T)
        return result

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


def padded(x: Tensor, edges: tuple[int, int, int, int]) -> Tensor:
    """With zeros at its edges (left, right, top, bottom); `F.pad` would copy it also where there are none."""
    return F.pad(x, edges) if any(edges) else x


def transformed(weight: Tensor) -> Tensor:
    """Filters (out, in, 3, 3) -> (36, out, in)."""
    matrix = weight.new_tensor(FILTER, dtype=torch.float64) / 24
    both = torch.kron(matrix, matrix).to(weight.dtype)  # (36, 9)
    return (both @ weight.reshape(-1, 9).T).view(36, *weight.shape[:2])


def winograd(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(b, in, h + 2, w + 2) -> (b, out, h, w): the 3x3 convolution of filters that `transformed` prepared."""
    b, channels, h, w = (*x.shape[:2], x.shape[2] - 2, x.shape[3] - 2)
    x = padded(x.contiguous(), (0, -w % 4, 0, -h % 4))
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
    return result if bias is None else result.add_(bias.view(-1, 1, 1))
