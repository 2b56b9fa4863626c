"""Measures a classifier that learns from few labels and from images without one.

The control is the same classifier, trained on the labelled images alone.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch

from ganarium import metrics
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, decode
from ganarium.evaluation.measures import classifier_accuracy
from ganarium.model import Step
from ganarium.proofs.changes import Change, ReplaceStep
from ganarium.proofs.experiment import Experiment, Measure, Measured, labels_of
from ganarium.proofs.measures.label_fidelity import read_classes, styles

ALONE = "the same classifier, trained for as many steps on the labelled images alone"
STILL = "G_never_learns: a run in which G stays as it was initialised."


@dataclass(frozen=True)
class FewLabels(Measure):
    """{labels_per_class} labels of each class, chosen by the seed. accuracy: the share of the 10,000 test images that
    the classifier gets right, with an exponential average of its weights (decay 0.99; in runs of 20,000 steps or more,
    the average that the model keeps). nearest_labelled: the label of the nearest labelled image, in pixels."""

    classifier: str  # an attribute of the model
    labels_per_class: int = 10

    def data(self, experiment: Experiment) -> Dataset:
        return experiment.train.keep_labels(self.labels_per_class, experiment.seed)

    def prepare(self, experiment: Experiment, model: Any) -> None:
        # the released averages of Improved GAN and CT-GAN span 10,000 steps, too many for a short run
        if experiment.scale.steps < 20_000 or self.classifier not in model.ema:
            model.ema = {self.classifier: 0.99}

    def read(self, experiment: Experiment, model: Any) -> Measured:
        images = None if isinstance(experiment.change, LabelsAlone) else model.sample(64, seed=experiment.seed)
        return Measured({"accuracy": classifier_accuracy(model, experiment.test)}, images)

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        return {"nearest_labelled": {"accuracy": nearest_labelled(self.data(experiment), experiment.test)}}


class FewLabelsAndFidelity(FewLabels):
    """fidelity: the share of 2,000 samples, equally many of each class, that a judge (a small classifier that comes
    with ganarium) assigns to the class that was asked for (the control's G never learns); regularised: the accuracy of
    the control if its loss also has the terms on images without a label that need neither D nor G."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        fidelity = read_classes(experiment, model)["fidelity"]
        values = {"accuracy": classifier_accuracy(model, experiment.test), "fidelity": fidelity}
        if not isinstance(experiment.change, LabelsAlone):
            return Measured(values, styles(model, experiment.train))
        if experiment.scale.level:
            rival = self(replace(experiment, change=ReplaceStep(regularised)))
            values["regularised"] = rival.values["accuracy"]
        return Measured(values)


@dataclass(frozen=True)
class LabelsAlone(Change):
    """The classifier, which a player moves, learns from the labelled images alone."""

    text = ALONE
    player: str = "D"

    def apply(self, model: Any) -> None:
        def step(batches: Batches) -> Step:
            image, label, _ = next(batches)
            yield self.player, {"labelled": torch.nn.functional.cross_entropy(model.class_logits(image), label)}

        model.step = step


def regularised(model: Any, batches: Batches) -> Step:
    """The step of Triple-GAN's C without D and G, with the terms that need neither, as the model has them."""
    image, label, unlabelled = next(batches)
    balance = 0.3 if model.iteration < model.config.num_pretraining_steps else 1e-3
    yield "C", model.own_terms(image, label, model.classifier(unlabelled).log_softmax(1), balance)


def nearest_labelled(train: Dataset, test: Dataset) -> float:
    """The accuracy of the label of the nearest labelled image."""
    assert train.labelled is not None
    known, asked = (decode(images).flatten(1) for images in (train.images[train.labelled], test.images))
    nearest = torch.cdist(asked, known).argmin(1)
    return metrics.accuracy(labels_of(train)[train.labelled][nearest], labels_of(test))
