"""What proofs of conditional models share: whether a judge reads the class that was asked for."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ganarium import metrics
from ganarium.data.dataset import Dataset
from ganarium.proofs.claim import Measured, Trial
from ganarium.proofs.training import Reader, data_of, drawn, trained, untrained

CONTROL = "the labels of the training images are shuffled among them"
MEASURE = (
    "fidelity: share of 2,000 samples, as many of each class, that a judge reads as the class that was asked for. "
    "Shown beside it, of the same samples: Frechet distance and coverage on the judge's features, and diversity, the "
    "mean distance of two samples of one class over that of two images of the class, in pixels"
)
COUNT = 2000


def measure_fidelity(trial: Trial, model: str, **words: Any) -> tuple[Measured, Any]:
    """The values of a model trained as the trial says, and the model; its picture has a row for each class, and one
    code in each column. `words` are those of `training`."""
    train, _ = data_of(trial.scale)
    seen = shuffled(train, trial.seed) if trial.control else train
    made = trained(trial, model, seen, **words)
    return Measured(read(made, train, trial), styles(made, train)), made


def fidelity_baselines(trial: Trial, model: str) -> dict[str, dict[str, float]]:
    train, test = data_of(trial.scale)
    assert test.labels is not None
    places = torch.randperm(len(test), generator=torch.Generator().manual_seed(trial.seed))[:COUNT]
    held = replace(test, images=test.images[places], labels=test.labels[places])
    images = drawn(held, COUNT, 0, trial.device)
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))
    assert held.labels is not None
    return {
        "held_out_images": values(images, held.labels[order].to(trial.device), train, trial),
        "untrained": read(untrained(trial, model, train), train, trial),
    }


def shuffled(data: Dataset, seed: int) -> Dataset:
    """The split with its labels shuffled: images and classes stay, which belongs to which is lost."""
    assert data.labels is not None
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    return replace(data, labels=data.labels[order], digest="")


def read(model: Any, train: Dataset, trial: Trial) -> dict[str, float]:
    assert train.num_classes is not None
    asked = torch.arange(COUNT, device=trial.device) % train.num_classes
    return values(model.sample(COUNT, seed=trial.seed, label=asked), asked, train, trial)


def values(images: Tensor, asked: Tensor, train: Dataset, trial: Trial) -> dict[str, float]:
    """Of images (n, c, h, w) in [-1, 1] for which the classes `asked` (n,) were wanted."""
    reader = Reader(train, COUNT, trial.seed, trial.device)
    found = reader.read(images)
    said = reader.judge.head(reader.judge.features(images))
    return {
        "fidelity": metrics.label_fidelity(said, asked),
        "frechet_distance": found["frechet_distance"],
        "coverage": found["coverage"],
        "diversity": diversity(images.cpu(), asked.cpu(), train, trial.seed),
    }


def diversity(images: Tensor, asked: Tensor, train: Dataset, seed: int) -> float:
    """The mean distance of two samples of one class, over that of two training images of the class, on the average of
    the classes."""
    assert train.labels is not None
    ratios = []
    for label in range(train.num_classes or 0):
        own = replace(train, images=train.images[train.labels == label], labels=None)
        real = drawn(own, min(200, len(own)), seed, torch.device("cpu"))
        ratios.append(apart(images[asked == label][:200]) / apart(real))
    return sum(ratios) / len(ratios)


def apart(images: Tensor) -> float:
    return torch.pdist(images.flatten(1).double()).mean().item()


def styles(model: Any, train: Dataset) -> Tensor:
    """A row for each class and as many columns, with the same codes in all rows."""
    rows = train.num_classes or 0
    made: Tensor = model.sample(
        rows * rows, latent=model.latent(rows).repeat(rows, 1), label=torch.arange(rows).repeat_interleave(rows)
    )
    return made
