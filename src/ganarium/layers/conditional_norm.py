"""Batch norm whose gain and shift depend on the label (Dumoulin et al. 2017; Miyato, Koyama 2018)."""

import torch
from torch import Tensor, nn


class ConditionalBatchNorm2d(nn.Module):
    """(b, channels, h, w), and labels as one-hot rows (b, num_classes) -> the same shape.

    Every class has a gain, which starts at 1, and a shift, which starts at 0, for each channel. With 0 classes it is
    plain batch norm.
    """

    def __init__(self, channels: int, num_classes: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=eps, affine=not num_classes)
        if num_classes:
            self.gain = nn.Parameter(torch.ones(num_classes, channels))
            self.shift = nn.Parameter(torch.zeros(num_classes, channels))

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        normed: Tensor = self.norm(x)
        if self.norm.affine:
            return normed
        assert label is not None
        return normed * (label @ self.gain)[:, :, None, None] + (label @ self.shift)[:, :, None, None]
