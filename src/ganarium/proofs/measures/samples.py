"""Measures how near samples come to the data: Frechet distance and coverage on the features of a judge, and colours."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ganarium import metrics
from ganarium.data import halves
from ganarium.data.dataset import Dataset
from ganarium.data.sources.mnist_variants import HUES
from ganarium.evaluation.features import network_for, own_judge
from ganarium.metrics.judges.judge import Judge
from ganarium.models.bgan import binary
from ganarium.models.ebgan import EBGAN, pull_away
from ganarium.proofs.changes import Change
from ganarium.proofs.experiment import Experiment, Measure, Measured, Values, draw

NUM_COLOURED = 5000  # samples whose colours are measured


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


class ModelPerChannel(Change):
    """A grey model for each colour channel, which `JointColours` trains in place of one model for all."""


class JointColours(Measure):
    """Each image of the data is tinted in one of six hues at random. covariance_error: the relative Frobenius error of
    the 3x3 covariance of the channels over all pixels; hue_error: the total variation distance between the hues of
    bright pixels (by which channels are lit) and those of the data; 5,000 samples. cells: how many of the 60 pairs of
    hue and digit the samples hit, as a judge reads the digits (a small classifier that comes with ganarium)."""

    def data(self, experiment: Experiment) -> Dataset:
        return tint(experiment.train, 0)

    def __call__(self, experiment: Experiment) -> Measured:
        if experiment.change != ModelPerChannel():
            return super().__call__(experiment)
        train, channels = self.data(experiment), []
        for channel in range(3):
            grey = replace(train, images=train.images[..., channel : channel + 1])
            seed = 10 * experiment.seed + channel
            channels.append(self.trained(replace(experiment, seed=seed), grey).sample(NUM_COLOURED, seed=seed))
        samples = torch.cat(channels, 1)
        return Measured(self.values(experiment, samples), samples[:64])

    def read(self, experiment: Experiment, model: Any) -> Measured:
        samples = model.sample(NUM_COLOURED, seed=experiment.seed)
        return Measured(self.values(experiment, samples), samples[:64])

    def baselines(self, experiment: Experiment) -> dict[str, Values]:
        images = experiment.draw(tint(experiment.test, 1), NUM_COLOURED)
        grey = images.amax(1, keepdim=True).expand(-1, 3, -1, -1)
        return {
            "held_out_images": self.values(experiment, images),
            **super().baselines(experiment),
            "grey_repeated": self.values(experiment, grey),
        }

    def values(self, experiment: Experiment, samples: Tensor) -> Values:
        """Returns the values of images (n, 3, h, w) in [-1, 1]."""
        samples, real = samples.cpu(), draw(self.data(experiment), NUM_COLOURED, experiment.seed)
        judge = judge_of(experiment.train, experiment.device)
        own, true = (torch.cov(images.transpose(0, 1).flatten(1)) for images in (samples, real))
        hues, real_hues = pixel_hues(samples), pixel_hues(real)
        digits = judge.logits(samples.amax(1, keepdim=True)).argmax(1).cpu()
        lit = torch.stack([(hues == hue).flatten(1).sum(1) for hue in range(len(HUES))]).argmax(0)
        cells = (lit * judge.num_classes + digits)[digits < 10]  # some judges know letters
        return {
            "covariance_error": ((own - true).norm() / true.norm()).item(),
            "hue_error": 0.5 * (shares(hues) - shares(real_hues)).abs().sum().item(),
            "cells": float(len(torch.unique(cells))),
        }


def tint(data: Dataset, seed: int) -> Dataset:
    """Gives each image of a grey split one of six saturated hues, whatever the image shows."""
    hue = torch.randint(len(HUES), (len(data),), generator=torch.Generator().manual_seed(seed))
    colours = torch.tensor(list(HUES.values()), dtype=torch.uint8)[hue]
    return replace(data, images=data.images * colours.view(-1, 1, 1, 3), digest="")


def pixel_hues(images: Tensor) -> Tensor:
    """(n, h, w): the place in HUES of the channels that are above half, 6 for white, -1 for what is dark."""
    colours = torch.tensor([(0, 0, 0), *HUES.values(), (1, 1, 1)], dtype=torch.bool)
    return ((images > 0)[:, None] == colours[:, :, None, None]).all(2).int().argmax(1) - 1


def shares(hues: Tensor) -> Tensor:
    """How the bright pixels spread over the hues and white (7,)."""
    bright = hues[hues >= 0]
    return torch.bincount(bright, minlength=len(HUES) + 1).double() / max(len(bright), 1)
