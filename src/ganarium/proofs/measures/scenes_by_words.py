"""Measures whether pictures of scenes show what their sentences say: colour, kind, size and place of a shape."""

import itertools
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ganarium.data.dataset import Dataset, decode
from ganarium.data.sources.paired_scenes import (
    COLOURS,
    MAX_SHAPES,
    PLACES,
    SIZES,
    Shapes,
    describe,
    draw_shapes,
    render_shapes,
    shapes_of,
)
from ganarium.data.sources.scenes import KINDS, PLAIN, Scenes, coverage, distance_to
from ganarium.proofs.experiment import Experiment, Measure, Measured

SMALLEST = 0.6  # of the area of the smallest shape; what is smaller is no shape
SCENES, SEED = 8000, 3  # that the model is trained on, and by which they are drawn
HELD_OUT = (("circle", "green"), ("triangle", "red"), ("triangle", "purple"), ("square", "yellow"))
SENTENCES = 2  # for each combination of kind, colour, size and place
MIDDLE = 0.27  # how far centres are from the middle at most, in halves of the side: clearly in the middle third


class Seen(NamedTuple):
    """A shape that was read off a picture: indices in KINDS, COLOURS, SIZES and PLACES, and its area in pixels."""

    kind: int
    colour: int
    large: int
    place: int
    area: float


