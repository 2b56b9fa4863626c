"""A large picture in overlapping tiles, so that a network that sees only so far makes of them what it makes of the
whole."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.dataset import decode, encode

STEP = 64  # tiles begin at multiples of it, so that layers of stride 2 fall on the same pixels as in the whole


class Tile(NamedTuple):
    """One tile: `read` is what the network sees, `kept` the part of its result that is kept, and `place` where that
    belongs in the whole result. Each is (rows, columns)."""

    read: tuple[slice, slice]
    kept: tuple[slice, slice]
    place: tuple[slice, slice]


def tiles(height: int, width: int, side: int | None, reach: int, scale: int = 1) -> Iterator[Tile]:
    """Tiles of `side` pixels, each read with `reach` pixels of its neighbourhood; without a side the whole, as one.

    `reach` is a multiple of the network's stride; results are `scale` times larger.
    """
    for rows in _along(height, side or height, reach, scale):
        for columns in _along(width, side or width, reach, scale):
            yield Tile(*zip(rows, columns, strict=True))


def count(height: int, width: int, side: int | None) -> int:
    """How many tiles there are."""
    return -(-height // (side or height)) * -(-width // (side or width))


def _along(length: int, side: int, reach: int, scale: int) -> Iterator[tuple[slice, slice, slice]]:
    """The tiles of one axis: what is read, what is kept of the result, and its place."""
    for start in range(0, length, side):
        end = min(start + side, length)
        first, last = max(0, start - reach), min(length, end + reach)
        kept = slice(scale * (start - first), scale * (end - first))
        yield slice(first, last), kept, slice(scale * start, scale * end)


def map_tiles(
    images: Any,
    forward: Callable[[Tensor], Tensor],
    side: int | None,
    reach: int,
    scale: int = 1,
    progress: Callable[[float], None] | None = None,
) -> Any:
    """Images through `forward`, tile by tile: levels (n, h, w, c) give levels of the same type, a tensor (n, c, h, w)
    in [-1, 1] gives a tensor. `forward` maps (n, c, h, w) in [-1, 1] to the same, `scale` times larger."""
    stored = isinstance(images, np.ndarray)
    height, width = images.shape[1:3] if stored else images.shape[2:]
    total, result = count(height, width, side), None
    for done, tile in enumerate(tiles(height, width, side, reach, scale), 1):
        part = values_of(images[:, *tile.read]) if stored else images[:, :, *tile.read]
        made: Any = forward(part)[:, :, *tile.kept]
        if total == 1:
            result = levels_of(made, images.dtype) if stored else made
        elif stored:
            if result is None:
                result = np.empty((len(images), scale * height, scale * width, made.shape[1]), images.dtype)
            result[:, *tile.place] = levels_of(made, images.dtype)
        else:
            if result is None:
                result = made.new_empty(len(images), made.shape[1], scale * height, scale * width)
            result[:, :, *tile.place] = made
        if progress:
            progress(done / total)
    return result


def values_of(levels: np.ndarray) -> Tensor:
    """uint8 or uint16 (n, h, w, c) -> float32 (n, c, h, w) in [-1, 1]."""
    if levels.dtype == np.uint8:
        return decode(torch.from_numpy(np.array(levels)))
    return torch.from_numpy(levels.astype(np.float32)).permute(0, 3, 1, 2).div_(32767.5).sub_(1.0)


def levels_of(values: Tensor, dtype: Any) -> np.ndarray:
    """(n, c, h, w) in [-1, 1] -> uint8 or uint16 (n, h, w, c), clipped and rounded to the nearest level."""
    if dtype == np.uint8:
        return encode(values).cpu().numpy()
    levels = values.detach().double().clamp(-1, 1).add(1).mul(32767.5).round()
    return levels.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint16)


def resized(levels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) of levels in another size, by bicubic; smaller ones antialiased."""
    if (levels == levels.flat[0]).all():
        return np.full(size, levels.flat[0], levels.dtype)
    scale = size[0] // levels.shape[0]
    if scale > 1 and size == (scale * levels.shape[0], scale * levels.shape[1]):

        def enlarge(part: Tensor) -> Tensor:
            return F.interpolate(part, scale_factor=scale, mode="bicubic")

        enlarged: np.ndarray = map_tiles(levels[None, :, :, None], enlarge, 16 * STEP, 4, scale)[0, :, :, 0]
        return enlarged
    values = values_of(levels[None, :, :, None])
    return levels_of(F.interpolate(values, size=size, mode="bicubic", antialias=True), levels.dtype)[0, :, :, 0]


def reduced_copy(images: Tensor, shorter: int) -> Tensor:
    """(n, c, h, w) in [-1, 1], resized so that its shorter side has so many pixels."""
    if shorter == min(images.shape[2:]):
        return images
    size = [round(side * shorter / min(images.shape[2:])) for side in images.shape[2:]]
    return F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False).clamp(-1, 1)
