"""LSGAN: squared distances of a raw score from its targets lead G to the modes of a mixture."""

from typing import Any

from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.measures.points import WORDS, measure_points, point_baselines

CLAIM = Claim(
    model="lsgan",
    text="Squared distances of a raw score from its targets find the modes of a mixture.",
    source="Mao et al. 2016, section 3.2 and the mixture experiment of section 4.3",
    control="G aims at the target of fakes, c = a, which is a swapped coding",
    measure=WORDS,
    scales={
        "quick": Scale(data="ring", steps=2500, bounds=(Bound(value="modes", at_least=3),)),
        "cpu": Scale(data="grid", steps=6000, bounds=(Bound(value="modes", at_least=15),)),
    },
)


def swap(model: Any) -> None:
    a, b, _ = model.targets
    model.targets = a, b, a


def measure(trial: Trial) -> Measured:
    return measure_points(trial, "lsgan", alter=swap if trial.control else None)[0]


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    return point_baselines(trial, "lsgan")
