"""Measures what the discriminator of FastGAN keeps of the images that it has seen."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.layers.shapes import reflect_to_multiple
from ganarium.networks.fastgan import small_size
from ganarium.proofs.experiment import Experiment, Measure, Measured

COUNT, WEIGHT = 1000, 1e-3  # images; the ridge's weight, of features with deviation 1


class Redrawn(Measure):
    """Of 1,000 held-out images. error: the mean absolute error of what D's decoder of the whole image redraws, divided
    by that of the mean training image. unexplained: the share of the variance around that mean which a ridge regression
    from D's last map to the patches of the image leaves; it is fitted to 1,000 training images."""

    @torch.no_grad()
    def read(self, experiment: Experiment, model: Any) -> Measured:
        D = model.discriminator
        known, asked = (
            reflect_to_multiple(experiment.draw(data, COUNT), model.size)
            for data in (experiment.train, experiment.test)
        )
        maps = [last_maps(model, images) for images in (known, asked)]
        side = small_size(model.size)
        small_known, small = (F.interpolate(images, size=side, mode="area") for images in (known, asked))
        redrawn = torch.cat([D.decode_last(part) for part in maps[1].split(100)])
        error = (redrawn - small).abs().mean() / (small_known.mean(0) - small).abs().mean()
        left = unexplained([rows(part) for part in maps], [patches(images) for images in (known, asked)])
        return Measured({"error": error.item(), "unexplained": left}, redrawn[:64])


def last_maps(model: Any, images: Tensor) -> Tensor:
    """(n, c, s, s) -> (n, f, 8, 8)."""
    small = F.interpolate(images, size=small_size(model.size), mode="area")
    pairs = zip(images.split(100), small.split(100), strict=True)
    return torch.cat([model.discriminator(large, low).last for large, low in pairs])


def rows(maps: Tensor) -> Tensor:
    """(n, f, 8, 8) -> (64 n, f)."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2).double()


def patches(images: Tensor) -> Tensor:
    """(n, c, s, s) -> (64 n, c s^2 / 64): the patch below each place of an 8x8 map."""
    n, c, size, _ = images.shape
    p = size // 8
    return images.view(n, c, 8, p, 8, p).permute(0, 2, 4, 1, 3, 5).reshape(64 * n, c * p * p).double()


def unexplained(features: list[Tensor], targets: list[Tensor]) -> float:
    """The share of the variance of the second targets, around the mean of each place, that a ridge regression leaves;
    it is fitted to the first features and targets."""
    (x, x_asked), (y, y_asked) = features, targets
    mean, scale = x.mean(0), x.std(0) + 1e-6
    x, x_asked = (x - mean) / scale, (x_asked - mean) / scale
    of_place = y.view(-1, 64, y.shape[1]).mean(0)
    y, y_asked = ((each.view(-1, 64, y.shape[1]) - of_place).flatten(0, 1) for each in (y, y_asked))
    penalty = WEIGHT * len(x) * torch.eye(x.shape[1], dtype=x.dtype)
    weights = torch.linalg.solve(x.T @ x + penalty, x.T @ y)
    return ((y_asked - x_asked @ weights).square().mean() / y_asked.square().mean()).item()
