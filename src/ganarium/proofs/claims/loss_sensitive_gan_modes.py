"""Loss-Sensitive GAN: the margin that grows with the distance of a fake from a real is what leads G to the data."""

from typing import Any

from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.measures.points import WORDS, measure_points, point_baselines

CLAIM = Claim(
    model="loss_sensitive_gan",
    text="A loss that must exceed a real's by the distance between fake and real leads G to the modes of a mixture.",
    source="Qi 2017, sections 3 and 4",
    control="no margin, so that a loss that is the same everywhere is perfect",
    measure=WORDS,
    scales={
        "quick": Scale(data="ring", steps=2500, bounds=(Bound(value="modes", at_least=5),)),
    },
)


def level(model: Any) -> None:
    model.margin_scale = 0.0


def measure(trial: Trial) -> Measured:
    return measure_points(trial, "loss_sensitive_gan", alter=level if trial.control else None)[0]


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    return point_baselines(trial, "loss_sensitive_gan")
