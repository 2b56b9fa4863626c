"""Measures a critic: its gradient between data and samples, and whether it knows its training images by heart."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganarium.data.dataset import Dataset
from ganarium.losses import gradient_norm
from ganarium.proofs.experiment import Experiment, Values, subset
from ganarium.proofs.measures.samples import SampleQuality


class CriticGradient(SampleQuality):
    """gradient_norm: the mean norm of the critic's gradient, at a random point on each of 512 lines from a held-out
    image to a sample; held_out_gap: (E[D(train)] - E[D(held out)]) / (E[D(train)] - E[D(G(z))]), 1,000 images of
    each."""

    def values(self, experiment: Experiment, model: Any, images: Tensor) -> Values:
        known, held_out = (experiment.draw(split, 1000) for split in experiment.splits)
        return super().values(experiment, model, images) | {
            "gradient_norm": gradient_between(model, held_out[:512], images[:512], experiment.seed),
            "held_out_gap": held_out_gap(model.critic, known, held_out, images[:1000]),
        }


@dataclass(frozen=True)
class HeldOutGap(SampleQuality):
    """The model is trained on {num_train:,} images alone. gap: (E[D(train)] - E[D(held out)]) / (E[D(train)] -
    E[D(G(z))]), without dropout, 1,000 images of each: 0 if the critic scores held-out images like training ones, 1 if
    it scores them like samples."""

    num_train: int = 1000

    def data(self, experiment: Experiment) -> Dataset:
        return subset(experiment.train, self.num_train, experiment.seed)

    def values(self, experiment: Experiment, model: Any, images: Tensor) -> Values:
        known, held_out = (experiment.draw(split, 1000, 0) for split in (self.data(experiment), experiment.test))
        gap = held_out_gap(model.critic, known, held_out, images[:1000])
        return {"gap": gap, **super().values(experiment, model, images)}


def gradient_between(model: Any, real: Tensor, fake: Tensor, seed: int) -> float:
    """Returns the mean norm of the critic's gradient at one random place on the line from each real to its fake."""
    share = torch.rand(len(real), *[1] * (real.dim() - 1), generator=torch.Generator().manual_seed(seed)).to(real)
    return gradient_norm(model.critic, share * real + (1 - share) * fake.to(real)).mean().item()


@torch.no_grad()
def held_out_gap(critic: nn.Module, known: Tensor, held_out: Tensor, fake: Tensor) -> float:
    """Returns 0 if the critic scores held-out images like training images, and 1 if it scores them like samples."""
    on_known, on_held_out, on_fake = (critic(images).mean().item() for images in (known, held_out, fake))
    return float((on_known - on_held_out) / (on_known - on_fake))
