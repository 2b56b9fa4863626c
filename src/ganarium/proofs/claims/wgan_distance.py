"""WGAN: what the clipped critic says follows the Wasserstein distance between samples and data."""

from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from ganarium.metrics import wasserstein_distance
from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.measures.points import point_baselines, read_points
from ganarium.proofs.training import data_of, drawn, training, untrained

PLACES, FIRST, AROUND = 40, 5, 5  # by FIRST the critic has had 500 updates, and its weights have reached the clip
OPTIONS = {"clip": 0.05, "num_critic_steps": 20, "lr": 5e-4}
RIVAL = {"num_discriminator_steps": 20, "lr": 5e-4}

CLAIM = Claim(
    model="wgan",
    text="The critic's estimate follows the exact Wasserstein-1 distance of the samples, while G learns.",
    source="Arjovsky et al. 2017, section 4.2, figure 3",
    control="the non-saturating GAN with the same networks and learning rule: what its D says is no distance",
    measure="correlation: Spearman's, of the critic's estimate, E[D(x)] - E[D(G(z))] (of the GAN: minus its D's loss), "
    f"with the exact W1 (assignment), both of the same 1,000 points, at up to {PLACES} places after iteration {FIRST}, "
    "whose number of steps grows by a constant factor, since the distance falls early; at each both are the median of "
    f"{AROUND} iterations, as the curves of the paper are of 101; w1_left: W1 at the end over W1 "
    "before training. Shown beside them: modes hit at 3 std by 2,500 points",
    scales={
        "cpu": Scale(
            data="ring",
            steps=1400,
            options=OPTIONS,
            numbers={"generator_lr": 5e-5},
            bounds=(Bound(value="correlation", at_least=0.8), Bound(value="w1_left", at_most=0.4)),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    train, _ = data_of(trial.scale)
    real = drawn(train, 1000, trial.seed, trial.device)
    name = "gan" if trial.control else "wgan"
    before = untrained(trial, "wgan", train).sample(1000, seed=trial.seed)
    if trial.control:
        trial = replace(trial, scale=replace(trial.scale, options=RIVAL))
    estimates: dict[int, float] = {}
    exact: dict[int, float] = {}
    ends = sorted({round(end) for end in np.geomspace(FIRST + AROUND, trial.scale.steps, PLACES)})
    looked = {end - back for end in ends for back in range(AROUND)}
    for model, terms in training(trial, name, train, every=1, alter=slow(trial)):
        if model.iteration not in looked:
            continue
        points = model.sample(1000, seed=trial.seed)
        if trial.control:
            estimates[model.iteration] = -terms[-1]["D/real"] - terms[-1]["D/fake"]
        else:
            with torch.no_grad():
                estimates[model.iteration] = (model.critic(real).mean() - model.critic(points).mean()).item()
        exact[model.iteration] = wasserstein_distance(real, points.double())
    points = model.sample(2500, seed=trial.seed)
    values = {
        "correlation": float(spearmanr(*(medians(curve, ends) for curve in (estimates, exact))).statistic),
        "w1_left": exact[trial.scale.steps] / wasserstein_distance(real, before.double()),
    }
    return Measured(values | read_points(points, train, trial.seed), points[:2000])


def slow(trial: Trial) -> Callable[[Any], None]:
    """G has a rate of its own, so low that the critic keeps up with it."""

    def alter(model: Any) -> None:
        player = model.players["G"]
        player.optimizer = replace(player.optimizer, lr=trial.scale.numbers["generator_lr"])

    return alter


def medians(curve: dict[int, float], ends: list[int]) -> list[float]:
    """Of the last iterations up to each of these."""
    return [median(curve[end - back] for back in range(AROUND)) for end in ends]


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    return point_baselines(trial, "wgan")
