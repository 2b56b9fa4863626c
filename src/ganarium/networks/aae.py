"""The autoencoder of adversarial autoencoders (Makhzani et al. 2015): perceptrons of two hidden layers."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ganarium.layers.gaussian_noise import GaussianNoise
from ganarium.networks.mlp import MLP

Posterior = Literal["deterministic", "gaussian", "noise"]
NOISE_DIM = 10  # numbers of noise that an encoder of the kind `noise` reads beside the image
INPUT_NOISE = 0.6  # standard deviation: 0.3 of pixels in [0, 1], as published, and here they are in [-1, 1]


class Encoder(nn.Module):
    """(b, c, h, w) in [-1, 1] -> logits of `categories` and a code of `dim` numbers, side by side.

    `posterior` is what the code is of one image: one code (`deterministic`), a draw of a normal distribution whose mean
    and deviation the network gives (`gaussian`; in `eval` mode the mean), or what it makes of the image and of noise
    (`noise`). With categories there are noise on the image while it trains, and batch norm.
    """

    def __init__(
        self, shape: tuple[int, int, int], categories: int, dim: int, width: int, posterior: Posterior = "deterministic"
    ) -> None:
        super().__init__()
        self.posterior, self.split = posterior, [categories + dim, dim]
        inputs = math.prod(shape) + (NOISE_DIM if posterior == "noise" else 0)
        outputs = categories + dim * (2 if posterior == "gaussian" else 1)
        self.input_noise = GaussianNoise(INPUT_NOISE if categories else 0.0)
        self.layers = MLP(inputs, [width, width], (outputs,), norm="batch" if categories else "none")

    def forward(self, x: Tensor) -> Tensor:
        x = self.input_noise(x).flatten(1)
        if self.posterior == "noise":
            x = torch.cat([x, torch.randn(len(x), NOISE_DIM, device=x.device, dtype=x.dtype)], 1)
        code: Tensor = self.layers(x)
        if self.posterior == "gaussian":
            code, log_std = code.split(self.split, 1)
            if self.training:
                dim = self.split[1]
                logits, mean = code[:, :-dim], code[:, -dim:]
                code = torch.cat([logits, mean + log_std.exp() * torch.randn_like(mean)], 1)
        return code


class Decoder(nn.Module):
    """A one-hot row of `categories`, or a softmax, with a code of `dim` numbers beside it -> (b, c, h, w) in [-1, 1].

    With `heads` it reads z + W y instead of both: a point for each category, and the style around it.
    """

    def __init__(self, shape: tuple[int, int, int], categories: int, dim: int, width: int, *, heads: bool) -> None:
        super().__init__()
        self.categories = categories
        self.heads = nn.Linear(categories, dim, bias=False) if heads else None
        self.layers = MLP(dim if heads else categories + dim, [width, width], shape, last=nn.Tanh())

    def point(self, code: Tensor) -> Tensor:
        """What the first layer reads of codes (b, categories + dim)."""
        if self.heads is None:
            return code
        point: Tensor = code[:, self.categories :] + self.heads(code[:, : self.categories])
        return point

    def crowding(self, distance: float) -> Tensor:
        """The sum over pairs of heads of how much less than `distance` lies between them."""
        assert self.heads is not None
        first, second = torch.triu_indices(self.categories, self.categories, 1, device=self.heads.weight.device)
        apart = self.heads.weight[:, first] - self.heads.weight[:, second]  # (dim, pairs)
        # a root at 0 has no gradient, and heads may begin anywhere
        return (distance - apart.square().sum(0).add(1e-12).sqrt()).relu().sum()

    def forward(self, code: Tensor) -> Tensor:
        image: Tensor = self.layers(self.point(code))
        return image
