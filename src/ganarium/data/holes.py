"""Masks of holes in pictures, and the window of a picture in which a hole is filled."""

import math
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from ganarium.errors import UserError


def mask_of(mask: Any) -> np.ndarray:
    """bool (h, w) of a PIL image, an array or a tensor: True where it is True or above the middle of its range.

    Of a picture with transparency that is what is white and seen. `UserError` for other forms, and an empty mask.
    """
    if isinstance(mask, Image.Image):
        layers = np.asarray(mask.convert("LA"))
        mask = (layers[:, :, 0] > 127) & (layers[:, :, 1] > 127)
    mask = mask.numpy(force=True) if isinstance(mask, Tensor) else mask
    while isinstance(mask, np.ndarray) and mask.ndim > 2 and mask.shape[0] == 1:
        mask = mask[0]
    if isinstance(mask, np.ndarray) and mask.ndim == 3 and mask.shape[2] == 1:
        mask = mask[:, :, 0]
    if not isinstance(mask, np.ndarray) or mask.ndim != 2:
        raise UserError("a mask must be a PIL image, or an array or tensor (h, w): True or white where to fill.")
    if mask.dtype != bool:
        whole = np.issubdtype(mask.dtype, np.integer)
        mask = mask > (np.iinfo(mask.dtype).max // 2 if whole and mask.max() > 1 else 0.5)
    if not mask.any():
        raise UserError("the mask marks nothing: it must be white (True) where to fill.")
    return mask


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """top, left, bottom, right of what a mask marks; the last two are behind it."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def window_around(
    mask: np.ndarray, shape: tuple[int, ...], hole: tuple[int, int, int, int] | None
) -> tuple[slice, slice]:
    """The rows and columns of a picture that a model of images `shape` (h, w) is shown, to fill what `mask` marks.

    It has the proportions of `shape`, and its size if that suffices. With `hole` (top, left, bottom, right, in a
    picture of `shape`) all that is marked must lie there; without, it may lie anywhere, and takes half of the window at
    most where the picture allows it. `UserError` where there is no such window.
    """
    box, picture = box_of(mask), mask.shape
    largest = min(side / own for side, own in zip(picture, shape, strict=True))
    allowed = hole or (0, 0, *(side // 2 for side in shape))
    needed = max((box[axis + 2] - box[axis]) / (allowed[axis + 2] - allowed[axis]) for axis in (0, 1))
    zoom = min(max(1.0, needed), largest)
    slices = []
    for axis in (0, 1):
        length = min(math.ceil(shape[axis] * zoom - 1e-9), picture[axis])
        first, last = 0, picture[axis] - length
        if hole:  # where the window may begin, so that its own hole covers the box
            first = max(first, math.ceil(box[axis + 2] - hole[axis + 2] * length / shape[axis] - 1e-9))
            last = min(last, math.floor(box[axis] - hole[axis] * length / shape[axis] + 1e-9))
        elif box[axis + 2] - box[axis] > length:
            first, last = 1, 0
        if first > last:
            raise UserError(
                "the mask is too large, or too near the edge of the picture, for this model"
                + (
                    f", which fills the middle of pictures alone (in {shape[0]}x{shape[1]} rows {hole[0]} to {hole[2]} "
                    f"and columns {hole[1]} to {hole[3]}): mark less, or train one with --regions random."
                    if hole
                    else ": mark less."
                )
            )
        middle = (box[axis] + box[axis + 2] - length) // 2
        start = min(max(middle, first), last)
        slices.append(slice(start, start + length))
    return slices[0], slices[1]
