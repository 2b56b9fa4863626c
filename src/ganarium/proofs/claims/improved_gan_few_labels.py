"""Improved GAN: ten labels of each class and images without labels make a better classifier."""

from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.measures.few_labels import CONTROL, MEASURE, classifier_baselines, measure_classifier

CLAIM = Claim(
    model="improved_gan",
    text="With ten labels of each class, the images without a label make D a better classifier.",
    source="Salimans et al. 2016, section 6.1 and table 1",
    control=CONTROL,
    measure=f"{MEASURE}; and one with the non-saturating loss of G in place of feature matching",
    paper="MNIST with 100 labels, 300 epochs: 93 +- 6.5 errors in 10,000, that is 0.991",
    scales={
        "cpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=2400,
            options={"width": 250},
            numbers={"labels_per_class": 10},
            bounds=(Bound(value="accuracy", at_least=0.83),),
            gain="accuracy",
        ),
        "gpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=180000,
            numbers={"labels_per_class": 10},
            bounds=(Bound(value="accuracy", at_least=0.987),),
            gain="accuracy",
        ),
    },
)


def measure(trial: Trial) -> Measured:
    return measure_classifier(trial, "improved_gan", "discriminator")


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    return classifier_baselines(trial, "improved_gan", "discriminator", non_saturating={"loss": "non_saturating"})
