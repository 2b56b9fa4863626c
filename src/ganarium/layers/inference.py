"""Computes the layers of a network in other ways that are faster on the CPU, where no gradient is wanted.

In float32 images differ from those of PyTorch's own layers by less than a hundredth of one of 255 levels.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from ganarium.layers.winograd import padded, transformed, winograd

Forward = Callable[[Tensor], Tensor]
LEAST = 128  # channels, of the input and of the output, from which Winograd's convolution pays
FEW = 8  # output channels, up to which columns are computed apart
ROWS = 64  # of the result at a time: their columns stay in the processor's cache


@contextmanager
def faster_on_cpu(network: nn.Module) -> Iterator[None]:
    """Inside, a network computes the same on the CPU in float32 in less time; elsewhere it is left as it is. Neither
    the weights nor the mode may change meanwhile. Networks without instance norm want images in channels_last."""
    own = next(network.parameters())
    if own.device.type != "cpu" or own.dtype != torch.float32:
        yield
        return
    normalised = any(type(layer) is nn.InstanceNorm2d for layer in network.modules())
    forwards = forwards_with_instance_norm(network) if normalised else forwards_in_channels_last(network)
    try:
        for layer, forward in forwards.items():
            layer.forward = where_no_gradient(layer.forward, forward)
        yield
    finally:
        for layer in forwards:
            layer.__dict__.pop("forward", None)


def where_no_gradient(own: Forward, faster: Forward) -> Forward:
    """The faster way, but where a gradient is wanted, as in a search for codes, the layer's own."""
    return lambda x: own(x) if torch.is_grad_enabled() else faster(x)


def forwards_with_instance_norm(network: nn.Module) -> dict[nn.Module, Forward]:
    """All is contiguous: channels_last would make instance norm four times as slow."""
    kinds: dict[type, Callable[[Any], Forward]] = {
        nn.Conv2d: convolution,
        nn.ConvTranspose2d: transposed_convolution,
        nn.InstanceNorm2d: instance_norm,
    }
    return {layer: kinds[type(layer)](layer) for layer in network.modules() if type(layer) in kinds}


def forwards_in_channels_last(network: nn.Module) -> dict[nn.Module, Forward]:
    """Batch norm becomes part of the convolution before it, and PReLU needs no memory of its own."""
    forwards: dict[nn.Module, Forward] = {}
    for layer in network.modules():
        if type(layer) is nn.Conv2d and has_few_wide_outputs(layer):
            forwards[layer] = convolution(layer)
    for layers in network.modules():
        for before, after in itertools.pairwise(layers) if type(layers) is nn.Sequential else ():
            if type(before) is nn.Conv2d and type(after) is nn.BatchNorm2d and is_fixed(after):
                forwards |= {before: with_norm(before, after), after: unchanged}
            if type(after) is nn.PReLU and after.num_parameters == 1 and type(before) in FRESH:
                forwards[after] = prelu(after)
    return forwards


FRESH = (nn.Conv2d, nn.BatchNorm2d, nn.PixelShuffle)  # layers whose result nobody else reads in a sequence


def is_fixed(norm: nn.BatchNorm2d) -> bool:
    """Whether a norm has its statistics from training."""
    return not norm.training and norm.running_mean is not None


def unchanged(x: Tensor) -> Tensor:
    return x


def with_norm(layer: nn.Conv2d, norm: nn.BatchNorm2d) -> Forward:
    """The convolution with the batch norm behind it in its weights."""
    statistics = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    both = cache(lambda: fuse_conv_bn_weights(layer.weight, layer.bias, *statistics))  # type: ignore[arg-type]
    return lambda x: layer._conv_forward(x, *both())


def prelu(layer: nn.PReLU) -> Forward:
    """In the memory of the input; the two are one function where there is one slope."""
    slope = cache(lambda: layer.weight.item())
    return lambda x: F.leaky_relu_(x, slope())


def is_plain(layer: nn.Conv2d) -> bool:
    """Whether a convolution has no stride, no dilation, no groups, and numbers of zeros around its input."""
    form = (layer.stride, layer.dilation, layer.groups, layer.padding_mode)
    return form == ((1, 1), (1, 1), 1, "zeros") and not isinstance(layer.padding, str)


def has_few_wide_outputs(layer: nn.Conv2d) -> bool:
    """Whether a convolution is faster by columns."""
    return is_plain(layer) and layer.kernel_size[1] > 3 and layer.out_channels <= FEW


def convolution(layer: nn.Conv2d) -> Forward:
    """The convolution in the way that is fastest for its size, on contiguous images unless it is by columns."""
    if has_few_wide_outputs(layer):
        return lambda x: by_columns(x, layer.weight, layer.bias, tuple(map(int, layer.padding)))
    wide = min(layer.in_channels, layer.out_channels) >= LEAST
    if is_plain(layer) and layer.kernel_size == (3, 3) and wide:
        down, across = map(int, layer.padding)
        edges = (across, across, down, down)
        return lambda x: winograd(padded(x, edges), transformed(layer.weight), layer.bias)
    kept = cache(lambda: layer.weight.contiguous())
    return lambda x: layer._conv_forward(x.contiguous(), kept(), layer.bias)


def by_columns(x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, ...]) -> Tensor:
    """(b, in, h, w) -> (b, out, h', w'), contiguous; `padding` is zeros above and below, and left and right. The
    columns of the filters become outputs of their own, of which shifted parts are added up: vector units are wide, and
    few outputs leave most of their width unused. Under autocast they are added up in float32."""
    out, channels, high, wide = weight.shape
    columns = weight.permute(3, 0, 1, 2).reshape(wide * out, channels, high, 1)
    down, across = padding
    height, width = x.shape[2] + 2 * down - high + 1, x.shape[3] + 2 * across - wide + 1
    exact = torch.promote_types(x.dtype, torch.float32)
    result = x.new_empty(len(x), out, height, width, dtype=exact)
    for start in range(0, height, ROWS):
        made = result[:, :, start : start + ROWS]
        first, end = start - down, start - down + made.shape[2] + high - 1  # rows of x
        part = x[:, :, max(first, 0) : min(end, x.shape[2])]
        part = padded(part, (across, across, max(-first, 0), max(end - x.shape[2], 0)))
        parts = F.conv2d(part, columns).contiguous().to(exact).split(out, 1)
        made.copy_(parts[0][:, :, :, :width])
        for shift in range(1, wide):
            made += parts[shift][:, :, :, shift : shift + width]
    return result if bias is None else result.add_(bias.view(-1, 1, 1))


def transposed_convolution(layer: nn.ConvTranspose2d) -> Forward:
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


def instance_norm(layer: nn.InstanceNorm2d) -> Forward:
    """Group norm of one channel a group is the same, and PyTorch has it several times as fast on contiguous images."""

    def forward(x: Tensor) -> Tensor:
        if layer.running_mean is not None:  # see `fixed_norms`
            return type(layer).forward(layer, x)
        return F.group_norm(x.contiguous(), x.shape[1], layer.weight, layer.bias, layer.eps)

    return forward
