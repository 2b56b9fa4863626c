"""Measures how steep a discriminator gets between data and fakes that stay as they are."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ganarium.data.dataset import Dataset
from ganarium.losses import gradient_norm
from ganarium.proofs.changes import WithoutPlayer
from ganarium.proofs.experiment import Experiment, Measure, Measured

STD, COUNT, EVERY = 0.05, 2000, 200  # of a blob; points of each; steps between two readings


class TwoBlobs(Measure):
    """Reals are drawn from N((0, 0), 0.05^2) and fakes from N((1, 0), 0.05^2), and G never learns. slope_real and
    slope_fake: the mean norm of D's gradient at 2,000 points of each, the largest of readings every 200 steps; slope:
    the larger of the two; slope_at_end: the same after the last step alone."""

    def data(self, experiment: Experiment) -> Dataset:
        generator = torch.Generator().manual_seed(experiment.seed)
        points = STD * torch.randn(10_000, 2, generator=generator)
        return replace(experiment.train, name="two blobs", images=points, labels=None, class_names=(), digest="")

    def prepare(self, experiment: Experiment, model: Any) -> None:
        model.generate = lambda n, latent=None, label=None: beside(STD * torch.randn(n, 2, device=model.device))
        WithoutPlayer("G").apply(model)

    def __call__(self, experiment: Experiment) -> Measured:
        readings: list[dict[str, float]] = []
        for model, _ in self.training(experiment, self.data(experiment), EVERY):
            readings.append(self.read(experiment, model).values)
        values = {name: max(reading[name] for reading in readings) for name in readings[0]}
        return Measured(values | {"slope_at_end": readings[-1]["slope"]})

    def read(self, experiment: Experiment, model: Any) -> Measured:
        points = STD * torch.randn(COUNT, 2, generator=torch.Generator().manual_seed(experiment.seed))
        real, fake = (
            gradient_norm(model.discriminator, blob.to(experiment.device)).mean().item()
            for blob in (points, beside(points))
        )
        return Measured({"slope": max(real, fake), "slope_real": real, "slope_fake": fake})


def beside(points: Tensor) -> Tensor:
    """Points (n, 2), moved by 1 along the first axis."""
    moved: Tensor = points + points.new_tensor([1.0, 0.0])
    return moved
