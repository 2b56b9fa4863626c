"""SGAN: ten labels of each class and images without labels make a better classifier."""

from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.measures.few_labels import CONTROL, MEASURE, classifier_baselines, measure_classifier

CLAIM = Claim(
    model="sgan",
    text="With ten labels of each class, the images without a label and the generated ones make D a better classifier.",
    source="Odena 2016, section 3.2 and table 1",
    control=CONTROL,
    measure=f"{MEASURE}; and one in which D sees no unlabelled image, since the paper does not say whether its D does",
    paper="prints accuracies for MNIST with 25 to 1,000 labels, not quoted here since we could not check them",
    scales={
        "cpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=1000,
            options={"width": 32},
            numbers={"labels_per_class": 10},
            bounds=(Bound(value="accuracy", at_least=0.82),),
            gain="accuracy",
        ),
        "gpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=20000,
            numbers={"labels_per_class": 10},
            bounds=(Bound(value="accuracy", at_least=0.9),),
            gain="accuracy",
        ),
    },
)


def measure(trial: Trial) -> Measured:
    return measure_classifier(trial, "sgan", "discriminator")


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    return classifier_baselines(trial, "sgan", "discriminator", without_unlabelled={"unlabelled": False})
