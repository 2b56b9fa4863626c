"""Measures whether samples show the class that was asked for, and classifiers that learn from few labels.

The control of these is the same classifier, trained on the labelled images alone.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from ganarium import metrics
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, decode
from ganarium.evaluation.measures import classifier_accuracy
from ganarium.losses import as_fake, as_real
from ganarium.model import Step
from ganarium.proofs.changes import Change, ReplaceStep
from ganarium.proofs.experiment import Experiment, Measure, Measured, draw, labels_of, subset
from ganarium.proofs.measures.samples import Reference
from ganarium.streams import undisturbed

COUNT, NUM_MATCHED = 2000, 5000


class LabelFidelity(Measure):
    """fidelity: the share of 2,000 samples, equally many of each class, that a judge (a small classifier that comes
    with ganarium) assigns to the class that was asked for; frechet_distance and coverage: of these samples, on the
    judge's features; diversity: the mean distance between two samples of a class, in pixels, divided by that between
    two training images of the class."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        return Measured(read_classes(experiment, model), styles(model, experiment.train))

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        held_out = subset(subset(experiment.test, COUNT, experiment.seed), COUNT, 0)
        images, labels = (part.to(experiment.device) for part in (decode(held_out.images), labels_of(held_out)))
        return {"held_out_images": read_images(experiment, images, labels), **super().baselines(experiment)}


class FidelityAndAccuracy(LabelFidelity):
    """accuracy: the share of the 10,000 test images that D's own classifier gets right."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        return super().read(experiment, model) | {"accuracy": classifier_accuracy(model, experiment.test)}


class FidelityWithDropout(LabelFidelity):
    """with_dropout: the values below with G's dropout active, as in training."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        measured = super().read(experiment, model)
        model.sample_mode = "train"
        return measured | {f"{key}_with_dropout": value for key, value in read_classes(experiment, model).items()}


def read_classes(experiment: Experiment, model: Any) -> dict[str, float]:
    """The values of as many samples of each class."""
    asked = torch.arange(COUNT, device=experiment.device) % (experiment.train.num_classes or 1)
    return read_images(experiment, model.sample(COUNT, seed=experiment.seed, label=asked), asked)


def read_images(experiment: Experiment, images: Tensor, asked: Tensor) -> dict[str, float]:
    """The values of images (n, c, h, w) in [-1, 1] for which the classes `asked` (n,) were wanted."""
    train = experiment.train
    reference = Reference(train, experiment.draw(train, COUNT))
    quality = reference.compare(images)
    return {
        "fidelity": metrics.label_fidelity(reference.judge.logits(images), asked),
        "frechet_distance": quality["frechet_distance"],
        "coverage": quality["coverage"],
        "diversity": diversity(images.cpu(), asked.cpu(), train, experiment.seed),
    }


def diversity(images: Tensor, asked: Tensor, train: Dataset, seed: int) -> float:
    """The mean distance of two samples of one class, over that of two training images of the class, on the average of
    the classes."""
    ratios = []
    for label in range(train.num_classes or 0):
        own = replace(train, images=train.images[labels_of(train) == label], labels=None)
        pairs = (images[asked == label][:200], draw(own, 200, seed))
        distances = [torch.pdist(part.flatten(1).double()).mean().item() for part in pairs]
        ratios.append(distances[0] / distances[1])
    return sum(ratios) / len(ratios)


def styles(model: Any, train: Dataset) -> Tensor:
    """A row for each class and as many columns, with the same codes in all rows."""
    rows = train.num_classes or 0
    latent, label = model.latent(rows).repeat(rows, 1), torch.arange(rows).repeat_interleave(rows)
    images: Tensor = model.sample(rows * rows, latent=latent, label=label)
    return images


class MatchArea(LabelFidelity):
    """area: the area under the ROC curve that parts the scores of 5,000 held-out images with their own label from those
    with another label, which is the chance that the right label scores higher. D has the statistics of batches of 500
    with both kinds, as in training, and an exponential average of its weights (decay 0.99)."""

    def prepare(self, experiment: Experiment, model: Any) -> None:
        model.ema = {"discriminator": 0.99}  # the weights of the last step alone are unsteady

    def read(self, experiment: Experiment, model: Any) -> Measured:
        return super().read(experiment, model) | {"area": area(experiment, model)}


def without_mismatched(model: Any, batches: Batches) -> Step:
    """The model's step without real images that have another label: only fakes are examples of what does not match."""
    D, Q, G = model.D, model.quality, model.generate
    real, label = next(batches)
    with torch.no_grad():
        fake = G(len(real), label=label)
    terms = {"match": as_real(D(real, label)), "mismatch": as_fake(D(fake, label))}
    yield "D", terms | {"real": as_real(Q(real)), "fake": as_fake(Q(fake))}
    fake = G(len(real), label=label)
    yield "G", {"adversarial": as_real(D(fake, label)), "quality": as_real(Q(fake))}


def area(experiment: Experiment, model: Any) -> float:
    """The area under the ROC curve of right labels over wrong ones, each held-out image with both. D is in the mode of
    training: its running statistics are of reals, wrong pairs and fakes alike, and unsteady."""
    test = experiment.test
    images, labels = test.images[:NUM_MATCHED].split(500), labels_of(test)[:NUM_MATCHED].to(experiment.device)
    scores = []
    with undisturbed(model, experiment.seed, "train"):
        for part, label in zip(images, labels.split(500), strict=True):
            image = decode(part).to(experiment.device).repeat(2, 1, 1, 1)
            scores.append(model.D(image, torch.cat([label, model.another(label)])).view(2, -1))
    return chance_above(*torch.cat(scores, 1))


def chance_above(right: Tensor, wrong: Tensor) -> float:
    """The chance that one of `right` (n,) is above one of `wrong` (m,); equal ones count half."""
    statistic = mannwhitneyu(right.cpu().double(), wrong.cpu().double(), method="asymptotic").statistic
    return float(statistic) / (len(right) * len(wrong))


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

    text = "the same classifier, trained for as many steps on the labelled images alone"
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
