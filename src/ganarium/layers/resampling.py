"""Blurs maps, and doubles or halves their sides with a filter: without one, resampling leaves stairs and jumps."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ONE_TWO_ONE = (1.0, 2.0, 1.0)  # StyleGAN (Karras et al. 2019)
ONE_THREE_THREE_ONE = (1.0, 3.0, 3.0, 1.0)  # StyleGAN2 (Karras et al. 2020)


class Resampling(nn.Module):
    """Base of layers with a fixed square filter: the outer product of `taps` with itself, of sum 1.

    The gradient is written as the filter that it is, so that differentiating it again, as penalties do, is one more of
    them. torch's own goes through the channels one by one, each in a convolution of its own.
    """

    kernel: Tensor  # (1, 1, taps, taps)

    def __init__(self, taps: Sequence[float]) -> None:
        super().__init__()
        row = torch.tensor(taps) / sum(taps)
        self.register_buffer("kernel", torch.outer(row, row)[None, None], persistent=False)

    def filtered(self, x: Tensor, *, gain: float = 1.0, stride: int = 1, padding: int = 0) -> Tensor:
        """Each channel of x (b, c, h, w) as a convolution with the filter, times `gain`."""
        return self._apply_filter(x, gain, stride, padding, False)

    def spread(self, x: Tensor, *, gain: float = 1.0, stride: int = 1, padding: int = 0) -> Tensor:
        """Each channel of x (b, c, h, w) as a transposed convolution with the filter, times `gain`."""
        return self._apply_filter(x, gain, stride, padding, True)

    def _apply_filter(self, x: Tensor, gain: float, stride: int, padding: int, transposed: bool) -> Tensor:
        kernel = gain * self.kernel.to(x.dtype).expand(x.shape[1], -1, -1, -1)
        if not x.requires_grad or torch.is_autocast_enabled(x.device.type):  # no penalty is computed there
            function = F.conv_transpose2d if transposed else F.conv2d
            return function(x, kernel, stride=stride, padding=padding, groups=x.shape[1])
        result: Tensor = _Filter.apply(x, kernel, stride, padding, transposed, [0, 0])
        return result


class Blur(Resampling):
    """(b, c, h, w) -> the same size, with zeros around: one more above and left than below and right where the number
    of taps is even."""

    def forward(self, x: Tensor) -> Tensor:
        taps = self.kernel.shape[2]
        if taps % 2 == 0:
            x = F.pad(x, (1, 0, 1, 0))
        return self.filtered(x, padding=(taps - 1) // 2)


class Upsample(Resampling):
    """(b, c, h, w) -> (b, c, 2 h, 2 w), with zeros around. An even number of taps."""

    def forward(self, x: Tensor) -> Tensor:
        return self.spread(x, gain=4.0, stride=2, padding=self.kernel.shape[2] // 2 - 1)


class Downsample(Resampling):
    """(b, c, h, w) -> (b, c, h / 2, w / 2), with zeros around. An even number of taps, and even sides."""

    def forward(self, x: Tensor) -> Tensor:
        return self.filtered(x, stride=2, padding=self.kernel.shape[2] // 2 - 1)


class _Filter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, kernel: Tensor, stride: int, padding: int, transposed: bool, kept: list[int]
    ) -> Tensor:
        ctx.save_for_backward(kernel)
        ctx.shape, ctx.how = x.shape, (stride, padding, transposed)
        ctx.last = x.is_contiguous(memory_format=torch.channels_last)
        if transposed:
            return F.conv_transpose2d(x, kernel, None, stride, padding, kept, groups=x.shape[1])
        return F.conv2d(x, kernel, None, stride, padding, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (kernel,), (stride, padding, transposed) = gradients, ctx.saved_tensors, ctx.how
        kept = [0, 0]
        if not transposed:  # rows and columns at the end that the filter has not seen
            covered = [(side - 1) * stride + kernel.shape[2] - 2 * padding for side in grad.shape[2:]]
            kept = [side - seen for side, seen in zip(ctx.shape[2:], covered, strict=True)]
            if not torch.is_grad_enabled():  # nothing differentiates it again: torch's own, which has fast kernels
                return _own_gradient(ctx, grad, kernel), None, None, None, None, None
        return _Filter.apply(grad, kernel, stride, padding, not transposed, kept), None, None, None, None, None


def _own_gradient(ctx: Any, grad: Tensor, kernel: Tensor) -> Tensor:
    """The gradient of a convolution's input, of which the shape alone counts."""
    layout = torch.channels_last if ctx.last else torch.contiguous_format
    like = torch.empty(ctx.shape, dtype=grad.dtype, device=grad.device, memory_format=layout)
    stride, padding, _ = ctx.how
    result: Tensor = torch.ops.aten.convolution_backward(
        grad, like, kernel, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], len(kernel), [True, False, False]
    )[0]
    return result
