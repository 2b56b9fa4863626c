"""Computes the sizes of images on their way through a network."""

import math

import torch.nn.functional as F
from torch import Tensor

from ganarium.errors import UserError


def image_shape(shape: tuple[int, ...], model: str) -> tuple[int, int, int]:
    """(c, h, w); `UserError` for the 2-D points that this model cannot draw."""
    if len(shape) != 3:
        raise UserError(
            f"{model} makes images, and this data set holds 2-D points: use glyphs, mnist or a folder of images, "
            "or for points gan or wgan_gp."
        )
    if min(shape[1:]) < 8:
        raise UserError(f"{model} needs images of at least 8x8 pixels, not {shape[1]}x{shape[2]}.")
    return shape[0], shape[1], shape[2]


def halvings(height: int, width: int, smallest: int = 4) -> int:
    """How often a picture can be halved until its shorter side is near `smallest`, at least once: 64 -> 4, 28 -> 3."""
    return max(1, round(math.log2(min(height, width) / smallest)))


def pyramid(height: int, width: int, levels: int, *, ceil: bool = True) -> list[tuple[int, int]]:
    """The sizes from the picture down, each half of the last, rounded up (28, 14, 7, 4) or down (28, 14, 7, 3)."""
    sizes = [(height, width)]
    for _ in range(levels):
        sizes.append(((sizes[-1][0] + ceil) // 2, (sizes[-1][1] + ceil) // 2))
    return sizes


def reflect_to_multiple(x: Tensor, step: int) -> Tensor:
    """Pads (b, c, h, w) by reflection at the end of both sides, to multiples of `step`; again and again where the
    picture is smaller than the padding."""
    below, right = -x.shape[2] % step, -x.shape[3] % step
    while below or right:
        rows, columns = min(below, x.shape[2] - 1), min(right, x.shape[3] - 1)
        x = F.pad(x, (0, columns, 0, rows), mode="reflect")
        below, right = below - rows, right - columns
    return x
