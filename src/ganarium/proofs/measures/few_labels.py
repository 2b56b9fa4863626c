"""What proofs on few labels share: a model that learns from them and from images without a label, beside its own
classifier on the labels alone."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ganarium import metrics
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, decode
from ganarium.model import Step
from ganarium.proofs.claim import Measured, Trial
from ganarium.proofs.training import data_of, trained, without_player

CONTROL = "the same classifier, trained for as many steps on the labelled images alone"
ACCURACY = (
    "accuracy: share of the 10,000 test images that the classifier reads right, with an average of its weights over a "
    "hundred steps or so, which the proof takes whatever average the model keeps, but in runs of 20,000 steps or more"
)
MEASURE = f"{ACCURACY}. As baselines: the nearest of the labelled images, by pixels, and a run in which G never learns"


def few_labels(trial: Trial) -> tuple[Dataset, Dataset]:
    """The two splits, the first with as many labels as the scale says, chosen by the trial's seed."""
    train, test = data_of(trial.scale)
    return train.keep_labels(trial.scale.numbers["labels_per_class"], trial.seed), test


def measure_classifier(trial: Trial, model: str, classifier: str) -> Measured:
    """The accuracy of a model's classifier, or in a control of the same on the labels alone."""
    train, test = few_labels(trial)
    made = learned(trial, model, classifier, train, on_labels_alone if trial.control else None)
    images = None if trial.control else made.sample(64, seed=trial.seed)
    return Measured({"accuracy": accuracy(made, test)}, images)


def classifier_baselines(
    trial: Trial, model: str, classifier: str, **others: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """`others` are options of the model by the name of a run that has them."""
    train, test = few_labels(trial)
    still = learned(trial, model, classifier, train, lambda made: without_player(made, "G"))
    return {
        "nearest_labelled": {"accuracy": nearest_labelled(train, test)},
        "G_never_learns": {"accuracy": accuracy(still, test)},
    } | {
        name: {"accuracy": accuracy(learned(trial, model, classifier, train, options=options), test)}
        for name, options in others.items()
    }


def learned(
    trial: Trial,
    model: str,
    classifier: str,
    train: Dataset,
    change: Callable[[Any], None] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """A model that was trained on few labels, with its classifier averaged."""

    def alter(made: Any) -> None:
        averaged(made, classifier, trial.scale.steps)
        if change:
            change(made)

    return trained(trial, model, train, alter=alter, options=options)


def averaged(model: Any, classifier: str, steps: int) -> None:
    """A running average of the classifier, over a hundred steps or so, in short runs and of models that have none: of
    the released ones that of Triple-GAN is as short, that of Improved GAN and CT-GAN is of ten thousand. No option has
    it."""
    if steps < 20_000 or classifier not in model.ema:
        model.ema = {classifier: 0.99}


def on_labels_alone(model: Any, player: str = "D") -> None:
    def step(batches: Batches) -> Step:
        image, label, _ = next(batches)
        yield player, {"labelled": torch.nn.functional.cross_entropy(model.class_logits(image), label)}

    model.step = step


def accuracy(model: Any, test: Dataset) -> float:
    assert test.labels is not None
    parts = test.images.split(1000)
    return metrics.accuracy(
        torch.cat([model.classify(decode(part).to(model.device)).cpu() for part in parts]), test.labels
    )


def nearest_labelled(train: Dataset, test: Dataset) -> float:
    """The accuracy of the label of the nearest labelled image."""
    assert train.labels is not None
    assert train.labelled is not None
    assert test.labels is not None
    known, asked = (decode(images).flatten(1) for images in (train.images[train.labelled], test.images))
    nearest: Tensor = torch.cdist(asked, known).argmin(1)
    return metrics.accuracy(train.labels[train.labelled][nearest], test.labels)
