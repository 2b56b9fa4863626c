"""Triple-GAN: ten labels of each class and images without labels make a better classifier, and a generator by class."""

from functools import partial
from typing import Any

from ganarium.data.batches import Batches
from ganarium.model import Step
from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.measures.few_labels import (
    ACCURACY,
    CONTROL,
    accuracy,
    few_labels,
    learned,
    nearest_labelled,
    on_labels_alone,
)
from ganarium.proofs.measures.label_fidelity import read, styles

CLAIM = Claim(
    model="triple_gan",
    text="With ten labels of each class, the images without a label make C a better classifier, and G draws the class "
    "that it is told.",
    source="Li et al. 2017, sections 5.1 and 5.2, table 1",
    control=CONTROL,
    measure=f"{ACCURACY}; fidelity: share of 2,000 samples of G, which in the control never learns, that a judge reads "
    "as the class that was asked for; regularised: accuracy of the control with the entropy and the balance of "
    "unlabelled images besides, with which C must be level. As baselines the nearest of the labelled images, by "
    "pixels, and Triple-GAN with the released noise in D",
    paper="MNIST with 100 labels, 1,000 epochs: 0.91 +- 0.58 % error, that is 0.991",
    scales={
        "cpu": Scale(
            data="mnist",
            data_options={"size": (16, 16)},
            steps=5000,
            options={"width": 256, "classifier_width": 16, "noise": 0.0, "pseudo_start": 2000},
            numbers={"labels_per_class": 10},
            bounds=(Bound(value="accuracy", at_least=0.915), Bound(value="fidelity", at_least=0.8)),
            gain="accuracy",
            level=("accuracy", "regularised", 0.01),
        ),
        "gpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=36000,
            numbers={"labels_per_class": 10},
            bounds=(Bound(value="accuracy", at_least=0.97), Bound(value="fidelity", at_least=0.95)),
            gain="accuracy",
            level=("accuracy", "regularised", 0.01),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    train, test = few_labels(trial)
    alter = partial(on_labels_alone, player="C") if trial.control else None
    model = learned(trial, "triple_gan", "classifier", train, alter)
    values = {"accuracy": accuracy(model, test), "fidelity": read(model, train, trial)["fidelity"]}
    if trial.control and trial.scale.level:
        values["regularised"] = accuracy(learned(trial, "triple_gan", "classifier", train, regularised), test)
    return Measured(values, None if trial.control else styles(model, train))


def regularised(model: Any) -> None:
    """C's step without D and G, with the terms that need neither, as the model has them in both phases."""

    def step(batches: Batches) -> Step:
        image, label, unlabelled = next(batches)
        balance = 0.3 if model.iteration < model.config.num_pretraining_steps else 1e-3
        yield "C", model.own_terms(image, label, model.classifier(unlabelled).log_softmax(1), balance)

    model.step = step


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    train, test = few_labels(trial)
    noisy = learned(trial, "triple_gan", "classifier", train, options={"noise": 1.0})
    found = {"accuracy": accuracy(noisy, test), "fidelity": read(noisy, train, trial)["fidelity"]}
    return {"nearest_labelled": {"accuracy": nearest_labelled(train, test)}, "released_noise": found}
