"""Draws scenes in two looks with a known map between them, for models that learn the map from unpaired images.

Look A is a filled shape on a plain background, with a hue. Look B is the outline of a shape on stripes, whose angle is
pi times the hue: both go round once. Shape, position and size are the same in both, so every image of one look has
exactly one partner in the other. The distribution of hues is uneven, and differs between shapes: with uniform hues, a
map that turned or reversed all of them would fit unpaired images just as well as the true one.
"""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ganarium.data.arrays import check_memory
from ganarium.data.dataset import Dataset

KINDS = ("circle", "triangle", "square")
NUM_TRAIN, NUM_TEST = 4000, 400

# Lengths are in halves of the shorter side of the image, brightness in [0, 1].
RADIUS = (0.25, 0.45)
LINE, WAVELENGTH = 0.11, 0.45  # width of the outline; of a light and a dark stripe together
PLAIN, DARK, LIGHT, OUTLINE = 0.2, 0.1, 0.5, 1.0

Look = Literal["filled", "outlined"]


class Scenes(NamedTuple):
    """The parameters of n scenes, each (n,)."""

    kind: Tensor  # int64, an index in KINDS
    hue: Tensor  # in [0, 1), red at 0 and round to red
    x: Tensor  # of the centre, from the middle of the image to the right, in halves of the shorter side
    y: Tensor  # of the centre, from the middle of the image downwards, in halves of the shorter side
    size: Tensor  # radius of the circle of the same area, in halves of the shorter side


def scenes_unpaired(*, size: tuple[int, int] | None = None) -> tuple[Dataset, Dataset]:
    """Draws 4,000 filled scenes (A) and 4,000 outlined ones (B), 400 of each held out; no scene of A is one of B.

    `size` is (h, w), 32x32 by default. `extra` holds the parameters of every image: `a_hue` (n,), `b_hue`, ...
    """
    size = size or (32, 32)
    check_memory("scenes_unpaired", 2 * (NUM_TRAIN + NUM_TEST), size, 3)
    generator = torch.Generator().manual_seed(0)
    train, test = (_split(count, size, generator) for count in (NUM_TRAIN, NUM_TEST))
    return train, test


def scenes_of(data: Dataset, domain: Literal["a", "b"]) -> Scenes:
    """The parameters of the images of one domain of a `scenes_unpaired` split."""
    assert data.extra is not None
    return Scenes(*(data.extra[f"{domain}_{field}"] for field in Scenes._fields))


def draw_scenes(count: int, size: tuple[int, int], generator: torch.Generator) -> Scenes:
    """Independent random scenes inside an image of `size` (h, w). Each kind of shape has hues near one of its own."""
    kind = torch.randint(len(KINDS), (count,), generator=generator)
    excess, x, y, radius = torch.rand(4, count, generator=generator)
    hue = (kind / len(KINDS) + 0.75 * excess.square()) % 1
    radius = RADIUS[0] + (RADIUS[1] - RADIUS[0]) * radius
    reach = radius * apothem(3) * 2 + LINE / 2  # of the triangle, the shape that reaches farthest
    height, width = (side / min(size) for side in size)
    return Scenes(kind, hue, (2 * x - 1) * (width - reach), (2 * y - 1) * (height - reach), radius)


def render(scenes: Scenes, look: Look, size: tuple[int, int]) -> Tensor:
    """Draws scenes in one of the looks: uint8 (n, h, w, 3), antialiased. In the other look they are the partners."""
    images = torch.empty(len(scenes.kind), *size, 3, dtype=torch.uint8)
    for start in range(0, len(images), 256):
        part = Scenes(*(field[start : start + 256].view(-1, 1, 1) for field in scenes))
        pixels = _filled(part, size) if look == "filled" else _outlined(part, size)
        images[start : start + 256] = pixels.mul_(255).round_()
    return images


def stripe_angle(hue: Tensor) -> Tensor:
    """The hidden map: radians in [0, pi) from the x axis, clockwise as seen, to the direction across the stripes."""
    return math.pi * hue


def _split(count: int, size: tuple[int, int], generator: torch.Generator) -> Dataset:
    a, b = (draw_scenes(count, size, generator) for _ in range(2))
    extra = {f"a_{name}": value for name, value in a._asdict().items()}
    extra |= {f"b_{name}": value for name, value in b._asdict().items()}
    return Dataset(
        "scenes_unpaired",
        render(a, "filled", size),
        second=render(b, "outlined", size),
        source="drawn by ganarium",
        extra=extra,
    )


def _filled(scenes: Scenes, size: tuple[int, int]) -> Tensor:
    inside = coverage(distance_to(scenes, size), size)
    sixth = (6 * scenes.hue.unsqueeze(-1) + torch.tensor([0.0, 4.0, 2.0])) % 6
    colour = ((sixth - 3).abs() - 1).clamp(0, 1)  # of full saturation and value
    return PLAIN + (colour - PLAIN) * inside


def _outlined(scenes: Scenes, size: tuple[int, int]) -> Tensor:
    line = coverage(distance_to(scenes, size).abs() - LINE / 2, size)
    x, y = _pixels(size)
    angle = stripe_angle(scenes.hue)
    across = x * angle.cos() + y * angle.sin()
    wave = 0.5 + 0.5 * (math.tau / WAVELENGTH * across).cos().unsqueeze(-1)
    stripes = DARK + (LIGHT - DARK) * wave
    return (stripes + (OUTLINE - stripes) * line).expand(-1, -1, -1, 3).clone()


def distance_to(scenes: Scenes, size: tuple[int, int]) -> Tensor:
    """Signed distance (n, h, w) to the edge of the shape, negative inside. Exact except near the corners outside."""
    x, y = _pixels(size)
    x, y = x - scenes.x, y - scenes.y
    circle = (x.square() + y.square()).sqrt() - scenes.size
    polygons = []
    for corners in (3, 4):
        normals = [math.pi / 2 + math.tau * side / corners for side in range(corners)]  # the first side lies flat below
        sides = torch.stack([x * math.cos(angle) + y * math.sin(angle) for angle in normals])
        polygons.append(sides.amax(0) - scenes.size * apothem(corners))
    return torch.stack([circle, *polygons]).gather(0, scenes.kind.expand_as(circle).unsqueeze(0)).squeeze(0)


def apothem(corners: int) -> float:
    """From the centre to a side of the regular polygon that has the area of the unit circle."""
    return math.sqrt(math.pi / (corners * math.tan(math.pi / corners)))


def coverage(distance: Tensor, size: tuple[int, int]) -> Tensor:
    """The share (n, h, w, 1) of each pixel that lies inside, from the signed distance of its centre."""
    return (0.5 - distance * min(size) / 2).clamp(0, 1).unsqueeze(-1)


def _pixels(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """x (1, w) and y (h, 1) of the pixel centres, from the middle, in halves of the shorter side."""
    y, x = ((torch.arange(n) * 2 + 1 - n) / min(size) for n in size)
    return x.unsqueeze(0), y.unsqueeze(1)