class ScenesByWords(Measure):
    """The model is trained on 8,000 scenes of one shape, drawn as those of scenes_captioned are, without four
    combinations of kind and colour: green circle, red triangle, purple triangle, yellow square. Sentences about all 432
    combinations of kind, colour, size and place, two for each, are drawn with an exponential average of G's weights
    (decay 0.99), and the largest shape is read off each picture, by formulas. colour, kind, size, place: the shares of
    pictures that agree in it with their sentence. drawn: the share of pictures with a shape that can be read; the
    others agree in nothing. chance_colour and so on: the same shares where each picture is held against the sentences
    of all pictures, which is `drawn` times 1/8, 1/3, 1/2 and 1/9. So a model that knows nothing of its sentence has
    these, and less than 1/8 where it draws no shape. held_out: of the sentences about the four combinations that were
    never shown, the share of pictures with the right kind in the right colour; held_out_colour: with the right colour
    alone; chance_held_out: a third of that, which is held_out where the colour is known and the kind is not."""

    def prepare(self, experiment: Experiment, model: Any) -> None:
        model.ema = {"generator": 0.99}

    def data(self, experiment: Experiment) -> Dataset:
        _, *size = experiment.train.shape
        generator, rng = torch.Generator().manual_seed(SEED), np.random.default_rng(SEED)
        shapes = self.draw(4 * SCENES, (size[0], size[1]), generator)
        wanted = (shapes.kind >= 0).sum(1) == 1
        for kind, colour in HELD_OUT:
            wanted &= (shapes.kind[:, 0] != KINDS.index(kind)) | (shapes.colour[:, 0] != list(COLOURS).index(colour))
        rows = wanted.nonzero().squeeze(1)[:SCENES]
        assert len(rows) == SCENES
        shapes = Shapes(*(field[rows] for field in shapes))
        captions = tuple(describe(Shapes(*fields), rng) for fields in zip(*shapes, strict=True))
        images, extra = render_shapes(shapes, (size[0], size[1])), shapes._asdict()
        return replace(experiment.train, images=images, captions=captions, extra=extra, digest="")

    def draw(self, count: int, size: tuple[int, int], generator: torch.Generator) -> Shapes:
        return draw_shapes(count, size, generator)

    def questions(self, seed: int) -> tuple[list[str], Tensor]:
        return questions(seed)

    def read(self, experiment: Experiment, model: Any) -> Measured:
        sentences, asked = self.questions(experiment.seed)
        images = model.sample(len(sentences), seed=experiment.seed, text=sentences)
        return Measured(compare(read_shapes(images), asked), images[:: len(images) // 64][:64])

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        test = experiment.test
        one = only(test, (shapes_of(test).kind >= 0).sum(1) == 1)
        true = torch.stack([field[:, 0] for field in shapes_of(one)[:4]], 1)
        return {"held_out_images": compare(read_shapes(decode(one.images)), true), **super().baselines(experiment)}


class KindsByWords(ScenesByWords):
    """The measure of text_to_image_words with scenes in which the shape is always large and in the middle, so that
    its kind and its colour alone differ; pictures are drawn for sixteen sentences about each of the 24 combinations of
    these two, in the place of the 864 below."""

    def draw(self, count: int, size: tuple[int, int], generator: torch.Generator) -> Shapes:
        shape = (count, MAX_SHAPES)
        kind, colour = (torch.randint(len(names), shape, generator=generator) for names in (KINDS, COLOURS))
        kind[:, 1:] = -1
        x, y, radius = torch.rand(3, *shape, generator=generator).unbind(0)
        low, high = SIZES["large"]
        ones = torch.ones_like(kind)
        large, middle = list(SIZES).index("large") * ones, PLACES.index("middle") * ones
        return Shapes(
            kind, colour, large, middle, (2 * x - 1) * MIDDLE, (2 * y - 1) * MIDDLE, low + (high - low) * radius
        )

    def questions(self, seed: int) -> tuple[list[str], Tensor]:
        large, middle = list(SIZES).index("large"), PLACES.index("middle")
        return questions(seed, 16, range(large, large + 1), range(middle, middle + 1))


def only(data: Dataset, kept: Tensor) -> Dataset:
    """The scenes of a captioned set that are `kept`, bool (n,)."""
    assert data.captions is not None
    assert data.extra is not None
    places = kept.nonzero().squeeze(1)
    captions = tuple(data.captions[place] for place in places.tolist())
    extra = {name: field[places] for name, field in data.extra.items()}
    return replace(data, images=data.images[places], captions=captions, extra=extra, digest="")


def questions(
    seed: int, number: int = SENTENCES, sizes: range = range(len(SIZES)), places: range = range(len(PLACES))
) -> tuple[list[str], Tensor]:
    """So many sentences about every combination, and what they ask for: (n, 4) indices in KINDS, COLOURS, SIZES and
    PLACES, of which the last two are among `sizes` and `places`."""
    rng = np.random.default_rng(seed)
    sentences: list[str] = []
    asked: list[tuple[int, ...]] = []
    for combination in itertools.product(range(len(KINDS)), range(len(COLOURS)), sizes, places):
        fields = [torch.full((MAX_SHAPES,), -1) for _ in Shapes._fields]
        for field, value in zip(fields, combination, strict=False):
            field[0] = value
        for _ in range(0, number, SENTENCES):
            sentences += describe(Shapes(*fields), rng)[:SENTENCES]
        asked += [combination] * number
    return sentences, torch.tensor(asked)


def compare(pictures: list[list[Seen]], asked: Tensor) -> dict[str, float]:
    """How often the largest shapes of pictures agree with what was asked for, (n, 4); and how often by chance."""
    nothing, names = Seen(-1, -1, -1, -1, 0.0), ("kind", "colour", "size", "place")
    read = torch.tensor([(seen[0] if seen else nothing)[:4] for seen in pictures])
    right, combinations = read == asked, asked[:, :2].tolist()
    of_any = (read[:, None] == asked).double().mean((0, 1))  # every picture with every sentence
    never = [[KINDS.index(kind), list(COLOURS).index(colour)] for kind, colour in HELD_OUT]
    of_held_out = right[torch.tensor([combination in never for combination in combinations])].double()
    held_out_colour = of_held_out[:, 1].mean().item()
    return {
        **dict(zip(names, right.double().mean(0).tolist(), strict=True)),
        "drawn": sum(map(bool, pictures)) / len(pictures),
        **{f"chance_{name}": share for name, share in zip(names, of_any.tolist(), strict=True)},
        "held_out": of_held_out[:, :2].prod(1).mean().item(),
        "held_out_colour": held_out_colour,
        "chance_held_out": held_out_colour / len(KINDS),
    }


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
