"""Weight norm (Salimans, Kingma 2016) as Improved GAN has it: with noise, and begun from data."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.precision import full


class WeightNormed(nn.Module):
    """Gaussian noise (in training), then a linear layer whose weights are directions of length 1 times a scale.

    Directions begin as N(0, std): the larger they are, the slower they turn.
    """

    scale: Tensor  # (units,): a parameter if `trained_scale`, else a buffer

    def __init__(self, fan_in: int, units: int, noise: float, std: float, *, trained_scale: bool) -> None:
        super().__init__()
        self.noise = noise
        self.direction = nn.Parameter(std * torch.randn(units, fan_in))
        self.bias = nn.Parameter(torch.zeros(units))
        if trained_scale:
            self.scale = nn.Parameter(torch.ones(units))
        else:
            self.register_buffer("scale", torch.ones(units))

    def forward(self, x: Tensor) -> Tensor:
        if self.training and self.noise:
            x = full(x)  # so that the noise is the same in any precision
            x = x + self.noise * torch.randn_like(x)
        return F.linear(x, F.normalize(self.direction) * self.scale[:, None], self.bias)

    @torch.no_grad()
    def begin(self, x: Tensor) -> Tensor:
        """Sets scale and bias so that the outputs have mean 0 and variance 1 on these inputs, and gives the outputs."""
        self.scale.fill_(1)
        self.bias.zero_()
        made = self(x)
        std, mean = torch.std_mean(made, 0, correction=0)
        self.scale.copy_(1 / std)
        self.bias.copy_(-mean / std)
        return (made - mean) / std
