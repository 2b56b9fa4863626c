"""CatGAN without labels: the categories that D finds are kinds of digits."""

import math
from typing import Any

import torch
from torch import Tensor

from ganzoo import metrics
from ganzoo.data.batches import Dataset, decode
from ganzoo.proofs.claims import Bound, Claim, Measured, Scale, Trial
from ganzoo.proofs.training import data_of, trained

NAMED = 1000  # training images whose labels name the categories, once D has been trained

CLAIM = Claim(
    model="catgan",
    text="Without labels, D finds categories that are kinds of digits.",
    source="Springenberg 2015, section 3: D is a clustering, and its objective has three entropies",
    control="without the entropies of mean predictions, which ask for all categories to be used alike",
    measure="accuracy: share of the 10,000 test images whose digit is that of their category, the commonest one in it "
    f"of {NAMED:,} labelled training images; entropy: mean of D's prediction of a test image, in nats; marginal: "
    "entropy of the mean prediction over its largest value, log K",
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
    log_p = predictions(model, test.images)
    mean = log_p.logsumexp(0) - math.log(len(log_p))
    values = {
        "accuracy": named_accuracy(model, train, test, log_p, trial.seed),
        "entropy": -(log_p.exp() * log_p).sum(1).mean().item(),
        "marginal": -(mean.exp() * mean).sum().item() / math.log(log_p.shape[1]),
    }
    return Measured(values, by_category(test, log_p))


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


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    _, test = data_of(trial.scale)
    assert test.labels is not None
    counts = test.labels.bincount()
    return {"one_category_for_all": {"accuracy": (counts.max() / counts.sum()).item(), "marginal": 0.0}}
