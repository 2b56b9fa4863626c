"""Measures which modes of the mixtures `ring` and `grid` a generator of 2-D points hits, how well, and when.

Also whether what D says of the points follows their exact Wasserstein-1 distance from the data, while G learns.
"""

from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from ganarium.data.dataset import Dataset
from ganarium.data.sources.points import MODE_STD, mode_centres
from ganarium.evaluation.measures import known_mode_coverage
from ganarium.metrics import wasserstein_distance
from ganarium.proofs.experiment import Experiment, Measure, Measured, draw
from ganarium.proofs.measures.discriminators import gradient_between


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
        return Measured(values | {"gradient": gradient_between(model.critic, real, fake, experiment.seed)}, images)


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


class Followed(ModeCoverage):
    window = 1  # steps up to each place, of which the median is taken

    def places(self, steps: int) -> list[int]:
        """The steps at which estimate and distance are compared."""
        raise NotImplementedError

    def start(self, experiment: Experiment, real: Tensor, first: float) -> float:
        """What `w1_left` divides by."""
        return first

    def __call__(self, experiment: Experiment) -> Measured:
        real, seed = experiment.draw(experiment.train, 1000), experiment.seed
        places = self.places(experiment.scale.steps)
        estimates: dict[int, float] = {}
        exact: dict[int, float] = {}
        for trained, rows in self.training(experiment, experiment.train, every=1):
            model, step = trained, trained.iteration
            if any(0 <= place - step < self.window for place in places):
                points = model.sample(1000, seed=seed)
                estimates[step] = estimate(model, real, points, rows[-1])
                exact[step] = wasserstein_distance(real, points.double())
        curves = [
            [median(curve[place - back] for back in range(self.window)) for place in places]
            for curve in (estimates, exact)
        ]
        own = {
            "correlation": float(spearmanr(*curves).statistic),
            "w1_left": exact[places[-1]] / self.start(experiment, real, exact[places[0]]),
        }
        values, points = self.read(experiment, model)
        return Measured(own | values, points)


class FollowedDistance(Followed):
    """correlation: Spearman's rank correlation of the critic's estimate, E[D(x)] - E[D(G(z))], with the exact
    Wasserstein-1 distance (W1) of the same 1,000 points, at every thirtieth of the training after its first fifth, in
    which the critic catches up; w1_left: W1 at the last of these places, divided by W1 at the first."""

    def places(self, steps: int) -> list[int]:
        return [steps * place // 30 for place in range(7, 31)]


@dataclass(frozen=True)
class FollowedEarly(Followed):
    """correlation: Spearman's rank correlation of the critic's estimate, E[D(x)] - E[D(G(z))] (of a GAN, minus its D's
    loss), with the exact Wasserstein-1 distance (W1) of the same 1,000 points, at up to 40 places from step 10 on, with
    a number of steps between them that grows by a constant factor, since the distance falls early; at each both are the
    median of 5 steps, as the paper's curves are of 101; w1_left: W1 at the end, divided by W1 before training. G's
    learning rate is {generator_lr}, so low that the critic keeps up with it."""

    generator_lr: float
    window = 5

    def prepare(self, experiment: Experiment, model: Any) -> None:
        player = model.players["G"]
        player.optimizer = replace(player.optimizer, lr=self.generator_lr)

    def places(self, steps: int) -> list[int]:
        # by step 5 the critic has had 500 updates, and its weights have reached the clip
        return sorted({round(place) for place in np.geomspace(5 + self.window, steps, 40)})

    def start(self, experiment: Experiment, real: Tensor, first: float) -> float:
        untrained = experiment.untrained(experiment.train)
        return wasserstein_distance(real, untrained.sample(1000, seed=experiment.seed).double())


@torch.no_grad()
def estimate(model: Any, real: Tensor, fake: Tensor, terms: dict[str, float]) -> float:
    """What the critic, or the D of a GAN, says of the distance of fakes from reals."""
    if not hasattr(model, "critic"):
        return -terms["D/real"] - terms["D/fake"]
    return float((model.critic(real).mean() - model.critic(fake).mean()).item())
