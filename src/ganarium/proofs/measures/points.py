"""What proofs on 2-D points share: the modes of `ring` or `grid` that a trained generator hits, and how well."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganarium.data.dataset import Dataset
from ganarium.data.sources.points import MODE_STD, mode_centres
from ganarium.metrics import mode_coverage, wasserstein_distance
from ganarium.model import Step
from ganarium.proofs.claim import Measured, Trial
from ganarium.proofs.training import data_of, drawn, trained, untrained

WORDS = (
    "modes: those hit at 3 std by 2,500 points; high_quality: share of these points within 3 std of a mode. Shown "
    "beside them: near, the share within 9 std, and the exact W1 of 1,000 points"
)


def read_points(points: Tensor, train: Dataset, seed: int) -> dict[str, float]:
    """The values of 2,500 points (n, 2); the first 1,000 of them for W1."""
    points, centres = points.double().cpu(), mode_centres(train.name).double()
    std = MODE_STD[train.name]
    found = mode_coverage(points, centres, std)
    real = drawn(train, 1000, seed, torch.device("cpu")).double()
    return {
        "modes": found.covered,
        "high_quality": found.high_quality,
        "near": (torch.cdist(points, centres).min(1).values < 9 * std).double().mean().item(),
        "w1": wasserstein_distance(real, points[:1000]),
    }


def measure_points(trial: Trial, model: str, **words: Any) -> tuple[Measured, Any]:
    """The values of a model trained as the trial says, and the model. `words` are those of `training`."""
    train, _ = data_of(trial.scale)
    made = trained(trial, model, train, **words)
    points = made.sample(2500, seed=trial.seed)
    return Measured(read_points(points, train, trial.seed), points[:2000]), made


def point_baselines(trial: Trial, model: str) -> dict[str, dict[str, float]]:
    train, test = data_of(trial.scale)
    things = {
        "held_out_points": drawn(test, 2500, trial.seed, torch.device("cpu")),
        "untrained": untrained(trial, model, train).sample(2500, seed=trial.seed),
    }
    return {name: read_points(points, train, trial.seed) for name, points in things.items()}


def without_terms(player: str, kept: Callable[[str], bool]) -> Callable[[Any], None]:
    """An alteration of a model: only those terms of a player's loss that are `kept`."""

    def alter(model: Any) -> None:
        whole = model.step

        def step(batches: Any) -> Step:
            for name, terms, *watched in whole(batches):
                yield name, {key: term for key, term in terms.items() if name != player or kept(key)}, *watched

        model.step = step

    return alter
