"""Measures whether InfoGAN's codes can be read from images, and what they come to mean."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from scipy.stats import rankdata
from torch import Tensor

from ganarium import metrics
from ganarium.data.dataset import decode
from ganarium.proofs.experiment import Experiment, Measure, Measured, labels_of, subset
from ganarium.proofs.measures.catgan_clusters import commonest_class
from ganarium.proofs.measures.samples import Reference


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
        reference = Reference(experiment.train, 2000, seed, experiment.device)
        digit = reference.judge.head(reference.judge.features(images)).argmax(1)
        table = torch.stack([digit[category == c].bincount(minlength=reference.judge.num_classes) for c in range(K)])
        values = {
            "information": math.log(K) - missed,
            "code_accuracy": (table.amax(1).sum() / table.sum()).item(),
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
