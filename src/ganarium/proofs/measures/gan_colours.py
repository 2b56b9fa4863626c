"""Measures whether the colours of samples are those of the data: covariance of the channels, hues, and hues of
digits."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ganarium.data.dataset import Dataset
from ganarium.data.sources.mnist_variants import HUES
from ganarium.proofs.changes import Change
from ganarium.proofs.experiment import Experiment, Measure, Measured, draw
from ganarium.proofs.measures.samples import judge_of

COUNT = 5000


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
            channels.append(self.trained(replace(experiment, seed=seed), grey).sample(COUNT, seed=seed))
        samples = torch.cat(channels, 1)
        return Measured(self.values(experiment, samples), samples[:64])

    def read(self, experiment: Experiment, model: Any) -> Measured:
        samples = model.sample(COUNT, seed=experiment.seed)
        return Measured(self.values(experiment, samples), samples[:64])

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        test = tint(experiment.test, 1)
        images = experiment.draw(test, min(COUNT, len(test)))
        grey = images.amax(1, keepdim=True).expand(-1, 3, -1, -1)
        return {
            "held_out_images": self.values(experiment, images),
            **super().baselines(experiment),
            "grey_repeated": self.values(experiment, grey),
        }

    def values(self, experiment: Experiment, samples: Tensor) -> dict[str, float]:
        """Returns the values of images (n, 3, h, w) in [-1, 1]."""
        samples, real = samples.cpu(), draw(self.data(experiment), COUNT, experiment.seed)
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
