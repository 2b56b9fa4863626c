"""Measures whether the categories that D finds without labels are kinds of digits."""

import math
from typing import Any

import torch
from torch import Tensor

from ganarium import metrics
from ganarium.data.dataset import Dataset, decode
from ganarium.models.catgan import entropy, marginal_entropy
from ganarium.proofs.experiment import Experiment, Measure, Measured, labels_of, subset


class NamedCategories(Measure):
    """accuracy: the share of the 10,000 test images whose digit is that of their category, the commonest one in it
    among 1,000 labelled training images; entropy: the mean entropy of D's prediction for a test image, in nats;
    fake_entropy: the same for 2,000 samples; marginal: the entropy of the mean prediction, divided by its largest
    value, log K."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        test, seed = experiment.test, experiment.seed
        log_p = predictions(model, test.images)
        with torch.no_grad():
            log_fake = model.class_logits(model.sample(2000, seed=seed)).log_softmax(1)
        values = {
            "accuracy": named_accuracy(model, experiment.train, test, log_p, seed),
            "entropy": entropy(log_p).mean().item(),
            "fake_entropy": entropy(log_fake).mean().item(),
            "marginal": marginal_entropy(log_p).item() / math.log(log_p.shape[1]),
        }
        return Measured(values, by_category(test, log_p))

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        return {"one_category_for_all": {"accuracy": commonest_class(experiment.test), "marginal": 0.0}}


def commonest_class(test: Dataset) -> float:
    """Returns the share of the commonest class."""
    counts = labels_of(test).bincount()
    return (counts.max() / counts.sum()).item()


@torch.no_grad()
def predictions(model: Any, images: Tensor) -> Tensor:
    """Log-probabilities (n, K) of uint8 images (n, h, w, c)."""
    parts = [model.class_logits(decode(part).to(model.device)).log_softmax(1).cpu() for part in images.split(1000)]
    return torch.cat(parts).double()


def named_accuracy(model: Any, train: Dataset, test: Dataset, log_p: Tensor, seed: int) -> float:
    """The accuracy of log-probabilities (n, K) of the test images, where each category has its commonest digit."""
    named, K = subset(train, 1000, seed), log_p.shape[1]
    count = (train.num_classes or 0) * predictions(model, named.images).argmax(1) + labels_of(named)
    digit = count.bincount(minlength=K * (train.num_classes or 0)).view(K, -1).argmax(1)  # of an unused category: 0
    return metrics.accuracy(digit[log_p.argmax(1)], labels_of(test))


def by_category(test: Dataset, log_p: Tensor) -> Tensor:
    """A row of K test images of each of K categories, as far as it has so many."""
    rows, K = [], log_p.shape[1]
    for k in range(K):
        images = test.images[log_p.argmax(1) == k][:K]
        rows.append(torch.cat([decode(images), torch.full((K - len(images), *test.shape), -1.0)]))
    return torch.cat(rows)
