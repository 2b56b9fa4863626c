"""CT-GAN, semi-supervised: ten labels of each class and images without labels make a better classifier."""

from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.measures.few_labels import CONTROL, MEASURE, classifier_baselines, measure_classifier

CLAIM = Claim(
    model="ct_gan",
    text="With ten labels of each class, the images without a label make D a better classifier.",
    source="Wei et al. 2018, the semi-supervised experiments",
    control=CONTROL,
    measure=MEASURE,
    paper="prints errors for MNIST with 100 labels, not quoted here since we could not check them",
    scales={
        "cpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=2400,
            options={"semi_supervised": True, "width": 250},
            numbers={"labels_per_class": 10},
            bounds=(Bound(value="accuracy", at_least=0.81),),
            gain="accuracy",
        ),
        "gpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=180000,
            options={"semi_supervised": True},
            numbers={"labels_per_class": 10},
            bounds=(Bound(value="accuracy", at_least=0.987),),
            gain="accuracy",
        ),
    },
)


def measure(trial: Trial) -> Measured:
    return measure_classifier(trial, "ct_gan", "critic")


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    return classifier_baselines(trial, "ct_gan", "critic")
