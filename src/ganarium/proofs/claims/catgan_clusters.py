"""CatGAN without labels: the categories that D finds are kinds of digits."""

import math
from typing import Any

import torch
from torch import Tensor

from ganarium import metrics
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, decode
from ganarium.model import Step
from ganarium.models.catgan import entropy, marginal_entropy
from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.training import data_of, trained

NAMED = 1000  # training images whose labels name the categories, once D has been trained

CLAIM = Claim(
    model="catgan",
    text="Without labels, D finds categories that are kinds of digits.",
    source="Springenberg 2015, section 3: D is a clustering, and its objective has three entropies",
    control="without the entropies of mean predictions, which ask for all categories to be used alike",
    measure="accuracy: share of the 10,000 test images whose digit is that of their category, the commonest one in it "
    f"of {NAMED:,} labelled training images; entropy: mean of D's prediction of a test image, in nats, and "
    "fake_entropy: the same of 2,000 samples; marginal: entropy of the mean prediction over its largest value, log K. "
    "As a baseline a run in which D is to be certain of fakes too, the sign of their entropy in its loss the other "
    "way round",
    paper="prints errors for MNIST without labels, not quoted here since we could not check them",
    scales={
        "cpu": Scale(
            data="mnist",
            data_options={"size": (16, 16)},
            steps=1500,
            options={"width": 16, "lr": 6e-4},
            bounds=(Bound(value="accuracy", at_least=0.65),),
        ),
        "gpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=20_000,
            bounds=(Bound(value="accuracy", at_least=0.85, over="most"),),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    train, test = data_of(trial.scale)
    model = trained(trial, "catgan", train, options={"marginal_weight": 0.0} if trial.control else None)
    return Measured(read(model, train, test, trial), by_category(test, predictions(model, test.images)))


def read(model: Any, train: Dataset, test: Dataset, trial: Trial) -> dict[str, float]:
    log_p = predictions(model, test.images)
    with torch.no_grad():
        log_fake = model.class_logits(model.sample(2000, seed=trial.seed)).log_softmax(1)
    return {
        "accuracy": named_accuracy(model, train, test, log_p, trial.seed),
        "entropy": entropy(log_p).mean().item(),
        "fake_entropy": entropy(log_fake).mean().item(),
        "marginal": marginal_entropy(log_p).item() / math.log(log_p.shape[1]),
    }


@torch.no_grad()
def predictions(model: Any, images: Tensor) -> Tensor:
    """Of uint8 images (n, h, w, c): log-probabilities (n, K)."""
    parts = [model.class_logits(decode(part).to(model.device)).log_softmax(1).cpu() for part in images.split(1000)]
    return torch.cat(parts).double()


def named_accuracy(model: Any, train: Dataset, test: Dataset, log_p: Tensor, seed: int) -> float:
    assert train.labels is not None
    assert test.labels is not None
    some = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:NAMED]
    category, K = predictions(model, train.images[some]).argmax(1), log_p.shape[1]
    count = (train.num_classes or 0) * category + train.labels[some]
    digit = count.bincount(minlength=K * (train.num_classes or 0)).view(K, -1).argmax(1)  # of an unused category: 0
    return metrics.accuracy(digit[log_p.argmax(1)], test.labels)


def by_category(test: Dataset, log_p: Tensor) -> Tensor:
    """A row of K test images of each of K categories, as far as it has so many."""
    rows, K = [], log_p.shape[1]
    for k in range(K):
        images = test.images[log_p.argmax(1) == k][:K]
        rows.append(torch.cat([decode(images), torch.full((K - len(images), *test.shape), -1.0)]))
    return torch.cat(rows)


def certain_of_fakes(model: Any) -> None:
    """D is to be certain of fakes as of reals, which is the wrong sign."""
    whole = model.step

    def step(batches: Batches) -> Step:
        for player, terms, *rest in whole(batches):
            yield player, terms | ({"fake": -terms["fake"]} if player == "D" else {}), *rest

    model.step = step


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    train, test = data_of(trial.scale)
    assert test.labels is not None
    counts = test.labels.bincount()
    return {
        "one_category_for_all": {"accuracy": (counts.max() / counts.sum()).item(), "marginal": 0.0},
        "certain_of_fakes": read(trained(trial, "catgan", train, alter=certain_of_fakes), train, test, trial),
    }
