"""Measures what D's features are worth to a linear classifier (Radford et al. 2015, section 5.1)."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.dataset import decode
from ganarium.metrics import accuracy
from ganarium.proofs.experiment import Experiment, Values, labels_of
from ganarium.proofs.measures.samples import SampleQuality


class FeaturesOfD(SampleQuality):
    """accuracy: the share of 5,000 held-out images that a ridge classifier gets right, trained with few labels on D's
    activations of every layer, max-pooled to 4x4."""

    def values(self, experiment: Experiment, model: Any, images: Tensor) -> Values:
        own = {"accuracy": ridge_accuracy(partial(features_of_D, model), experiment)}
        return super().values(experiment, model, images) | own

    def baselines(self, experiment: Experiment) -> dict[str, Values]:
        pixels = {"accuracy": ridge_accuracy(lambda image: image.flatten(1), experiment)}
        return super().baselines(experiment) | {"pixels": pixels}


@torch.no_grad()
def features_of_D(model: Any, images: Tensor) -> Tensor:
    """(n, c, h, w) -> (n, f): D's activations of every layer, max-pooled to 4x4."""
    features, x = [], images
    for layer in model.discriminator.layers:
        x = layer(x)
        if isinstance(layer, nn.LeakyReLU):
            features.append(F.adaptive_max_pool2d(x, 4).flatten(1))
    return torch.cat(features, 1)


def ridge_accuracy(features: Callable[[Tensor], Tensor], experiment: Experiment) -> float:
    """The accuracy, on 5,000 held-out images, of a ridge regression on the classes' one-hots, fitted to as many random
    images as the scale says. The weight of the penalty is chosen on a fifth of them."""
    (train, test), count = experiment.splits, experiment.scale.numbers["labels"]
    chance = torch.Generator().manual_seed(experiment.seed)
    known, held_out = (torch.randperm(len(split), generator=chance)[:n] for split, n in ((train, count), (test, 5000)))
    x, y = features(decode(train.images[known])).double(), labels_of(train)[known]
    mean, scale = x.mean(0), x.std(0) + 1e-6
    x, x_held_out = (x - mean) / scale, (features(decode(test.images[held_out])).double() - mean) / scale
    num_fit = count - count // 5

    def predict(n: int, weight: float, asked: Tensor) -> Tensor:
        """By the dual form: there are more features than images."""
        targets = F.one_hot(y[:n], int(train.num_classes or 0)).double()
        centre = targets.mean(0)
        dual = torch.linalg.solve(x[:n] @ x[:n].T + weight * torch.eye(n, dtype=x.dtype), targets - centre)
        return (asked @ (x[:n].T @ dual) + centre).argmax(1)

    weights = [10.0**power for power in range(1, 7)]
    best = max(weights, key=lambda weight: accuracy(predict(num_fit, weight, x[num_fit:]), y[num_fit:]))
    return accuracy(predict(count, best, x_held_out), labels_of(test)[held_out])
