"""Tells a discriminator how much the images of a batch differ (Karras et al. 2018, section 3)."""

import torch
from torch import Tensor

from ganarium.layers.precision import full


def minibatch_std(x: Tensor, group_size: int) -> Tensor:
    """(b, c, h, w) -> (b, c + 1, h, w): behind the maps one that is constant in each image.

    It holds the standard deviation over a group of images, averaged over channels and pixels. Groups are strided as in
    the authors' code: with groups of 4, images 0, 2, 4 and 6 of 8 are one. A group has at most `group_size` images, and
    is the largest that divides the batch.
    """
    batch, _, height, width = x.shape
    size = next(size for size in range(min(group_size, batch), 0, -1) if batch % size == 0)
    groups = full(x).unflatten(0, (size, -1))
    spread = torch.sqrt(groups.var(0, correction=0) + 1e-8).mean((1, 2, 3))  # (b / size,)
    return torch.cat([x, spread.to(x.dtype).repeat(size)[:, None, None, None].expand(-1, 1, height, width)], 1)
