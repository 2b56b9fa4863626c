"""Blurs maps, and doubles or halves their sides with a filter: without one, resampling leaves stairs and jumps."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ONE_TWO_ONE = (1.0, 2.0, 1.0)  # StyleGAN (Karras et al. 2019)
ONE_THREE_THREE_ONE = (1.0, 3.0, 3.0, 1.0)  # StyleGAN2 (Karras et al. 2020)


class Resampling(nn.Module):
    """Base of layers with a fixed square filter: the outer product of `taps` with itself, of sum 1."""

    kernel: Tensor  # (1, 1, taps, taps)

    def __init__(self, taps: Sequence[float]) -> None:
        super().__init__()
        row = torch.tensor(taps) / sum(taps)
        self.register_buffer("kernel", torch.outer(row, row)[None, None], persistent=False)

    def filters(self, x: Tensor) -> Tensor:
        """The filter for every channel of x: (c, 1, taps, taps)."""
        return self.kernel.to(x.dtype).expand(x.shape[1], -1, -1, -1)


class Blur(Resampling):
    """(b, c, h, w) -> the same size, with zeros around: one more above and left than below and right where the number
    of taps is even."""

    def forward(self, x: Tensor) -> Tensor:
        taps = self.kernel.shape[2]
        if taps % 2 == 0:
            x = F.pad(x, (1, 0, 1, 0))
        return F.conv2d(x, self.filters(x), padding=(taps - 1) // 2, groups=x.shape[1])


class Upsample(Resampling):
    """(b, c, h, w) -> (b, c, 2 h, 2 w), with zeros around. An even number of taps."""

    def forward(self, x: Tensor) -> Tensor:
        padding = self.kernel.shape[2] // 2 - 1
        return F.conv_transpose2d(x, 4 * self.filters(x), stride=2, padding=padding, groups=x.shape[1])


class Downsample(Resampling):
    """(b, c, h, w) -> (b, c, h / 2, w / 2), with zeros around. An even number of taps, and even sides."""

    def forward(self, x: Tensor) -> Tensor:
        padding = self.kernel.shape[2] // 2 - 1
        return F.conv2d(x, self.filters(x), stride=2, padding=padding, groups=x.shape[1])
