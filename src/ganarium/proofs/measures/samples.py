"""Measures how near samples come to the data, on the features of a judge: Frechet distance and coverage."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganarium import metrics
from ganarium.data import halves
from ganarium.data.dataset import Dataset
from ganarium.evaluation.features import network_for, own_judge
from ganarium.metrics.judges.judge import Judge
from ganarium.models.bgan import binary
from ganarium.models.ebgan import EBGAN, pull_away
from ganarium.proofs.experiment import Experiment, Measure, Measured, Values, draw


def judge_of(data: Dataset, device: torch.device) -> Judge:
    """The judge of a data set (of the first domain, of two), or the nearest judge where there is none."""
    name, channels = (halves(data.name) or [data.name])[0], data.shape[0]
    judge = network_for(name, channels, own_judge(name, channels), device)
    assert isinstance(judge, Judge)
    return judge


class Reference:
    """Holds real images (n, c, h, w) of a data set as its judge sees them."""

    def __init__(self, data: Dataset, real: Tensor) -> None:
        self.judge = judge_of(data, real.device)
        self.real = self.judge.features(real)

    def compare(self, images: Tensor) -> Values:
        """Compares as many images as there are reals: Frechet distance, coverage, the judge's rarest and commonest
        class."""
        features = self.judge.features(images)
        shares = self.judge.head(features).argmax(1).bincount(minlength=self.judge.num_classes) / len(images)
        return {
            "frechet_distance": metrics.frechet_distance(self.real, features),
            "coverage": metrics.density_coverage(self.real[:2000], features[:2000]).coverage,
            "rarest_class": shares.min().item(),
            "commonest_class": shares.max().item(),
        }


@dataclass(frozen=True)
class SampleQuality(Measure):
    """frechet_distance and coverage: of {count:,} samples, on the features of a judge (a small classifier that comes
    with ganarium). rarest_class and commonest_class: the shares of samples that the judge assigns to these classes."""

    count: int = 2000
    num_held_out: int = 2000

    def read(self, experiment: Experiment, model: Any) -> Measured:
        images = model.sample(self.count, seed=experiment.seed)
        return Measured(self.values(experiment, model, images), images[:64])

    def values(self, experiment: Experiment, model: Any, images: Tensor) -> Values:
        """Returns the values of a model and its samples."""
        return self.reference(experiment).compare(images)

    def reference(self, experiment: Experiment) -> Reference:
        return Reference(experiment.train, experiment.draw(experiment.train, self.count))

    def baselines(self, experiment: Experiment) -> dict[str, Values]:
        reference = self.reference(experiment)
        return {
            "held_out_images": reference.compare(experiment.draw(experiment.test, self.num_held_out)),
            "mean_and_noise": reference.compare(mean_image_and_noise(experiment.train, self.count, experiment.seed)),
            **super().baselines(experiment),
        }


def mean_image_and_noise(train: Dataset, count: int, seed: int) -> Tensor:
    """Images (n, c, h, w) of the mean of every pixel plus noise of its standard deviation: they have no structure."""
    images, generator = draw(train, 5000, seed), torch.Generator().manual_seed(seed)
    noise = torch.randn(count, *images.shape[1:], generator=generator)
    return (images.mean(0) + images.std(0) * noise).clamp(-1, 1)


class BinarySampleQuality(SampleQuality):
    """Images are made binary at random: those of the data, and the control's samples, by their brightness."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        torch.manual_seed(experiment.seed)
        images = model.sample(self.count, seed=experiment.seed)
        images = binarise(images) if model.config.form == "continuous" else images
        return Measured(self.values(experiment, model, images), images[:64])

    def reference(self, experiment: Experiment) -> Reference:
        return Reference(experiment.train, binarise(experiment.draw(experiment.train, self.count)))

    def baselines(self, experiment: Experiment) -> dict[str, Values]:
        torch.manual_seed(experiment.seed)
        held_out = binarise(experiment.draw(experiment.test, self.num_held_out))
        untrained = experiment.untrained(experiment.train).sample(self.count, seed=experiment.seed)
        images = {"held_out_images": held_out, "untrained": untrained}
        return {name: self.reference(experiment).compare(part) for name, part in images.items()}


def binarise(images: Tensor) -> Tensor:
    return binary((images + 1) / 2)


@dataclass(frozen=True)
class CodesApart(SampleQuality):
    """squared_cosine: the mean squared cosine between the codes that D has for two samples, over the pairs in batches
    of 64 of {num_codes} samples; squared_cosine_of_data: the same for held-out images."""

    num_codes: int = 640

    def values(self, experiment: Experiment, model: EBGAN, images: Tensor) -> Values:
        held_out = experiment.draw(experiment.test, self.num_codes)
        return super().values(experiment, model, images) | {
            "squared_cosine": squared_cosine(model, images[: self.num_codes]),
            "squared_cosine_of_data": squared_cosine(model, held_out),
        }


@torch.no_grad()
def squared_cosine(model: EBGAN, images: Tensor) -> float:
    """f_PT of the codes that D has for images (n, c, h, w), the mean over batches of 64."""
    return torch.stack([pull_away(model.discriminator[0](batch)) for batch in images.split(64)]).mean().item()
