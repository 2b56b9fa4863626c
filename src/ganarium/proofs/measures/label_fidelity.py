"""Measures whether a judge reads in samples the class that was asked for.

Also whether a network that scores the match of image and label knows which label an unseen image has.
"""

from dataclasses import replace
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
        values, images = super().read(experiment, model)
        return Measured(values | {"accuracy": classifier_accuracy(model, experiment.test)}, images)


class FidelityWithDropout(LabelFidelity):
    """with_dropout: the values below with G's dropout active, as in training."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        values, images = super().read(experiment, model)
        model.sample_mode = "train"
        active = read_classes(experiment, model)
        return Measured(values | {f"{key}_with_dropout": value for key, value in active.items()}, images)


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
        real = draw(own, min(200, len(own)), seed)
        ratios.append(mean_distance(images[asked == label][:200]) / mean_distance(real))
    return sum(ratios) / len(ratios)


def mean_distance(images: Tensor) -> float:
    return torch.pdist(images.flatten(1).double()).mean().item()


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
        values, images = super().read(experiment, model)
        return Measured({"area": area(experiment, model), **values}, images)


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
