"""Measures whether a judge reads in samples the class that was asked for."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ganarium import metrics
from ganarium.data.dataset import Dataset, decode
from ganarium.evaluation.measures import classifier_accuracy
from ganarium.proofs.experiment import Experiment, Measure, Measured, draw, labels_of, subset
from ganarium.proofs.measures.samples import Reference

COUNT = 2000


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
    train, seed = experiment.train, experiment.seed
    reference = Reference(train, COUNT, seed, experiment.device)
    quality = reference.compare(images)
    return {
        "fidelity": metrics.label_fidelity(reference.judge.head(reference.judge.features(images)), asked),
        "frechet_distance": quality["frechet_distance"],
        "coverage": quality["coverage"],
        "diversity": diversity(images.cpu(), asked.cpu(), train, seed),
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
