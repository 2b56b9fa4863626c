"""Measures which modes of the mixtures `ring` and `grid` a generator of 2-D points hits, and how well."""

from typing import Any

import torch
from torch import Tensor

from ganarium.data.dataset import Dataset
from ganarium.data.sources.points import MODE_STD, mode_centres
from ganarium.evaluation.measures import known_mode_coverage
from ganarium.metrics import wasserstein_distance
from ganarium.proofs.experiment import Experiment, Measure, Measured, draw
from ganarium.proofs.measures.critic import gradient_between


class ModeCoverage(Measure):
    """modes: the number of modes that 2,500 points hit, within 3 standard deviations of a mode; high_quality: the share
    of the points that lie so near; near: the share within 9 standard deviations; w1: the exact Wasserstein-1 distance
    between 1,000 of the points and 1,000 of the data."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        points = model.sample(2500, seed=experiment.seed)
        return Measured(read_points(points, experiment.train, experiment.seed), points[:2000])

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        held_out = draw(experiment.test, 2500, experiment.seed)
        return {
            "held_out_points": read_points(held_out, experiment.train, experiment.seed),
            **super().baselines(experiment),
        }


class ModesAndGradient(ModeCoverage):
    """gradient: the mean norm of the critic's gradient, at a random point on each of 1,000 lines from a point of the
    data to a sample."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        values, images = super().read(experiment, model)
        real, fake = experiment.draw(experiment.train, 1000), model.sample(1000, seed=experiment.seed)
        return Measured(values | {"gradient": gradient_between(model, real, fake, experiment.seed)}, images)


def read_points(points: Tensor, train: Dataset, seed: int) -> dict[str, float]:
    """The values of 2,500 points (n, 2); the first 1,000 of them for W1."""
    points, centres = points.double().cpu(), mode_centres(train.name).double()
    return covered_modes(points, train) | {
        "near": (torch.cdist(points, centres).min(1).values < 9 * MODE_STD[train.name]).double().mean().item(),
        "w1": wasserstein_distance(draw(train, 1000, seed).double(), points[:1000]),
    }


def covered_modes(points: Tensor, train: Dataset) -> dict[str, float]:
    """The number of modes that points (n, 2) hit, and the share of the points that lie within 3 std of one."""
    modes = known_mode_coverage(points, train.name)
    return {"modes": modes.covered, "high_quality": modes.high_quality}
