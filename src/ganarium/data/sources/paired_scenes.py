"""Draws scenes in pairs, and scenes with captions: for models that learn from pairs or from sentences, offline.

A captioned scene has one to three shapes. Each has a kind, a colour, a size and a place. Words can name all four
without doubt: no centre lies near the border of two places, no size between small and large. A caption names all four
of every shape, in one of several ways of speaking; of two shapes some say how one lies to the other in the place of
where they are, and may leave sizes out: "a small red circle above a blue square".
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

MAX_SHAPES = 3  # in a scene
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

# Words of the captions. The first of each is the plainest.
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
RELATION_WORDS = {
    "above": ("above", "over"),
    "below": ("below", "under"),
    "left": ("to the left of", "left of"),
    "right": ("to the right of", "right of"),
}
OPENINGS = ("There is", "I can see", "The picture shows", "You can see", "This is")
RELATED = 0.4  # of the sentences about two shapes, those that say how one lies to the other

_MIN_BORDER = 0.06  # of a centre to the border of two thirds, in halves of the side
_MIN_GAP = 0.06  # between two shapes, in halves of the shorter side


class Shapes(NamedTuple):
    """Up to `MAX_SHAPES` shapes in each of n scenes, all (n, MAX_SHAPES); the rest have kind -1."""

    kind: Tensor  # int64, an index in KINDS
    colour: Tensor  # int64, an index in COLOURS
    large: Tensor  # int64, an index in SIZES
    place: Tensor  # int64, an index in PLACES
    x: Tensor  # of the centre, as in `Scenes`
    y: Tensor  # of the centre, as in `Scenes`
    size: Tensor  # as in `Scenes`


def scenes_paired(*, size: tuple[int, int] | None = None) -> tuple[Dataset, Dataset]:
    """Draws 4,000 scenes, each filled (A) and outlined (B), and 400 held out: the looks of `scenes_unpaired`, in pairs.

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
    """Draws 4,000 scenes of one to three shapes with five sentences each, and 400 held out.

    `size` is (h, w), 64x64 by default. `extra` holds the fields of `Shapes`; `shapes_of` returns them.
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
    """Random shapes inside an image of `size` (h, w), apart from each other, no two of the same kind and colour.

    All shapes of a scene are drawn together, and drawn again until they fit.
    """
    shape = (count, MAX_SHAPES)
    used = torch.arange(MAX_SHAPES) < torch.randint(1, MAX_SHAPES + 1, (count, 1), generator=generator)
    shapes = Shapes(*(torch.zeros(shape, dtype=torch.int64) for _ in range(4)), *(torch.zeros(shape) for _ in range(3)))
    open_rows = torch.arange(count)
    while len(open_rows):
        candidates = _candidates(len(open_rows), size, generator)
        fits = _fit(candidates, used[open_rows], size)
        for field, new in zip(shapes, candidates, strict=True):
            field[open_rows[fits]] = new[fits]
        open_rows = open_rows[~fits]
    shapes.kind[~used] = -1
    return shapes


def render_shapes(shapes: Shapes, size: tuple[int, int]) -> Tensor:
    """Filled on a plain background: uint8 (n, h, w, 3), antialiased."""
    colours = torch.tensor(list(COLOURS.values()))
    images = torch.empty(len(shapes.kind), *size, 3, dtype=torch.uint8)
    for start in range(0, len(images), 256):
        part = Shapes(*(field[start : start + 256] for field in shapes))
        canvas = torch.full((len(part.kind), *size, 3), PLAIN)
        for place in range(MAX_SHAPES):
            kind, colour, x, y, radius = (
                field[:, place].view(-1, 1, 1) for field in (part.kind, part.colour, part.x, part.y, part.size)
            )
            scenes = Scenes(kind.clamp(min=0), torch.zeros_like(x), x, y, radius)
            inside = coverage(distance_to(scenes, size), size) * (kind >= 0).unsqueeze(3)
            canvas += (colours[colour] - canvas) * inside
        images[start : start + 256] = canvas.mul_(255).round_()
    return images


def describe(shapes: Shapes, rng: np.random.Generator) -> tuple[str, ...]:
    """`CAPTIONS` different sentences about one scene, whose fields are (MAX_SHAPES,)."""
    rows = [row for row in zip(*(field.tolist() for field in shapes), strict=True) if row[0] >= 0]
    sentences: list[str] = []
    while len(sentences) < CAPTIONS:
        order = [rows[place] for place in rng.permutation(len(rows))]
        described = [
            (KINDS[kind], tuple(COLOURS)[colour], tuple(SIZES)[large], PLACES[place])
            for kind, colour, large, place, *_ in order
        ]
        if len(rows) == 2 and rng.random() < RELATED:
            (*_, x, y, _), (*_, other_x, other_y, _) = order
            sentence = _related(described, relation_of(x - other_x, y - other_y), rng)
        else:
            sentence = _sentence(described, rng)
        if sentence not in sentences:
            sentences.append(sentence)
    return tuple(sentences)


def relation_of(x: float, y: float) -> str:
    """How a shape lies to another that is `x` further left and `y` further up: a key of RELATION_WORDS."""
    if abs(y) > abs(x):
        return "above" if y < 0 else "below"
    return "left" if x < 0 else "right"


def _candidates(count: int, size: tuple[int, int], generator: torch.Generator) -> Shapes:
    def integers(high: int) -> Tensor:
        return torch.randint(high, (count, MAX_SHAPES), generator=generator)

    kind, colour, large = integers(len(KINDS)), integers(len(COLOURS)), integers(len(SIZES))
    low, high = torch.tensor(list(SIZES.values()))[large].unbind(2)
    radius = low + (high - low) * torch.rand(count, MAX_SHAPES, generator=generator)
    height, width = (side / min(size) for side in size)
    x, y = (2 * torch.rand(2, count, MAX_SHAPES, generator=generator) - 1).unbind(0)
    reach = radius * _reach(kind)
    x, y = x * (width - reach), y * (height - reach)
    thirds = [((1.5 * centre / half).round().clamp(-1, 1) + 1).long() for centre, half in ((x, width), (y, height))]
    return Shapes(kind, colour, large, 3 * thirds[1] + thirds[0], x, y, radius)


def _fit(shapes: Shapes, used: Tensor, size: tuple[int, int]) -> Tensor:
    """Which scenes (n,) have their used shapes (n, MAX_SHAPES) apart, different and clearly in one place."""
    clear = torch.ones_like(used)
    for centre, side in ((shapes.y, size[0]), (shapes.x, size[1])):
        clear &= ((centre * min(size) / side).abs() - 1 / 3).abs() > _MIN_BORDER
    fits = (clear | ~used).all(1)
    reach = shapes.size * _reach(shapes.kind)
    for first in range(MAX_SHAPES):
        for second in range(first):
            away = torch.hypot(*(field[:, first] - field[:, second] for field in (shapes.x, shapes.y)))
            apart = away > reach[:, first] + reach[:, second] + _MIN_GAP
            equal = shapes.kind[:, first] == shapes.kind[:, second]
            equal &= shapes.colour[:, first] == shapes.colour[:, second]
            fits &= (apart & ~equal) | ~used[:, first]  # the used ones come first
    return fits


def _reach(kind: Tensor) -> Tensor:
    """From the centre to the farthest point of a shape of size 1."""
    corners = [apothem(corners) / math.cos(math.pi / corners) for corners in (3, 4)]
    return torch.tensor([1.0, *corners])[kind]


def _sentence(shapes: Sequence[tuple[str, str, str, str]], rng: np.random.Generator) -> str:
    """One sentence that names kind, colour, size and place of these shapes, in this order."""
    parts = []
    style = rng.integers(4)
    for kind, colour, size, place in shapes:
        what, where = _thing(kind, colour, _one(SIZE_WORDS[size], rng), rng), _one(PLACE_WORDS[place], rng)
        parts.append(f"{where} {what}" if style == 3 else f"{what} {where}")
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    if style < 3:
        return _spoken(listed, int(style), rng)
    middle = _one((" there is ", " sits ", " lies ", " is "), rng)
    first, rest = parts[0].split(" a ", 1)
    sentence = f"{first}{middle}a {rest}"
    if len(parts) > 1:
        sentence = f"{', '.join([sentence, *parts[1:-1]])} and {parts[-1]}"
    return f"{sentence[0].upper()}{sentence[1:]}."


def _related(shapes: Sequence[tuple[str, str, str, str]], relation: str, rng: np.random.Generator) -> str:
    """One sentence that names kind and colour of two shapes, how the first lies to the second, and perhaps sizes."""
    whats = [_thing(kind, colour, _one((*SIZE_WORDS[size], ""), rng), rng) for kind, colour, size, _ in shapes]
    how, style = _one(RELATION_WORDS[relation], rng), rng.integers(4)
    if style == 3:
        return f"{how[0].upper()}{how[1:]} {whats[1]} there is {whats[0]}."
    return _spoken(f"{whats[0]} {how} {whats[1]}", int(style), rng)


def _spoken(words: str, style: int, rng: np.random.Generator) -> str:
    """Words as a sentence: with a capital and a full stop, as people write in a hurry, or with an opening."""
    if style == 0:
        return f"{words[0].upper()}{words[1:]}."
    return words if style == 1 else f"{_one(OPENINGS, rng)} {words}."


def _thing(kind: str, colour: str, size: str, rng: np.random.Generator) -> str:
    what = f"{size} {colour} {_one(KIND_WORDS[kind], rng)}".strip()
    return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"


def _one(words: Sequence[str], rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]
