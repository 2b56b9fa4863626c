"""AC-GAN: the generator makes the class that it is asked for, though D is never told it."""

from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.measures.few_labels import accuracy
from ganarium.proofs.measures.label_fidelity import CONTROL, MEASURE, fidelity_baselines, measure_fidelity
from ganarium.proofs.training import data_of

CLAIM = Claim(
    model="acgan",
    text="A judge reads in a sample the class that G was asked for, though D is never told it.",
    source="Odena et al. 2016, sections 3 and 4.1",
    control=CONTROL,
    measure=f"{MEASURE}; accuracy, of D's own classes on the 10,000 test images",
    scales={
        "cpu": Scale(
            data="mnist",
            data_options={"size": (16, 16)},
            steps=3000,
            options={"generator_width": 32, "dropout": 0.0, "lr": 6e-4},
            bounds=(
                Bound(value="fidelity", at_least=0.9),
                Bound(value="diversity", at_least=0.6),
            ),
        ),
        "gpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=20_000,
            bounds=(
                Bound(value="fidelity", at_least=0.97),
                Bound(value="accuracy", at_least=0.98),
                Bound(value="diversity", at_least=0.6),
            ),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    (values, images), model = measure_fidelity(trial, "acgan")
    return Measured(values | {"accuracy": accuracy(model, data_of(trial.scale)[1])}, images)


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    return fidelity_baselines(trial, "acgan")
