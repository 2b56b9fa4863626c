"""f-GAN: a conjugate is a supremum over ratios of densities, which are never negative; without that G runs away."""

from contextlib import nullcontext
from unittest.mock import patch

from ganzoo.models.f_gan import DIVERGENCES, Divergence
from ganzoo.proofs.claims import Bound, Claim, Measured, Scale, Trial
from ganzoo.proofs.points import WORDS, measure_points, point_baselines

PUBLISHED = Divergence(lambda v: v, lambda v: v.square() / 4 + v, 0.0)
CLAIM = Claim(
    model="f_gan",
    text="Lowering a bound on Pearson's divergence, its conjugate taken over p/q >= 0, finds the modes of a mixture.",
    source="Nowozin et al. 2016, algorithm 1; the conjugate by its definition, section 2.2",
    control="Pearson's conjugate as in the paper's table, a parabola that rises again where V is surest of fakes",
    measure=WORDS,
    scales={
        "cpu": Scale(  # the control runs away from most seeds, and where it does not is no worse: so most seeds
            data="ring",
            steps=8000,
            options={"divergence": "pearson"},
            bounds=(Bound(value="modes", at_least=6, over="most"),),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    with patch.dict(DIVERGENCES, {"pearson": PUBLISHED}) if trial.control else nullcontext():
        return measure_points(trial, "f_gan")[0]


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    return point_baselines(trial, "f_gan")
