"""Layers for critics with a gradient penalty: the functions of torch, but cheaper to differentiate twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_inputs_only = False


@contextmanager
def inputs_only() -> Iterator[None]:
    """Within this context a backward pass through `Conv2d` computes no gradient of the weights: a penalty needs none.

    Autograd does not tell a custom function which of its gradients are needed.
    """
    global _inputs_only
    before, _inputs_only = _inputs_only, True
    try:
        yield
    finally:
        _inputs_only = before


class LeakyReLU(nn.Module):
    """max(x, slope x). Its second derivative is zero, and autograd knows it.

    torch's own sends those zeros back through the whole network when a gradient penalty is differentiated: two of the
    twelve passes of a WGAN-GP critic update.
    """

    def __init__(self, slope: float = 0.2) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.where(x.detach() > 0, x.new_ones(()), x.new_full((), self.slope))


class Conv2d(nn.Conv2d):
    """A convolution whose input gradient is written as the transposed convolution that it is.

    Differentiating it again is then one ordinary backward pass. torch's own takes the weights' part of that as a
    convolution with kernels as large as the image, which on a CPU is several times slower.
    """

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, self.bias, self.stride, self.padding)


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any = (1, 1), padding: Any = (0, 0)) -> Tensor:
    """The convolution of `Conv2d` with any weights. Stride and padding are pairs of numbers."""
    if torch.is_autocast_enabled(x.device.type):  # no penalty is computed there
        return F.conv2d(x, weight, bias, stride, padding)
    result: Tensor = _Convolution.apply(x, weight, bias, stride, padding)
    return result


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding, ctx.biased = stride, padding, bias is not None
        return F.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = gradients
        x, weight = ctx.saved_tensors
        if x.is_contiguous(memory_format=torch.channels_last):
            grad = grad.contiguous(memory_format=torch.channels_last)
        grad_x = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            kept = [
                side - (out - 1) * step + 2 * pad - kernel
                for side, out, step, pad, kernel in zip(
                    x.shape[2:], grad.shape[2:], ctx.stride, ctx.padding, weight.shape[2:], strict=True
                )
            ]
            grad_x = F.conv_transpose2d(grad, weight, None, ctx.stride, ctx.padding, kept)
        mask = [False, ctx.needs_input_grad[1], ctx.needs_input_grad[2]]
        if any(mask) and not _inputs_only:
            sizes = [weight.shape[0]] if ctx.biased else None
            _, grad_weight, grad_bias = torch.ops.aten.convolution_backward(
                grad, x, weight, sizes, ctx.stride, ctx.padding, [1, 1], False, [0, 0], 1, mask
            )
        return grad_x, grad_weight, grad_bias, None, None
