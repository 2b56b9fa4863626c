"""Measures whether pictures show what sentences about one to three shapes say: each colour, and each at its place."""

from typing import Any

import torch
from torch import Tensor

from ganarium.data.dataset import decode
from ganarium.data.sources.paired_scenes import COLOURS, PLACES, shapes_of
from ganarium.proofs.experiment import Experiment, Measure, Measured
from ganarium.proofs.measures.scenes_by_words import read_shapes


class SeveralShapes(Measure):
    """The model is trained on scenes_captioned as it is, scenes of one to three shapes. For a sentence of each of the
    400 held-out scenes a picture is drawn with an exponential average of G's weights (decay 0.99), and its shapes are
    read off it, by formulas. colours: the share of the shapes of which sentences speak whose colour is in the picture.
    placed: the share of which a shape of that colour is at the place where it lies in the scene; placed_one: of
    sentences about one shape; placed_more: of the others, where a seventh of the shapes is in sentences that say how
    two shapes lie to each other and name no places, so that chance alone could put them there. chance_colours and so
    on: the same shares where each picture is held against the sentences of all pictures, as a model has them that
    knows nothing of its sentence. shapes: how many are in a picture on average."""

    def prepare(self, experiment: Experiment, model: Any) -> None:
        model.ema = {"generator": 0.99}

    def read(self, experiment: Experiment, model: Any) -> Measured:
        captions = experiment.test.captions
        assert captions is not None
        sentences = [of_scene[0] for of_scene in captions]
        images = model.sample(len(sentences), seed=experiment.seed, text=sentences)
        return Measured(compare(in_pictures(images), in_scenes(experiment)), images[:64])

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        true = compare(in_pictures(decode(experiment.test.images)), in_scenes(experiment))
        return {"held_out_images": true, **super().baselines(experiment)}


def in_scenes(experiment: Experiment) -> Tensor:
    """How many shapes of each colour are at each place of the held-out scenes: (n, colours, places)."""
    shapes = shapes_of(experiment.test)
    counts = torch.zeros(len(shapes.kind), len(COLOURS), len(PLACES))
    rows, columns = (shapes.kind >= 0).nonzero(as_tuple=True)
    where = (rows, shapes.colour[rows, columns], shapes.place[rows, columns])
    return counts.index_put(where, torch.ones(len(rows)), accumulate=True)


def in_pictures(images: Tensor) -> Tensor:
    """The same of what is read off pictures (n, 3, h, w) in [-1, 1]."""
    pictures = read_shapes(images)
    counts = torch.zeros(len(pictures), len(COLOURS), len(PLACES))
    for row, shapes in enumerate(pictures):
        for shape in shapes:
            counts[row, shape.colour, shape.place] += 1
    return counts


def compare(seen: Tensor, asked: Tensor) -> dict[str, float]:
    """How many of the shapes that were asked for are seen, (n, colours, places) each; and how many by chance."""
    one = asked.sum((1, 2)) == 1
    there, colours = (seen > 0).float(), (seen.sum(2) > 0).float()

    def shares(wanted: Tensor, found: Tensor) -> tuple[float, float]:
        """Of the wanted shapes those that are found in their own picture, and in any."""
        total = wanted.sum().item()
        return (wanted * found).sum().item() / total, (wanted.sum(0) * found.mean(0)).sum().item() / total

    values: dict[str, float] = {}
    for name, wanted, found in (
        ("colours", asked.sum(2), colours),
        ("placed", asked, there),
        ("placed_one", asked[one], there[one]),
        ("placed_more", asked[~one], there[~one]),
    ):
        values[name], values[f"chance_{name}"] = shares(wanted, found)
    return {**values, "shapes": seen.sum((1, 2)).mean().item()}
