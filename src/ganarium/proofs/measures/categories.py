"""Measures whether categories that are learned without labels are kinds of digits, and what codes come to mean."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from scipy.stats import rankdata
from torch import Tensor

from ganarium import metrics
from ganarium.data.dataset import Dataset, decode
from ganarium.models.catgan import entropy, marginal_entropy
from ganarium.proofs.experiment import Experiment, Measure, Measured, labels_of, subset
from ganarium.proofs.measures.samples import Reference


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


class ReadableCodes(Measure):
    """information: log K - E[-log Q(c | G(z, c))] in nats, 2,000 samples; code_accuracy: the share of samples whose
    judged class is the commonest one of their category (the judge is a small classifier that comes with ganarium);
    matched_accuracy: the same, with each class matched to one category; real_accuracy: the same for Q's category of
    5,000 held-out images; slant: the rank correlation of a continuous code, from -2 to 2 in 9 steps, with the slant of
    the images, averaged over 50 samples of a category, and its size averaged over the categories; lean: by how much the
    slant changes on the way, averaged likewise and divided by the standard deviation of the slants of training images;
    both for the continuous code with the larger lean."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        if not model.config.information_weight:
            train_reader(experiment, model)
        held_out, seed = subset(experiment.test, 5000, experiment.seed), experiment.seed
        K, start = model.config.num_categories, model.config.noise_dim
        torch.manual_seed(seed)
        with torch.no_grad():
            code = model.latent(2000)
            images = model.generate(2000, code)
            category = code[:, start : start + K].argmax(1)
            missed = F.cross_entropy(model.D(images)[1][:, :K], category).item()
            said = model.D(decode(held_out.images).to(experiment.device))[1][:, :K].argmax(1).cpu()
        reference = Reference(experiment.train, experiment.draw(experiment.train, 2000))
        digit = reference.judge.logits(images).argmax(1)
        values = {
            "information": math.log(K) - missed,
            "code_accuracy": metrics.clustering_accuracy(category, digit, majority=True),
            "matched_accuracy": metrics.clustering_accuracy(digit, category),
            "real_accuracy": metrics.clustering_accuracy(labels_of(held_out), said),
            "frechet_distance": reference.compare(images)["frechet_distance"],
        }
        rows = model.sample(10 * K, seed=seed, code=torch.arange(K).repeat_interleave(10)[:, None])
        if model.config.num_continuous:
            codes = [slant_by_code(model, place) for place in range(model.config.num_continuous)]
            values["slant"], lean = max(codes, key=lambda pair: pair[1])
            values["lean"] = lean / slant(experiment.draw(experiment.train, 2000)).std().item()
        return Measured(values, rows)

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        return {"one_category_for_all": {"information": 0.0, "code_accuracy": commonest_class(experiment.test)}}


def train_reader(experiment: Experiment, model: Any) -> None:
    """Trains Q alone, on samples of the finished G, at five times the model's rate of 2e-4."""
    optimizer = torch.optim.Adam(model.Q.parameters(), lr=1e-3)
    size = experiment.scale.settings.get("batch_size", model.batch_size)
    for _ in range(experiment.scale.steps):
        code = model.latent(size)
        with torch.no_grad():
            seen = model.trunk(model.generate(size, code))
        loss = model.unread(model.Q(seen), code)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def slant_by_code(model: Any, place: int, each: int = 50) -> tuple[float, float]:
    """Moves a continuous code from -2 to 2; returns the rank correlation of code and slant, and the change of slant.

    Both are averaged over `each` images of a category, and then their sizes over the categories, since a code
    may lean one kind to the left and another to the right: nothing in the loss says that it means the same for all."""
    K, start = model.config.num_categories, model.config.noise_dim
    steps = torch.linspace(-2, 2, 9, device=model.device)
    code = model.latent(K * each)
    code[:, start : start + K] = torch.eye(K, device=model.device).repeat_interleave(each, 0)
    code = code.repeat_interleave(len(steps), 0)
    code[:, code.shape[1] - model.config.num_continuous + place] = steps.repeat(K * each)
    slants = slant(model.generate(len(code), code))
    rank = rank_correlation(slants.view(-1, len(steps))).view(K, each).mean(1)
    slants = slants.view(K, each, len(steps)).mean(1)
    return rank.abs().mean().item(), (slants[:, -1] - slants[:, 0]).abs().mean().item()


def rank_correlation(values: Tensor) -> Tensor:
    """(n, k) -> (n,): Spearman's, of every row with its places; 0 for a row of one value."""
    ranks = torch.as_tensor(rankdata(values.cpu(), axis=1)) - (values.shape[1] + 1) / 2
    order = torch.arange(values.shape[1]).double() - (values.shape[1] - 1) / 2
    return (ranks @ order) / (ranks.square().sum(1) * order.square().sum()).sqrt().clamp(min=1e-9)


def slant(images: Tensor) -> Tensor:
    """(n, c, h, w) in [-1, 1] -> (n,): columns by which the ink moves for a row, its covariance of row and column over
    its variance of rows."""
    ink = (images.double() + 1).sum(1)
    ink = ink / ink.sum((1, 2), keepdim=True).clamp(min=1e-9)
    row, column = (torch.arange(count, device=ink.device).double() for count in ink.shape[1:])
    from_row = row[:, None] - (ink * row[:, None]).sum((1, 2))[:, None, None]
    from_column = column - (ink * column).sum((1, 2))[:, None, None]
    spread = (ink * from_row.square()).sum((1, 2)).clamp(min=1e-9)
    return (ink * from_row * from_column).sum((1, 2)) / spread
