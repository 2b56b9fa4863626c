"""DRAGAN: D must learn to tell reals from fakes; held by the penalty alone it teaches G nothing."""

from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.measures.points import WORDS, measure_points, point_baselines, without_terms

CLAIM = Claim(
    model="dragan",
    text="With D's slope held around the data, and only there, G finds the modes of a mixture.",
    source="Kodali et al. 2017, sections 2.4 to 2.6",
    control="D trained by the penalty alone, as in a loop that is widely copied",
    measure=WORDS,
    scales={
        "cpu": Scale(data="ring", steps=10_000, bounds=(Bound(value="modes", at_least=6),)),
    },
)
PENALTY_ALONE = without_terms("D", lambda term: term == "penalty")


def measure(trial: Trial) -> Measured:
    return measure_points(trial, "dragan", alter=PENALTY_ALONE if trial.control else None)[0]


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    return point_baselines(trial, "dragan")
