"""CGAN with the paper's perceptrons: varied samples of the class that is asked for."""

from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.measures.label_fidelity import CONTROL, MEASURE, fidelity_baselines, measure_fidelity, read
from ganarium.proofs.training import data_of

CLAIM = Claim(
    model="cgan",
    text="The paper's perceptrons, which images get by default, draw the class that G was asked for, in varied forms.",
    source="Mirza, Osindero 2014, section 4.1 and figure 2",
    control=CONTROL,
    measure=f"{MEASURE}; with_dropout: the same with G's dropout active, as in training",
    scales={
        "cpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=12_000,
            bounds=(Bound(value="fidelity", at_least=0.9), Bound(value="diversity", at_least=0.6)),
        ),
        "gpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=40_000,
            bounds=(Bound(value="fidelity", at_least=0.9), Bound(value="diversity", at_least=0.6)),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    (values, images), model = measure_fidelity(trial, "cgan")
    model.sample_mode = "train"
    active = read(model, data_of(trial.scale)[0], trial)
    return Measured(values | {f"{key}_with_dropout": value for key, value in active.items()}, images)


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    return fidelity_baselines(trial, "cgan")
