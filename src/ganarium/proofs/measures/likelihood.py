"""Measures the likelihood of held-out images: exact, for a model that has one, and by Parzen windows for one that has
none."""

import math
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images
from ganarium.proofs.experiment import Experiment, Measure, Measured, draw
from ganarium.proofs.measures.points import read_points
from ganarium.proofs.measures.samples import Reference, mean_image_and_noise

SIGMAS = torch.logspace(-1, 0, 10).tolist()  # as in the released code of Goodfellow et al.


class _BinaryLikelihood(Measure):
    # no docstring: a result prints those of the subclasses

    def shown(self, data: Dataset) -> Dataset:
        """What the model and the baselines see of a split."""
        return data

    def data(self, experiment: Experiment) -> Dataset:
        return self.shown(experiment.train)

    def read(self, experiment: Experiment, model: Any) -> Measured:
        images, test = model.sample(64, seed=experiment.seed), self.shown(experiment.test)
        with torch.no_grad():
            own = model.nll(images).mean().item()
            held_out = Batches(test, Images, 1, device=experiment.device).draw(self.count(experiment)).image
            torch.manual_seed(0)
            nats = torch.cat([model.nll(part) for part in held_out.split(100)]).mean().item()
        return Measured({"nats": nats, "nats_of_own_samples": own}, images)

    def count(self, experiment: Experiment) -> int:
        return min(experiment.scale.numbers["images"], len(experiment.test))

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        torch.manual_seed(0)
        counts = min(20_000, len(experiment.train)), self.count(experiment)
        splits = (self.shown(split) for split in (experiment.train, experiment.test))
        known, held_out = (binary_images(split, n) for split, n in zip(splits, counts, strict=True))
        return {
            "uniform": {"nats": math.prod(experiment.train.shape) * math.log(2)},
            **super().baselines(experiment),
            **{name: {"nats": nats} for name, nats in self.counted(known, held_out).items()},
        }

    def counted(self, known: Tensor, held_out: Tensor) -> dict[str, float]:
        """Nats of held-out images by the frequencies of known ones, both (n, h, w) of 0 and 1."""
        alone = (known.double().mean(0) * len(known) + 1) / (len(known) + 2)
        seen = [neighbours(known) == case for case in range(4)]
        table = torch.stack([((known * here).sum(0) + 0.5) / (here.sum(0) + 1) for here in seen])
        cases = [nearest_ten(images) for images in (known, held_out)]
        lit = torch.bincount(cases[0].flatten(), known.double().flatten(), minlength=1024)
        shared = (lit + 0.5) / (torch.bincount(cases[0].flatten(), minlength=1024) + 1)
        return {
            "pixels_by_themselves": cost(alone.expand_as(held_out), held_out),
            "table_of_left_and_up": cost(table.gather(0, neighbours(held_out)), held_out),
            "table_of_ten_before": cost(shared[cases[1]], held_out),
        }


class ExactLikelihood(_BinaryLikelihood):
    """nats: -log p of held-out images, whose pixels are made black or white at random (seed 0); nats_of_own_samples: of
    64 samples. Below 75 nats on MNIST the network must see the pixel that it predicts. Baselines: every pixel with its
    own frequency, a table by its left and upper neighbour, and one by the ten nearest pixels before it, which is the
    same at all places."""


class ThresholdedLikelihood(_BinaryLikelihood):
    """Pixels are white from half of full brightness on, and black below: such digits are the same in every batch, cost
    fewer nats, and stand beside no number of the paper. nats: -log p of held-out images; nats_of_own_samples: of 64
    samples. Baselines: every pixel with its own frequency, a table by its left and upper neighbour, and one by the ten
    nearest pixels before it, which is the same at all places."""

    def shown(self, data: Dataset) -> Dataset:
        return replace(data, images=torch.where(data.images >= 128, 255, 0).to(data.images.dtype), digest="")


def binary_images(data: Dataset, count: int) -> Tensor:
    """The first of a shuffled split as float (n, h, w) of 0 and 1."""
    grey = Batches(data, Images, 1).draw(count).image[:, 0].add(1).div(2)
    return (torch.rand_like(grey) < grey).float()


def neighbours(images: Tensor) -> Tensor:
    """(n, h, w) of 0 and 1 -> int64 (n, h, w): 1 if the pixel above is lit, plus 2 if the one to the left is."""
    case = torch.zeros_like(images)
    case[:, 1:] += images[:, :-1]
    case[:, :, 1:] += 2 * images[:, :, :-1]
    return case.long()


