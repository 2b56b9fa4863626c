"""CatGAN, semi-supervised: ten labels of each class and images without labels make a better classifier."""

from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.measures.few_labels import CONTROL, MEASURE, classifier_baselines, measure_classifier

CLAIM = Claim(
    model="catgan",
    text="With ten labels of each class, the images without a label make D a better classifier.",
    source="Springenberg 2015, section 4 and table 1",
    control=CONTROL,
    measure=MEASURE,
    paper="prints errors for MNIST with 100 labels, not quoted here since we could not check them",
    scales={
        "cpu": Scale(
            data="mnist",
            data_options={"size": (16, 16)},
            steps=2000,
            options={"semi_supervised": True, "width": 16, "lr": 6e-4},
            numbers={"labels_per_class": 10},
            bounds=(Bound(value="accuracy", at_least=0.88),),
            gain="accuracy",
        ),
        "gpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=20000,
            options={"semi_supervised": True},
            numbers={"labels_per_class": 10},
            bounds=(Bound(value="accuracy", at_least=0.96),),
            gain="accuracy",
        ),
    },
)


def measure(trial: Trial) -> Measured:
    return measure_classifier(trial, "catgan", "discriminator")


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    return classifier_baselines(trial, "catgan", "discriminator")
