"""Triple-GAN: ten labels of each class and images without labels make a better classifier."""

from ganzoo.proofs.claims import Bound, Claim, Measured, Scale, Trial
from ganzoo.proofs.few_labels import CONTROL, MEASURE, classifier_baselines, measure_classifier

CLAIM = Claim(
    model="triple_gan",
    text="With ten labels of each class, the images without a label make C a better classifier.",
    source="Li et al. 2017, section 5.1 and table 1",
    control=CONTROL,
    measure=MEASURE,
    paper="MNIST with 100 labels, 1,000 epochs: 0.91 +- 0.58 % error, that is 0.991",
    scales={
        "cpu": Scale(
            data="mnist",
            data_options={"size": (16, 16)},
            steps=12_000,
            options={"width": 256, "classifier_width": 16, "pseudo_start": 4000},
            numbers={"labels_per_class": 10},
            bounds=(Bound(value="accuracy", at_least=0.915),),
            gain="accuracy",
        ),
        "gpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=36000,
            numbers={"labels_per_class": 10},
            bounds=(Bound(value="accuracy", at_least=0.97),),
            gain="accuracy",
        ),
    },
)


def measure(trial: Trial) -> Measured:
    return measure_classifier(trial, "triple_gan", "classifier", player="C")


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    return classifier_baselines(trial, "triple_gan", "classifier")
