"""Reads colour, kind, size and place of the shapes in pictures of scenes, and compares them with sentences."""

from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ganarium.data.sources.paired_scenes import COLOURS, SIZES, Shapes
from ganarium.data.sources.scenes import KINDS, PLAIN, Scenes, coverage, distance_to

SMALLEST = 0.6  # of the area of the smallest shape; what is smaller is no shape


class Seen(NamedTuple):
    """A shape that was read off a picture: indices in KINDS, COLOURS, SIZES and PLACES, and its area in pixels."""

    kind: int
    colour: int
    large: int
    place: int
    area: float


def read_shapes(images: Tensor) -> list[list[Seen]]:
    """The shapes in pictures (n, 3, h, w) in [-1, 1], the largest first.

    Each pixel counts as the nearest of the colours or as background; a shape is a connected region of one colour, with
    the pixels at its edge by how much of that colour they have. Its place is that of its centre of mass, its size that
    of its area, and its kind that of the circle, triangle or square of this place and area which differs least.
    """
    palette = torch.tensor([*COLOURS.values(), (PLAIN,) * 3])
    pixels = images.float().cpu().movedim(1, 3).add(1).div(2)
    nearest = torch.stack([(pixels - colour).square().sum(3) for colour in palette]).argmin(0)
    mixed = palette[:-1] - PLAIN  # from the background to each colour
    share = ((pixels - PLAIN) @ mixed.T / mixed.square().sum(1)).clamp(0, 1).movedim(3, 1)
    return [_read(colours, shares) for colours, shares in zip(nearest.numpy(), share.numpy(), strict=True)]


def _read(colours: "np.ndarray", shares: "np.ndarray") -> list[Seen]:
    """The shapes in one picture: indices of colours (h, w), where the number after the last is background, and how much
    of each colour a pixel has, (colours, h, w) in [0, 1]."""
    height, width = colours.shape
    side = min(height, width)
    smallest = SMALLEST * np.pi * (SIZES["small"][0] * side / 2) ** 2
    border = (SIZES["small"][1] + SIZES["large"][0]) / 2  # between small and large
    rows, columns = np.mgrid[:height, :width]
    shapes = []
    for colour in range(len(COLOURS)):
        regions, count = ndimage.label(colours == colour)
        for region in range(1, count + 1):
            inside = regions == region
            if inside.sum() < smallest:
                continue
            filled = shares[colour] * ndimage.binary_dilation(inside)
            area = float(filled.sum())
            row, column = float((filled * rows).sum() / area), float((filled * columns).sum() / area)
            radius = 2 * np.sqrt(area / np.pi) / side  # in halves of the shorter side
            place = 3 * min(2, int(3 * (row + 0.5) / height)) + min(2, int(3 * (column + 0.5) / width))
            x, y = (2 * column + 1 - width) / side, (2 * row + 1 - height) / side
            shapes.append(Seen(_kind(filled, x, y, radius), colour, int(radius > border), place, area))
    return sorted(shapes, key=lambda shape: -shape.area)


def _kind(filled: "np.ndarray", x: float, y: float, radius: float) -> int:
    """The index of the kind that differs least from a region, (h, w) in [0, 1]."""
    kinds = torch.arange(len(KINDS)).view(-1, 1, 1)
    own = [torch.full((len(KINDS), 1, 1), value) for value in (0.0, x, y, radius)]
    ideal = coverage(distance_to(Scenes(kinds, *own), filled.shape), filled.shape)[..., 0]
    return int((ideal - torch.from_numpy(filled)).square().sum((1, 2)).argmin())
