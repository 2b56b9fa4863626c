"""WGAN-GP: what the critic says is the Wasserstein distance between samples and data."""

from typing import Any

import torch
from scipy.stats import spearmanr

from ganarium.data.sources.points import MODE_STD, mode_centres
from ganarium.metrics import mode_coverage, wasserstein_distance
from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.training import data_of, drawn, training, untrained

PLACES = 30

CLAIM = Claim(
    model="wgan_gp",
    text="The critic's estimate follows the exact Wasserstein-1 distance of the samples, while G learns.",
    source="Gulrajani et al. 2017, section 5.3; Arjovsky et al. 2017, section 4.2",
    control="the penalty with its sign turned, so that nothing holds the critic's gradient",
    measure="correlation: Spearman's, of the critic's estimate, E[D(x)] - E[D(G(z))], with the exact W1 (assignment), "
    f"both of the same 1,000 points, at {PLACES * 4 // 5} places evenly spread over training but for its first fifth, "
    "in which the critic has to catch up; w1_left: W1 at the end over W1 at the first of them. Shown beside it: modes "
    "covered at 3 std by 2,500 points",
    scales={
        "quick": Scale(
            data="ring",
            steps=480,
            options={"width": 128, "lr": 5e-4, "beta1": 0.5, "penalty_weight": 1.0},
            bounds=(Bound(value="correlation", at_least=0.8), Bound(value="w1_left", at_most=0.6)),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    train, _ = data_of(trial.scale)
    sign = -1 if trial.control else 1

    def alter(model: Any) -> None:
        model.penalty_weight *= sign

    real = drawn(train, 1000, trial.seed, trial.device)
    estimates, exact = [], []
    for model, _ in training(trial, "wgan_gp", train, every=trial.scale.steps // PLACES, alter=alter):
        if model.iteration > trial.scale.steps // 5:  # before that the critic has to catch up
            points = model.sample(1000, seed=trial.seed)
            with torch.no_grad():
                estimates.append((model.critic(real).mean() - model.critic(points).mean()).item())
            exact.append(wasserstein_distance(real, points.double()))
    points = model.sample(2500, seed=trial.seed)
    found = mode_coverage(points.double(), mode_centres(train.name).double(), MODE_STD[train.name])
    return Measured(
        {
            "correlation": float(spearmanr(estimates, exact).statistic),
            "modes": found.covered,
            "high_quality": found.high_quality,
            "w1_left": exact[-1] / exact[0],
            "w1": exact[-1],
        },
        points[:2000],
    )


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    train, test = data_of(trial.scale)
    real, centres = drawn(train, 1000, trial.seed, trial.device).double(), mode_centres(train.name).double()
    things = {
        "held_out_points": drawn(test, 2500, trial.seed, trial.device),
        "untrained": untrained(trial, "wgan_gp", train).sample(2500, seed=trial.seed),
    }
    return {
        name: {
            "modes": mode_coverage(points.double(), centres, MODE_STD[train.name]).covered,
            "w1": wasserstein_distance(real, points[:1000].double()),
        }
        for name, points in things.items()
    }