def nearest_ten(images: Tensor) -> Tensor:
    """(n, h, w) of 0 and 1 -> int64 (n, h, w): the ten nearest pixels before each in raster order, as bits."""
    height, width = images.shape[1:]
    padded, case = F.pad(images, (2, 2, 2, 0)).long(), torch.zeros_like(images, dtype=torch.int64)
    before = [(0, -1), (0, -2), *((1, x) for x in range(-2, 3)), *((2, x) for x in range(-1, 2))]  # rows up, columns
    for bit, (up, column) in enumerate(before):
        case += padded[:, 2 - up :, 2 + column :][:, :height, :width] << bit
    return case


def cost(chance: Tensor, binary: Tensor) -> float:
    """Mean nats of an image whose pixels are 1 with this chance."""
    return F.binary_cross_entropy(chance.double(), binary.double(), reduction="none").flatten(1).sum(1).mean().item()


class ParzenLikelihood(Measure):
    """Images: frechet_distance, coverage and the shares of the rarest and the commonest class of 5,000 samples, on the
    features of a judge (a small classifier that comes with ganarium); parzen_nats: the Parzen-window log-likelihood of
    1,000 held-out images, from 10,000 samples (28x28, pixels in [0, 1], the width chosen on 1,000 others). Points:
    wasserstein_distance, the exact Wasserstein-1 distance of 1,000 points; modes, the number that 2,500 points hit
    within 3 standard deviations; high_quality, the share of these points that lie so near."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        samples = model.sample(10_000, seed=experiment.seed)
        return Measured(self.values(experiment, samples), samples[: 64 if samples.dim() == 4 else 2000])

    def values(self, experiment: Experiment, samples: Tensor) -> dict[str, float]:
        """Returns the values of 10,000 images (n, 1, h, w) in [-1, 1] or points (n, 2)."""
        train, seed = experiment.train, experiment.seed
        if samples.dim() == 4:
            quality = Reference(train, experiment.draw(train, 5000)).compare(samples[:5000])
            return quality | {"parzen_nats": parzen(samples, experiment.test, seed)}
        own = read_points(samples[:2500], train, seed)
        return {"wasserstein_distance": own["w1"], **{name: own[name] for name in ("modes", "high_quality")}}

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        train = experiment.train
        if len(train.shape) == 1:
            others = {"held_out_points": experiment.draw(experiment.test, 10_000, 1)}
        else:
            noise = mean_image_and_noise(train, 10_000, experiment.seed)
            others = {"mean_and_noise": noise, "training_images": experiment.draw(train, 10_000, 1)}
        values = {name: self.values(experiment, samples) for name, samples in others.items()}
        return super().baselines(experiment) | values


def parzen(samples: Tensor, test: Dataset, seed: int) -> float:
    """The Parzen-window log-likelihood of the first GAN papers (Breuleux et al. 2010; Goodfellow et al. 2014): mean
    log-density, in nats, of 1,000 held-out images under Gaussians of one width around the samples (n, 1, h, w).

    Pixels are in [0, 1]; images padded to 32x32 are cut back to 28x28. The width is the best of ten on as many other
    held-out images. A rough measure: k-means centres score above real images (Theis et al. 2016, arXiv 1511.01844).
    """
    held_out = draw(test, 2000, seed).to(samples.device)
    points, chosen, judged = (_flat(images) for images in (samples, *held_out.chunk(2)))
    near = torch.cdist(chosen, points).square()
    best = max(SIGMAS, key=lambda sigma: _mean_density(near, sigma, points.shape[1]))
    return _mean_density(torch.cdist(judged, points).square(), best, points.shape[1])


def _mean_density(squared: Tensor, sigma: float, dimensions: int) -> float:
    inside = (-squared.double() / (2 * sigma**2)).logsumexp(1) - math.log(squared.shape[1])
    return float(inside.mean() - dimensions * math.log(sigma * math.sqrt(2 * math.pi)))


def _flat(images: Tensor) -> Tensor:
    """(n, 1, h, w) in [-1, 1] -> (n, d) in [0, 1], in float32."""
    pixels = images.float().add(1).div(2)
    return (pixels[:, :, 2:-2, 2:-2] if pixels.shape[2:] == (32, 32) else pixels).flatten(1)
