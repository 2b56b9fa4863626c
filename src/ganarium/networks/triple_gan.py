"""The networks of Triple-GAN's MNIST experiment, for any height and width."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.layers.gaussian_noise import GaussianNoise
from ganarium.layers.labels import one_hot
from ganarium.layers.precision import full
from ganarium.layers.weight_norm import WeightNormed


class Generator(nn.Module):
    """(b, latent_dim) and one-hot labels (b, num_classes) -> (b, c, h, w) in [-1, 1]: a perceptron that reads the label
    at every layer."""

    def __init__(self, shape: tuple[int, int, int], latent_dim: int, width: int, num_classes: int) -> None:
        super().__init__()
        self.shape, size = shape, math.prod(shape)
        self.dense = nn.ModuleList(nn.Linear(n + num_classes, width, bias=False) for n in (latent_dim, width))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in self.dense)
        glorot = math.sqrt(2 / (width + num_classes + size))
        self.last = WeightNormed(width + num_classes, size, 0.0, glorot, trained_scale=True)
        for layer in self.dense:
            nn.init.xavier_uniform_(layer.weight)  # type: ignore[arg-type]

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        for dense, norm in zip(self.dense, self.norms, strict=True):
            z = F.softplus(norm(dense(torch.cat([z, y], 1))))
        image = self.last(torch.cat([z, y], 1)).sigmoid()
        return full(2 * image - 1).unflatten(1, self.shape)


class Discriminator(nn.Module):
    """(b, c, h, w) in [-1, 1] and labels (b,) -> score (b,): a perceptron that reads the label at every layer, with
    noise on what it reads beside it, `noise` times 0.3 on pixels in [0, 1] and 0.5 on what units say. Each unit's
    weights are a direction: their length is always 1."""

    def __init__(self, shape: tuple[int, int, int], width: int, num_classes: int, noise: float = 1.0) -> None:
        super().__init__()
        self.num_classes = num_classes
        sizes = [math.prod(shape), 2 * width, width, *[width // 2] * 3, 1]
        self.noises = nn.ModuleList(GaussianNoise(noise * std) for std in (0.3, *[0.5] * 5))
        self.layers = nn.ModuleList(
            WeightNormed(n + num_classes, units, 0.0, 0.1, trained_scale=False) for n, units in pairwise(sizes)
        )

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        x, y = (x.flatten(1) + 1) / 2, one_hot(label, self.num_classes, x.dtype)
        for index, (noise, layer) in enumerate(zip(self.noises, self.layers, strict=True)):
            x = layer(torch.cat([noise(F.relu(x) if index else x), y], 1))
        return full(x.squeeze(1))


class Classifier(nn.Module):
    """(b, c, h, w) -> logits (b, num_classes): five convolutions, batch norm, dropout, the mean over all places.

    Weights begin as N(0, 0.05), those of the last layer as N(0, 0.01)."""

    def __init__(self, channels: int, width: int, num_classes: int) -> None:
        super().__init__()
        widths, kernels = [channels, width, *[2 * width] * 2, *[4 * width] * 2], [5, 3, 3, 3, 3]
        layers: list[nn.Module] = []
        for index, ((fan_in, fan_out), kernel) in enumerate(zip(pairwise(widths), kernels, strict=True)):
            layers.append(nn.Conv2d(fan_in, fan_out, kernel, padding=kernel // 2, bias=False))
            nn.init.normal_(layers[-1].weight, 0.0, 0.05)  # type: ignore[arg-type]
            layers += [nn.BatchNorm2d(fan_out), nn.ReLU()]
            layers += [nn.MaxPool2d(2), nn.Dropout(0.5)] if index in (0, 2) else []
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.last = nn.Linear(4 * width, num_classes)
        nn.init.normal_(self.last.weight, 0.0, 0.01)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        return full(self.last(self.layers(x)))
