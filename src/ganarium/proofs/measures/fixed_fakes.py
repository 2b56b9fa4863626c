"""Measures a discriminator against fakes that stay as they are, since G never learns."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ganarium.data.dataset import Dataset
from ganarium.losses import gradient_norm
from ganarium.proofs.changes import WithoutPlayer
from ganarium.proofs.experiment import Experiment, Measure, Measured, Values, draw, subset
from ganarium.proofs.measures.discriminators import held_out_gap

OTHERS, COMPONENTS = 1100, 100  # photographs and principal components from which fakes are drawn
COUNT, PAIRS, NUM_POINTS = 500, 5000, 2000  # photographs; reals with a fake; points of a blob
STD, EVERY = 0.05, 200  # of a blob; steps between two readings
FAKE = torch.tensor([1.0, 0.0])  # where the blob of fakes is


class _FixedFakes(Measure):
    # no docstring: a result prints those of the subclasses

    def fakes(self, experiment: Experiment) -> Callable[[int], Tensor]:
        """A function that draws so many fakes, on the CPU."""
        raise NotImplementedError

    def prepare(self, experiment: Experiment, model: Any) -> None:
        fakes = self.fakes(experiment)
        model.generate = lambda n, latent=None, label=None: fakes(n).to(model.device)
        WithoutPlayer("G").apply(model)


@dataclass(frozen=True)
class MemoryGap(_FixedFakes):
    """D learns from {num_train} photographs. Fakes are drawn from a Gaussian on 100 principal components of 1,100 other
    photographs, and G never learns. memory_gap: (E[D(train)] - E[D(held out)]) / (E[D(train)] - E[D(fake)]), on images
    as they are, 500 held-out ones and as many fakes: 0 if D scores held-out images like training ones, 1 if it takes
    them for fakes. sign_of_known: the mean sign of D's scores of its training images."""

    num_train: int = 100

    def data(self, experiment: Experiment) -> Dataset:
        return replace(subset(experiment.train, self.num_train, experiment.seed), labels=None)

    def fakes(self, experiment: Experiment) -> Callable[[int], Tensor]:
        images = subset(experiment.train, self.num_train + OTHERS, experiment.seed).images[self.num_train :]
        others = draw(replace(experiment.train, images=images, labels=None), len(images), 0)
        mean, flat = others.mean(0), others.flatten(1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(experiment.seed)
            _, scales, axes = torch.pca_lowrank(flat, COMPONENTS, niter=3)
        basis = (axes * scales / len(flat) ** 0.5).T  # (components, pixels)
        return lambda n: (mean + (torch.randn(n, COMPONENTS) @ basis).view(n, *mean.shape)).clamp(-1, 1)

    @torch.no_grad()
    def read(self, experiment: Experiment, model: Any) -> Measured:
        known = experiment.draw(self.data(experiment), self.num_train, 0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(experiment.seed)
            fake = self.fakes(experiment)(COUNT).to(experiment.device)
        values = {
            "memory_gap": held_out_gap(model.discriminator, known, experiment.draw(experiment.test, COUNT, 0), fake),
            "sign_of_known": model.discriminator(known).sign().mean().item(),
        }
        return Measured(values, fake[:64])


class TwoBlobs(_FixedFakes):
    """Reals are drawn from N((0, 0), 0.05^2) and fakes from N((1, 0), 0.05^2), and G never learns. slope_real and
    slope_fake: the mean norm of D's gradient at 2,000 points of each, the largest of readings every 200 steps; slope:
    the larger of the two; slope_at_end: the same after the last step alone."""

    def data(self, experiment: Experiment) -> Dataset:
        generator = torch.Generator().manual_seed(experiment.seed)
        points = STD * torch.randn(10_000, 2, generator=generator)
        return replace(experiment.train, name="two blobs", images=points, labels=None, class_names=(), digest="")

    def fakes(self, experiment: Experiment) -> Callable[[int], Tensor]:
        return lambda n: STD * torch.randn(n, 2) + FAKE

    def __call__(self, experiment: Experiment) -> Measured:
        readings: list[Values] = []
        for model, _ in self.training(experiment, self.data(experiment), EVERY):
            readings.append(self.read(experiment, model).values)
        values = {name: max(reading[name] for reading in readings) for name in readings[0]}
        return Measured(values | {"slope_at_end": readings[-1]["slope"]})

    def read(self, experiment: Experiment, model: Any) -> Measured:
        points = STD * torch.randn(NUM_POINTS, 2, generator=torch.Generator().manual_seed(experiment.seed))
        real, fake = (
            gradient_norm(model.discriminator, blob.to(experiment.device)).mean().item()
            for blob in (points, points + FAKE)
        )
        return Measured({"slope": max(real, fake), "slope_real": real, "slope_fake": fake})


class MarginHeld(_FixedFakes):
    """Fakes are drawn from N(0, 2^2), and G never learns. held: the share of 5,000 pairs of a held-out real and a fake
    with L(fake) - L(real) at least 0.9 of the margin, their L1 distance; gap: the mean of L(fake) - L(real), divided by
    the mean margin (pairs that lie near each other raise it above 1)."""

    def fakes(self, experiment: Experiment) -> Callable[[int], Tensor]:
        return lambda n: 2 * torch.randn(n, 2)

    @torch.no_grad()
    def read(self, experiment: Experiment, model: Any) -> Measured:
        real = experiment.draw(experiment.test, PAIRS)
        fake = 2 * torch.randn(PAIRS, 2, generator=torch.Generator().manual_seed(experiment.seed)).to(real)
        margin, difference = (real - fake).abs().sum(1), model.L(fake) - model.L(real)
        held = (difference >= 0.9 * margin).double().mean().item()
        return Measured({"held": held, "gap": (difference.mean() / margin.mean()).item()})
