"""Adds Gaussian noise inside a network."""

import torch
from torch import Tensor, nn

from ganarium.layers.precision import full


class GaussianNoise(nn.Module):
    """Adds independent normal noise of deviation `std` in training, and nothing otherwise.

    In at least fp32, so that under autocast the same numbers are drawn.
    """

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and self.std):
            return x
        x = full(x)
        return x + self.std * torch.randn_like(x)


def noise_for_dropout(network: nn.Module, std: float) -> None:
    """Replaces every dropout of a network by noise."""
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.Dropout):
            network.set_submodule(name, GaussianNoise(std))
