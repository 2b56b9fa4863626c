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
        held_out = read_points(draw(experiment.test, 2500, experiment.seed), experiment.train, experiment.seed)
        return {"held_out_points": held_out} | super().baselines(experiment)


class ModesAndGradient(ModeCoverage):
    """gradient: the mean norm of the critic's gradient, at a random point on each of 1,000 lines from a point of the
    data to a sample."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        real, fake = experiment.draw(experiment.train, 1000), model.sample(1000, seed=experiment.seed)
        gradient = gradient_between(model.critic, real, fake, experiment.seed)
        return super().read(experiment, model) | {"gradient": gradient}


def read_points(points: Tensor, train: Dataset, seed: int) -> dict[str, float]:
    """The values of 2,500 points (n, 2); the first 1,000 of them for W1."""
    points, centres = points.double().cpu(), mode_centres(train.name).double()
    modes = known_mode_coverage(points, train.name)
    return {
        "modes": modes.covered,
        "high_quality": modes.high_quality,
        "near": (torch.cdist(points, centres).min(1).values < 9 * MODE_STD[train.name]).double().mean().item(),
        "w1": wasserstein_distance(draw(train, 1000, seed).double(), points[:1000]),
    }


class Followed(ModeCoverage):
    window = 1  # steps up to each place, of which the median is taken

    def places(self, steps: int) -> list[int]:
        """The steps at which estimate and distance are compared."""
        raise NotImplementedError

    def start(self, experiment: Experiment, real: Tensor, first: float) -> float:
        """What `w1_left` divides by."""
        return first

    def __call__(self, experiment: Experiment) -> Measured:
        real, places = experiment.draw(experiment.train, 1000), self.places(experiment.scale.steps)
        curves: dict[int, tuple[float, float]] = {}  # by step: what D says, and the distance
        for trained, rows in self.training(experiment, experiment.train, every=1):
            model = trained
            if any(0 <= place - model.iteration < self.window for place in places):
                points = model.sample(1000, seed=experiment.seed)
                if hasattr(model, "critic"):
                    said = (model.critic(real).mean() - model.critic(points).mean()).item()
                else:
                    said = -rows[-1]["D/real"] - rows[-1]["D/fake"]
                curves[model.iteration] = said, wasserstein_distance(real, points.double())
        smooth = [
            [median(curves[place - back][curve] for back in range(self.window)) for place in places] for curve in (0, 1)
        ]
        values, points = self.read(experiment, model)
        own = {
            "correlation": float(spearmanr(*smooth).statistic),
            "w1_left": curves[places[-1]][1] / self.start(experiment, real, curves[places[0]][1]),
        }
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
