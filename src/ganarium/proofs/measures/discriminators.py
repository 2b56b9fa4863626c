"""Measures discriminators: gradients, what they know by heart, what their features are worth, the balance with G."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.dataset import Dataset, decode
from ganarium.losses import gradient_norm
from ganarium.metrics import accuracy
from ganarium.proofs.experiment import Experiment, Measure, Measured, Values, labels_of, subset
from ganarium.proofs.measures.samples import SampleQuality


class CriticGradient(SampleQuality):
    """gradient_norm: the mean norm of the critic's gradient, at a random point on each of 512 lines from a held-out
    image to a sample; held_out_gap: (E[D(train)] - E[D(held out)]) / (E[D(train)] - E[D(G(z))]), 1,000 images of
    each."""

    def values(self, experiment: Experiment, model: Any, images: Tensor) -> Values:
        known, held_out = (experiment.draw(split, 1000) for split in (experiment.train, experiment.test))
        return super().values(experiment, model, images) | {
            "gradient_norm": gradient_between(model.critic, held_out[:512], images[:512], experiment.seed),
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


def gradient_between(D: nn.Module, real: Tensor, fake: Tensor, seed: int) -> float:
    """Returns the mean norm of D's gradient at one random place on the line from each real to its fake."""
    share = torch.rand(len(real), *[1] * (real.dim() - 1), generator=torch.Generator().manual_seed(seed)).to(real)
    return gradient_norm(D, share * real + (1 - share) * fake.to(real)).mean().item()


@torch.no_grad()
def held_out_gap(critic: nn.Module, known: Tensor, held_out: Tensor, fake: Tensor) -> float:
    """Returns 0 if the critic scores held-out images like training images, and 1 if it scores them like samples."""
    on_known, on_held_out, on_fake = (critic(images).mean().item() for images in (known, held_out, fake))
    return float((on_known - on_held_out) / (on_known - on_fake))


class Slope(Measure):
    """slope: the mean norm of D's gradient, at a random point on each of 256 lines from a held-out image to a sample;
    norm: the largest singular value among all weights of D, each as a matrix of its outputs."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        images = model.sample(256, seed=experiment.seed)
        real = experiment.draw(experiment.test, 256)
        slope = gradient_between(model.discriminator, real, images, experiment.seed)
        return Measured({"slope": slope, "norm": largest_norm(model.discriminator)}, images[:64])


@torch.no_grad()
def largest_norm(network: nn.Module) -> float:
    """The largest singular value among the weights of a network, each as a matrix of its outputs."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    norms: list[Tensor] = [torch.linalg.matrix_norm(layer.weight.flatten(1), 2) for layer in layers]
    return torch.stack(norms).max().item()


class FeaturesOfD(SampleQuality):
    """accuracy: the share of 5,000 held-out images that a ridge classifier gets right, trained with few labels on D's
    activations of every layer, max-pooled to 4x4."""

    def values(self, experiment: Experiment, model: Any, images: Tensor) -> Values:
        own = ridge_accuracy(lambda images: features_of_D(model, images), experiment)
        return super().values(experiment, model, images) | {"accuracy": own}

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
    train, test, count = experiment.train, experiment.test, experiment.scale.numbers["labels"]
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


class BalanceOfLosses(SampleQuality):
    """off_gamma: |ratio / gamma - 1|, where ratio is the mean of L(G(z)) divided by that of L(x), over the last half of
    the steps, which holds several swings of k; m_left: the mean of M in that half, divided by its mean in the first 50
    steps; k: at the end."""

    def __call__(self, experiment: Experiment) -> Measured:
        rows: list[Values] = []
        for trained, terms in self.training(experiment, experiment.train):
            rows += terms
            model = trained
        last, first = rows[len(rows) // 2 :], rows[:50]
        ratio = mean(row["G/reconstruction"] for row in last) / mean(row["D/real"] for row in last)
        own = {
            "off_gamma": abs(ratio / model.config.gamma - 1),
            "m_left": mean(row["G/convergence"] for row in last) / mean(row["G/convergence"] for row in first),
            "ratio": ratio,
            "k": model.k.item(),
        }
        values, images = self.read(experiment, model)
        return Measured(own | values, images)
