"""Measures how steep the discriminator of SNGAN is, and the norms of its weights."""

from typing import Any

import torch
from torch import Tensor, nn

from ganarium.losses import gradient_norm
from ganarium.proofs.experiment import Experiment, Measure, Measured


class Slope(Measure):
    """slope: the mean norm of D's gradient, at a random point on each of 256 lines from a held-out image to a sample;
    norm: the largest singular value among all weights of D, each as a matrix of its outputs."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        images = model.sample(256, seed=experiment.seed)
        real = experiment.draw(experiment.test, 256)
        share = torch.rand(256, 1, 1, 1, generator=torch.Generator().manual_seed(experiment.seed)).to(real)
        slope = gradient_norm(model.discriminator, share * real + (1 - share) * images).mean().item()
        return Measured({"slope": slope, "norm": largest_norm(model.discriminator)}, images[:64])


@torch.no_grad()
def largest_norm(network: nn.Module) -> float:
    """The largest singular value among the weights of a network, each as a matrix of its outputs."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    norms: list[Tensor] = [torch.linalg.matrix_norm(layer.weight.flatten(1), 2) for layer in layers]
    return torch.stack(norms).max().item()
