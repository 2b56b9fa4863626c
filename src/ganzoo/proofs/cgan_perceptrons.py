"""CGAN with the paper's perceptrons: varied samples of the class that is asked for, from noise around 0."""

from typing import Any

from ganzoo.proofs.claims import Bound, Claim, Measured, Scale, Trial
from ganzoo.proofs.fidelity import CONTROL, MEASURE, fidelity_baselines, measure_fidelity, read
from ganzoo.proofs.training import data_of, trained

CLAIM = Claim(
    model="cgan",
    text="The paper's perceptrons, which images get by default, draw the class that G was asked for, in varied forms.",
    source="Mirza, Osindero 2014, section 4.1 and figure 2",
    control=CONTROL,
    measure=f"{MEASURE}. As a baseline, the same with the paper's z, uniform on [0, 1]",
    scales={
        "cpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=15_000,
            bounds=(Bound(value="fidelity", at_least=0.9), Bound(value="diversity", at_least=0.6)),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    return measure_fidelity(trial, "cgan")[0]


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    train, _ = data_of(trial.scale)
    papers = trained(trial, "cgan", train, alter=noise_from_0_to_1)
    return fidelity_baselines(trial, "cgan") | {"noise_from_0_to_1": read(papers, train, trial)}


def noise_from_0_to_1(model: Any) -> None:
    model.low, model.span = 0.0, 1.0
