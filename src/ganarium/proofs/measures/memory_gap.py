"""Measures how well a discriminator knows a few photographs by heart, against fakes that stay as they are."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ganarium.data.dataset import Dataset
from ganarium.proofs.changes import WithoutPlayer
from ganarium.proofs.experiment import Experiment, Measure, Measured, draw, subset
from ganarium.proofs.measures.critic import held_out_gap

OTHERS, COMPONENTS, COUNT = 1100, 100, 500


@dataclass(frozen=True)
class MemoryGap(Measure):
    """D learns from {num_train} photographs. Fakes are drawn from a Gaussian on 100 principal components of 1,100 other
    photographs, and G never learns. memory_gap: (E[D(train)] - E[D(held out)]) / (E[D(train)] - E[D(fake)]), on images
    as they are, 500 held-out ones and as many fakes: 0 if D scores held-out images like training ones, 1 if it takes
    them for fakes. sign_of_known: the mean sign of D's scores of its training images."""

    num_train: int = 100

    def data(self, experiment: Experiment) -> Dataset:
        return replace(subset(experiment.train, self.num_train, experiment.seed), labels=None)

    def prepare(self, experiment: Experiment, model: Any) -> None:
        model.generate = self._fakes(experiment)
        WithoutPlayer("G").apply(model)

    @torch.no_grad()
    def read(self, experiment: Experiment, model: Any) -> Measured:
        known = experiment.draw(self.data(experiment), self.num_train, 0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(experiment.seed)
            fake = self._fakes(experiment)(COUNT)
        values = {
            "memory_gap": held_out_gap(model.discriminator, known, experiment.draw(experiment.test, COUNT, 0), fake),
            "sign_of_known": model.discriminator(known).sign().mean().item(),
        }
        return Measured(values, fake[:64])

    def _fakes(self, experiment: Experiment) -> Callable[..., Tensor]:
        """A function of n that draws fakes (n, c, h, w)."""
        images = subset(experiment.train, self.num_train + OTHERS, experiment.seed).images[self.num_train :]
        others = draw(replace(experiment.train, images=images, labels=None), len(images), 0)
        mean, flat = others.mean(0), others.flatten(1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(experiment.seed)
            _, scales, axes = torch.pca_lowrank(flat, COMPONENTS, niter=3)
        basis = (axes * scales / len(flat) ** 0.5).T  # (components, pixels)

        def fakes(n: int, latent: Tensor | None = None, label: Tensor | None = None) -> Tensor:
            drawn = torch.randn(n, COMPONENTS) @ basis
            return (mean + drawn.view(n, *mean.shape)).clamp(-1, 1).to(experiment.device)

        return fakes
