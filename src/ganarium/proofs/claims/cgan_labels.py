"""CGAN: the generator makes the class that it is asked for."""

from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.measures.label_fidelity import CONTROL, MEASURE, fidelity_baselines, measure_fidelity

CLAIM = Claim(
    model="cgan",
    text="A judge reads in a sample the class that G was asked for.",
    source="Mirza, Osindero 2014, section 4.1 and figure 2",
    control=CONTROL,
    measure=MEASURE,
    scales={
        "cpu": Scale(
            data="mnist",
            data_options={"size": (16, 16)},
            steps=8000,
            options={"network": "dcgan", "width": 16, "dropout": 0.1, "lr": 6e-4},
            bounds=(Bound(value="fidelity", at_least=0.9), Bound(value="diversity", at_least=0.6)),
        ),
        "gpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=20_000,
            options={"network": "dcgan", "dropout": 0.1},
            bounds=(Bound(value="fidelity", at_least=0.97), Bound(value="diversity", at_least=0.6)),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    return measure_fidelity(trial, "cgan")[0]


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    return fidelity_baselines(trial, "cgan")
