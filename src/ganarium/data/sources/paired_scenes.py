"""Drawn scenes in pairs, and drawn scenes with captions: for models that learn from pairs or from sentences, offline.

A captioned scene has one to three shapes. Each has a kind, a colour, a size and a place with clear words for all four:
no centre lies near the border of two places, no size between small and large. Each caption is written from these in one
of several ways of speaking, and names all four of every shape.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganarium.data.arrays import check_memory
from ganarium.data.dataset import Dataset
from ganarium.data.sources.scenes import (
    KINDS,
    NUM_TEST,
    NUM_TRAIN,
    PLAIN,
    Scenes,
    apothem,
    coverage,
    distance_to,
    draw_scenes,
    render,
)

MOST = 3  # shapes in a scene
COLOURS = {
    "red": (0.89, 0.10, 0.11),
    "orange": (1.00, 0.55, 0.05),
    "yellow": (0.98, 0.90, 0.15),
    "green": (0.15, 0.68, 0.22),
    "blue": (0.16, 0.34, 0.92),
    "purple": (0.58, 0.20, 0.75),
    "pink": (1.00, 0.60, 0.78),
    "white": (1.00, 1.00, 1.00),
}
SIZES = {"small": (0.14, 0.18), "large": (0.27, 0.33)}  # radius of the circle of the same area, as in `Scenes`
PLACES = (
    *("top left", "top", "top right"),
    *("left", "middle", "right"),
    *("bottom left", "bottom", "bottom right"),
)
CAPTIONS = 5  # sentences for each scene

# How people say it. The first word of each is the plain one; a sentence may use any.
KIND_WORDS = {"circle": ("circle", "disc"), "triangle": ("triangle",), "square": ("square",)}
SIZE_WORDS = {"small": ("small", "little", "tiny"), "large": ("large", "big")}
PLACE_WORDS = {
    "top left": ("at the top left", "in the top left corner", "in the upper left"),
    "top": ("at the top", "at the top in the middle", "near the top edge"),
    "top right": ("at the top right", "in the top right corner", "in the upper right"),
    "left": ("on the left", "on the left side", "halfway down on the left"),
    "middle": ("in the middle", "in the centre", "right in the middle"),
    "right": ("on the right", "on the right side", "halfway down on the right"),
    "bottom left": ("at the bottom left", "in the bottom left corner", "in the lower left"),
    "bottom": ("at the bottom", "at the bottom in the middle", "near the bottom edge"),
    "bottom right": ("at the bottom right", "in the bottom right corner", "in the lower right"),
}

_BORDER = 0.06  # no centre is so near to the border of two thirds; in halves of the side
_GAP = 0.06  # between two shapes at least, in halves of the shorter side


class Shapes(NamedTuple):
    """Up to `MOST` shapes in each of n scenes, all (n, MOST); the rest have kind -1."""

    kind: Tensor  # int64, a place in KINDS
    colour: Tensor  # int64, a place in COLOURS
    large: Tensor  # int64, a place in SIZES
    place: Tensor  # int64, a place in PLACES
    x: Tensor  # of the centre, as in `Scenes`
    y: Tensor  # of the centre, as in `Scenes`
    size: Tensor  # as in `Scenes`


def scenes_paired(*, size: tuple[int, int] | None = None) -> tuple[Dataset, Dataset]:
    """4,000 scenes, each filled (A) and outlined (B), and 400 held out: the looks of `scenes_unpaired`, in pairs.

    `size` is (h, w), 32x32 by default. `extra` holds the parameters of the scenes, `a_hue` and `b_hue` (n,) and so on,
    the same for both domains.
    """
    size = size or (32, 32)
    check_memory("scenes_paired", 2 * (NUM_TRAIN + NUM_TEST), size, 3)
    generator = torch.Generator().manual_seed(1)
    splits = []
    for count in (NUM_TRAIN, NUM_TEST):
        scenes = draw_scenes(count, size, generator)
        extra = {f"{domain}_{name}": value for domain in "ab" for name, value in scenes._asdict().items()}
        a, b = (render(scenes, look, size) for look in ("filled", "outlined"))
        splits.append(Dataset("scenes_paired", a, second=b, source="drawn by ganarium", extra=extra, paired=True))
    return splits[0], splits[1]


def scenes_captioned(*, size: tuple[int, int] | None = None) -> tuple[Dataset, Dataset]:
    """4,000 scenes of one to three shapes with five sentences each, and 400 held out.

    `size` is (h, w), 64x64 by default. `extra` holds the fields of `Shapes`; `shapes_of` gives them back.
    """
    size = size or (64, 64)
    check_memory("scenes_captioned", NUM_TRAIN + NUM_TEST, size, 3)
    generator, rng = torch.Generator().manual_seed(2), np.random.default_rng(2)
    splits = []
    for count in (NUM_TRAIN, NUM_TEST):
        shapes = draw_shapes(count, size, generator)
        captions = tuple(describe(Shapes(*(field[row] for field in shapes)), rng) for row in range(count))
        images = render_shapes(shapes, size)
        splits.append(
            Dataset("scenes_captioned", images, source="drawn by ganarium", extra=shapes._asdict(), captions=captions)
        )
    return splits[0], splits[1]


def shapes_of(data: Dataset) -> Shapes:
    """The shapes in the images of a `scenes_captioned` split."""
    assert data.extra is not None
    return Shapes(**data.extra)


def draw_shapes(count: int, size: tuple[int, int], generator: torch.Generator) -> Shapes:
    """Random shapes that lie inside an image of `size` (h, w) and apart, no two alike in kind and colour.

    All that is asked for is drawn together, and drawn again until it holds.
    """
    shape = (count, MOST)
    wanted = torch.arange(MOST) < torch.randint(1, MOST + 1, (count, 1), generator=generator)
    made = Shapes(*(torch.zeros(shape, dtype=torch.int64) for _ in range(4)), *(torch.zeros(shape) for _ in range(3)))
    open_rows = torch.arange(count)
    while len(open_rows):
        drawn = _candidates(len(open_rows), size, generator)
        fits = _fit(drawn, wanted[open_rows], size)
        for field, new in zip(made, drawn, strict=True):
            field[open_rows[fits]] = new[fits]
        open_rows = open_rows[~fits]
    made.kind[~wanted] = -1
    return made


def render_shapes(shapes: Shapes, size: tuple[int, int]) -> Tensor:
    """Filled on a plain background: uint8 (n, h, w, 3), antialiased."""
    colours = torch.tensor(list(COLOURS.values()))
    images = torch.empty(len(shapes.kind), *size, 3, dtype=torch.uint8)
    for start in range(0, len(images), 256):
        part = Shapes(*(field[start : start + 256] for field in shapes))
        canvas = torch.full((len(part.kind), *size, 3), PLAIN)
        for place in range(MOST):
            kind, colour, x, y, radius = (
                field[:, place].view(-1, 1, 1) for field in (part.kind, part.colour, part.x, part.y, part.size)
            )
            own = Scenes(kind.clamp(min=0), torch.zeros_like(x), x, y, radius)
            inside = coverage(distance_to(own, size), size) * (kind >= 0).unsqueeze(3)
            canvas += (colours[colour] - canvas) * inside
        images[start : start + 256] = canvas.mul_(255).round_()
    return images


def describe(shapes: Shapes, rng: np.random.Generator) -> tuple[str, ...]:
    """`CAPTIONS` sentences about one scene, whose fields are (MOST,); no two of them alike."""
    rows = list(zip(*(field.tolist() for field in shapes[:4]), strict=True))
    things = [
        (KINDS[kind], tuple(COLOURS)[colour], tuple(SIZES)[large], PLACES[place])
        for kind, colour, large, place in rows
        if kind >= 0
    ]
    sentences: list[str] = []
    while len(sentences) < CAPTIONS:
        order = [things[place] for place in rng.permutation(len(things))]
        sentence = _sentence(order, rng)
        if sentence not in sentences:
            sentences.append(sentence)
    return tuple(sentences)


def _candidates(count: int, size: tuple[int, int], generator: torch.Generator) -> Shapes:
    def integers(high: int) -> Tensor:
        return torch.randint(high, (count, MOST), generator=generator)

    kind, colour, large = integers(len(KINDS)), integers(len(COLOURS)), integers(len(SIZES))
    low, high = torch.tensor(list(SIZES.values()))[large].unbind(2)
    radius = low + (high - low) * torch.rand(count, MOST, generator=generator)
    height, width = (side / min(size) for side in size)
    x, y = (2 * torch.rand(2, count, MOST, generator=generator) - 1).unbind(0)
    reach = radius * _reach(kind)
    x, y = x * (width - reach), y * (height - reach)
    thirds = [((1.5 * centre / half).round().clamp(-1, 1) + 1).long() for centre, half in ((x, width), (y, height))]
    return Shapes(kind, colour, large, 3 * thirds[1] + thirds[0], x, y, radius)


def _fit(shapes: Shapes, wanted: Tensor, size: tuple[int, int]) -> Tensor:
    """Which scenes (n,) have their wanted shapes (n, MOST) apart, unlike and in clear places."""
    clear = torch.ones_like(wanted)
    for centre, side in ((shapes.y, size[0]), (shapes.x, size[1])):
        clear &= ((centre * min(size) / side).abs() - 1 / 3).abs() > _BORDER
    fits = (clear | ~wanted).all(1)
    reach = shapes.size * _reach(shapes.kind)
    for first in range(MOST):
        for second in range(first):
            away = torch.hypot(*(field[:, first] - field[:, second] for field in (shapes.x, shapes.y)))
            apart = away > reach[:, first] + reach[:, second] + _GAP
            alike = shapes.kind[:, first] == shapes.kind[:, second]
            alike &= shapes.colour[:, first] == shapes.colour[:, second]
            fits &= (apart & ~alike) | ~wanted[:, first]  # the wanted ones come first
    return fits


def _reach(kind: Tensor) -> Tensor:
    """From the centre to the farthest point of a shape of size 1."""
    corners = [apothem(corners) / math.cos(math.pi / corners) for corners in (3, 4)]
    return torch.tensor([1.0, *corners])[kind]


def _sentence(things: Sequence[tuple[str, str, str, str]], rng: np.random.Generator) -> str:
    """One sentence that names kind, colour, size and place of these things, in this order."""

    def one(words: Sequence[str]) -> str:
        return words[int(rng.integers(len(words)))]

    parts = []
    style = rng.integers(4)
    for kind, colour, size, place in things:
        what, where = f"{one(SIZE_WORDS[size])} {colour} {one(KIND_WORDS[kind])}", one(PLACE_WORDS[place])
        a_what = f"{'an' if what[0] in 'aeiou' else 'a'} {what}"
        parts.append(f"{where} {a_what}" if style == 3 else f"{a_what} {where}")
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    if style == 0:
        return f"{listed[0].upper()}{listed[1:]}."
    if style == 1:
        return listed  # as people write who are in a hurry
    if style == 2:
        opening = one(("There is", "I can see", "The picture shows", "You can see", "This is"))
        return f"{opening} {listed}."
    middle = one((" there is ", " sits ", " lies ", " is "))
    first, rest = parts[0].split(" a ", 1) if " a " in parts[0] else parts[0].split(" an ", 1)
    said = f"{first}{middle}a {rest}"
    said = said if len(parts) == 1 else f"{', '.join([said, *parts[1:-1]])} and {parts[-1]}"
    return f"{said[0].upper()}{said[1:]}."
