"""Layers with an equalised learning rate (Karras et al. 2018, section 4.1): every weight learns at the same speed.

Weights start at N(0, 1) and are multiplied in every pass by gain / sqrt(fan-in), the deviation of He et al. The bias is
added behind that and is not scaled.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers import penalized

HE_GAIN = math.sqrt(2)  # of layers with a ReLU or LeakyReLU behind them


class EqualizedConv2d(nn.Module):
    """(b, inputs, h, w) -> (b, outputs, h, w), for an odd kernel. It may stand in a network whose gradient is
    penalised: see `penalized.Conv2d`."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, *, gain: float = HE_GAIN, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = gain / math.sqrt(inputs * kernel**2)

    def forward(self, x: Tensor) -> Tensor:
        side = self.weight.shape[2] // 2
        return penalized.conv2d(x, self.weight * self.scale, self.bias, padding=(side, side))


class EqualizedLinear(nn.Module):
    """(b, inputs) -> (b, outputs).

    `lr_multiplier` makes weights and bias learn at so many times the speed of others, without an effect on the start:
    they are stored divided by it and used times it. `bias_start` is the value with which the used bias begins.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        gain: float = HE_GAIN,
        bias: bool = True,
        lr_multiplier: float = 1.0,
        bias_start: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias_start / lr_multiplier)) if bias else None
        self.scale, self.lr_multiplier = gain * lr_multiplier / math.sqrt(inputs), lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias * self.lr_multiplier
        return F.linear(x, self.weight * self.scale, bias)
