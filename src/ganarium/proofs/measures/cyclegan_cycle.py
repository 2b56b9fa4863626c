"""Measures whether a translation there and back gives the image itself, and one way the image's true partner."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ganarium.data.dataset import Dataset, decode
from ganarium.data.sources.scenes import render, scenes_of
from ganarium.proofs.experiment import Experiment, Measure, Measured


class CycleAndMap(Measure):
    """cycle_error: the mean of |F(G(a)) - a| over 200 held-out images with pixels in [-1, 1], averaged over both
    directions; map_error: the mean of |G(a) - the true partner of a|, the larger of both directions. The domains of
    scenes are filled and outlined shapes, those of digits MNIST and its negative, each from another half of it."""

    def data(self, experiment: Experiment) -> Dataset:
        return two_domains(experiment.train)

    def read(self, experiment: Experiment, model: Any) -> Measured:
        errors, wrong, rows = [], [], []
        for direction, back, own, partner in zip(("a2b", "b2a"), ("b2a", "a2b"), *held_out(experiment), strict=True):
            mapped = model.translate(own, direction=direction)
            returned = model.translate(mapped, direction=back)
            errors.append((returned - own).abs().mean().item())
            wrong.append((mapped - partner).abs().mean().item())
            rows += [own[:8], mapped[:8], partner[:8], returned[:8]]
        return Measured({"cycle_error": sum(errors) / 2, "map_error": max(wrong)}, torch.cat(rows))

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        images, partners = held_out(experiment)
        unchanged = max((own - other).abs().mean().item() for own, other in zip(images, partners, strict=True))
        mean = max((part.mean(0) - part).abs().mean().item() for part in partners)
        return {
            "images_left_as_they_are": {"cycle_error": 0.0, "map_error": unchanged},
            "mean_of_the_other_domain": {"map_error": mean},
        }


def two_domains(data: Dataset) -> Dataset:
    """A split as unpaired images; of digits the second domain is the negative of other digits."""
    if data.second is not None:
        return data
    first, second = data.images.chunk(2)
    return replace(data, images=first, second=255 - second, labels=None, class_names=())


def held_out(experiment: Experiment) -> tuple[list[Tensor], list[Tensor]]:
    """The first 200 held-out images of either domain in [-1, 1], and what they are in the other domain."""
    test = two_domains(experiment.test)
    assert test.second is not None
    images = [decode(part[:200]).to(experiment.device) for part in (test.images, test.second)]
    if test.extra is None:
        return images, [-part for part in images]
    size = (test.shape[1], test.shape[2])
    looks = render(scenes_of(test, "a"), "outlined", size), render(scenes_of(test, "b"), "filled", size)
    return images, [decode(part[:200]).to(experiment.device) for part in looks]
