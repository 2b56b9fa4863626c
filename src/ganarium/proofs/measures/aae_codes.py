"""Measures whether the codes of all images together are distributed like the prior, and what the decoder makes of them.

Also what the categories of codes are worth, beside k-means on pixels.
"""

from typing import Any

import torch
from torch import Tensor

from ganarium import metrics
from ganarium.data.dataset import decode
from ganarium.proofs.experiment import Experiment, Measure, Measured
from ganarium.proofs.measures.categories import NamedCategories
from ganarium.streams import undisturbed

NUM_DIRECTIONS = 50


class CodesLikeThePrior(Measure):
    """sliced_distance: the Wasserstein-1 distance between the codes of the 10,000 test images and as many draws of the
    prior, along a direction and divided by the prior's standard deviation there, the mean over 50 random directions;
    std_low and std_high: the standard deviations of the two numbers of a code, divided by the prior's; error: the mean
    squared error of a test image made again from its code, with pixels in [0, 1]."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        images = decode(experiment.test.images).to(experiment.device)
        codes = model.encode(images)
        made = torch.cat([model.decode(part) for part in codes.split(1000)])
        error = ((made - images) / 2).square().mean().item()
        return Measured(compare(codes, draws(model, experiment.seed)) | {"error": error}, model.sample(64, seed=0))

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        model = experiment.untrained(experiment.train)
        images = decode(experiment.test.images)
        mean = decode(experiment.train.images).mean(0)
        return {
            "draws_of_the_prior": compare(*(draws(model, experiment.seed + place) for place in (1, 0))),
            "mean_image": {"error": ((mean - images) / 2).square().mean().item()},
            "untrained": self.read(experiment, model).values,
        }


def draws(model: Any, seed: int) -> Tensor:
    """10,000 codes from the prior."""
    with undisturbed(model, seed, "eval"):
        codes: Tensor = model.latent(10_000)
    return codes


def compare(codes: Tensor, prior: Tensor) -> dict[str, float]:
    """The values of codes (n, d) beside as many draws of the prior (n, d)."""
    codes, prior = codes.double().cpu(), prior.double().cpu()
    directions = torch.randn(codes.shape[1], NUM_DIRECTIONS, generator=torch.Generator().manual_seed(0)).double()
    own, wanted = ((part @ directions).sort(0).values for part in (codes, prior))
    ratio = codes.std(0) / prior.std(0)
    return {
        "sliced_distance": ((own - wanted).abs().mean(0) / wanted.std(0)).mean().item(),
        "std_low": ratio.min().item(),
        "std_high": ratio.max().item(),
    }


class NamedCategoriesAndKMeans(NamedCategories):
    """k_means: as many centres, found in the pixels of 10,000 training images, in the place of the categories."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        values, images = super().read(experiment, model)
        return Measured({name: values[name] for name in ("accuracy", "entropy", "marginal")}, images)

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        count = experiment.scale.options["num_categories"]
        return super().baselines(experiment) | {"k_means": {"accuracy": k_means_accuracy(experiment, count)}}


def k_means_accuracy(experiment: Experiment, count: int, steps: int = 30) -> float:
    """The accuracy of the commonest digit of the nearest of `count` centres, by the pixels."""
    train, test, classes = experiment.train, experiment.test, experiment.train.num_classes or 0
    assert train.labels is not None
    assert test.labels is not None
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(experiment.seed))[:10_000]
    known, labels = decode(train.images[order]).flatten(1), train.labels[order]
    centres = known[:count].clone()
    for _ in range(steps):
        nearest = torch.cdist(known, centres).argmin(1)
        for k in nearest.unique().tolist():
            centres[k] = known[nearest == k].mean(0)
    nearest = torch.cdist(known, centres).argmin(1)
    digit = (classes * nearest + labels).bincount(minlength=count * classes).view(count, -1).argmax(1)
    asked = torch.cdist(decode(test.images).flatten(1), centres).argmin(1)
    return metrics.accuracy(digit[asked], test.labels)
