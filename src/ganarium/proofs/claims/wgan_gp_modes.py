"""WGAN-GP: with its penalty the critic leads G to all modes of a mixture."""

from typing import Any

from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.measures.points import WORDS, measure_points, point_baselines

CLAIM = Claim(
    model="wgan_gp",
    text="A critic whose gradient is held at norm 1 leads G to all modes of a mixture.",
    source="Gulrajani et al. 2017, section 3, figure 1b and the released toy script (penalty weight 0.1)",
    control="the penalty with its sign turned, so that nothing holds the critic's gradient",
    measure=WORDS,
    scales={
        "quick": Scale(
            data="ring",
            steps=700,
            options={"width": 128, "lr": 1e-3, "beta1": 0.5, "penalty_weight": 0.1},
            bounds=(Bound(value="modes", at_least=4),),
        ),
        "cpu": Scale(
            data="grid",
            steps=2000,
            options={"width": 128, "lr": 1e-3, "beta1": 0.5, "penalty_weight": 0.1},
            bounds=(Bound(value="modes", at_least=18),),
        ),
    },
)


def turn(model: Any) -> None:
    model.penalty_weight *= -1


def measure(trial: Trial) -> Measured:
    return measure_points(trial, "wgan_gp", alter=turn if trial.control else None)[0]


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    return point_baselines(trial, "wgan_gp")
