"""DCGAN: with batch norm in G it learns, where without it does not; and what D's features are worth to a classifier."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganarium.data.dataset import Dataset, decode
from ganarium.layers.init import init_normal
from ganarium.model import Player
from ganarium.networks.dcgan import Generator
from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.training import Reader, data_of, drawn, mean_image_and_noise, trained, untrained

CLAIM = Claim(
    model="dcgan",
    text="Batch norm is critical for G to begin learning: with it, samples come near the data, in all their variety.",
    source="Radford et al. 2015, section 3",
    control="no batch norm in G, all else alike",
    measure="Frechet distance on a judge's features and coverage (k = 5), 5,000 samples. Shown beside them, with no "
    "threshold: accuracy on held-out images of a ridge classifier with few labels on D's max-pooled activations "
    "(section 5.1)",
    scales={
        "quick": Scale(
            data="glyphs",
            data_options={"characters": "digits", "size": (16, 16)},
            steps=400,
            batch_size=64,
            options={"width": 16, "lr": 1e-3},
            numbers={"labels": 200},
            bounds=(Bound(value="frechet_distance", at_most=21.0), Bound(value="coverage", at_least=0.05)),
        ),
        "cpu": Scale(
            data="fashion_mnist",
            steps=650,
            batch_size=64,
            numbers={"labels": 1000},
            bounds=(Bound(value="frechet_distance", at_most=22.0), Bound(value="coverage", at_least=0.04)),
        ),
        "gpu": Scale(
            data="fashion_mnist",
            steps=20_000,
            options={"width": 128},
            numbers={"labels": 1000},
            bounds=(Bound(value="frechet_distance", at_most=5.0), Bound(value="coverage", at_least=0.5)),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    train, test = data_of(trial.scale)
    model = trained(trial, "dcgan", train, alter=without_batch_norm if trial.control else None)
    images = model.sample(5000, seed=trial.seed)
    labels = trial.scale.numbers["labels"]
    values = {"accuracy": accuracy(lambda x: features(model, x), train, test, labels, trial.seed)}
    return Measured(Reader(train, 5000, trial.seed, trial.device).read(images) | values, images[:64])


def without_batch_norm(model: Any) -> None:
    width = model.discriminator.layers[0].out_channels
    model.generator = Generator(model.shape, model.config.latent_dim, width, batch_norm=False, last_bias=False)
    init_normal(model.generator)
    model.players["G"] = Player(model.generator, optimizer=model.players["G"].optimizer)


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    train, test = data_of(trial.scale)
    reader, start = Reader(train, 5000, trial.seed, trial.device), untrained(trial, "dcgan", train)
    labels = trial.scale.numbers["labels"]
    return {
        "untrained": {"accuracy": accuracy(lambda x: features(start, x), train, test, labels, trial.seed)}
        | reader.read(start.sample(5000, seed=trial.seed)),
        "pixels": {"accuracy": accuracy(lambda x: x.flatten(1), train, test, labels, trial.seed)},
        "mean_and_noise": reader.read(mean_image_and_noise(train, 5000, trial.seed)),
        "held_out_images": reader.read(drawn(test, min(5000, len(test)), trial.seed, trial.device)),
    }


@torch.no_grad()
def features(model: Any, images: Tensor) -> Tensor:
    """(n, c, h, w) -> (n, f): D's activations of every layer, max-pooled to 4x4."""
    found, x = [], images
    for layer in model.discriminator.layers:
        x = layer(x)
        if isinstance(layer, nn.LeakyReLU):
            found.append(F.adaptive_max_pool2d(x, 4).flatten(1))
    return torch.cat(found, 1)


def accuracy(read: Callable[[Tensor], Tensor], train: Dataset, test: Dataset, labels: int, seed: int) -> float:
    """Of a ridge regression on the classes' one-hots, from `labels` random images, on 5,000 held-out ones."""
    assert train.labels is not None
    assert test.labels is not None
    chance = torch.Generator().manual_seed(seed)
    known, held = (torch.randperm(len(split), generator=chance)[:n] for split, n in ((train, labels), (test, 5000)))
    x, y = read(decode(train.images[known])).double(), train.labels[known]
    mean, scale = x.mean(0), x.std(0) + 1e-6
    x, own = (x - mean) / scale, (read(decode(test.images[held])).double() - mean) / scale
    fit = labels - labels // 5

    def predicted(n: int, weight: float, asked: Tensor) -> Tensor:
        """By the dual form: there are more features than images."""
        wanted = F.one_hot(y[:n], int(train.num_classes or 0)).double()
        centre = wanted.mean(0)
        dual = torch.linalg.solve(x[:n] @ x[:n].T + weight * torch.eye(n, dtype=x.dtype), wanted - centre)
        return (asked @ (x[:n].T @ dual) + centre).argmax(1)

    weights = [10.0**power for power in range(1, 7)]
    best = max(weights, key=lambda weight: (predicted(fit, weight, x[fit:]) == y[fit:]).double().mean().item())
    return (predicted(labels, best, own) == test.labels[held]).double().mean().item()
