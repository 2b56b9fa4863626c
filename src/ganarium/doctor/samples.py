"""Detects samples that have collapsed, by comparing them with held-out reals in pixels.

That is cheap and needs no judge, and pixels see less than a judge's features do. They know samples that are all alike,
samples in one place of the data, and samples that stay far from all data. They do not know good digits from bad ones.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LIMIT = 256  # images that are compared, of either kind
SIDE = 16  # pixels of a side, to which larger images are averaged
CLUSTERS = 10
MIN_REALS = 8  # fewer reals say nothing

IDENTICAL = 5e-4  # diversity of a generator that ignores its noise
POOR, FALLEN = 0.15, 0.2  # diversity, and as a part of the best of the run
CLOSE, ONE_PLACE = 0.5, 0.1  # distance from the nearest real in that of the mean real, and diversity
MANY, ONE = 5.0, 1.5  # live modes that a run has had, and has left
LIKE_DATA = 0.5  # distance from the reals below which live modes mean something
FAR, MOVED = 1.0, 0.08  # distance from the reals, and the part by which it changes while nothing is learnt


class SampleStatistics(NamedTuple):
    """Compares the samples of one step with reals. Lengths are in mean distances between two reals."""

    step: int
    distance: float
    """Between the distributions: 2 E|x - y| - E|x - x'| - E|y - y'| (Szekely and Rizzo 2013)."""
    diversity: float
    """Mean distance between two samples."""
    modes: float
    """How many of the reals' clusters the samples are in: exp of the entropy."""
    near_reals: bool
    """Whether half of the samples are right beside a real."""


class SampleHistory:
    """The statistics of a run's samples so far, beside held-out reals (n, c, h, w) or points (n, 2)."""

    def __init__(self, reals: NDArray[Any]) -> None:
        self.reals = features(reals)
        self.statistics: list[SampleStatistics] = []
        self.spread = _mean_distance(self.reals)
        if self.useful:
            self.centres = _centres(self.reals)
            self.near = CLOSE * _distances(self.reals.mean(0, keepdims=True), self.reals).min()

    @property
    def useful(self) -> bool:
        """Whether the reals are many enough, and differ."""
        return len(self.reals) >= MIN_REALS and self.spread > 0

    def collapse(self, step: int, samples: NDArray[Any]) -> tuple[str, bool]:
        """How the samples have collapsed ("" if they have not), and whether one examination is enough to say so."""
        if not self.useful or not np.isfinite(samples).all():
            return "", False
        now = self._compare(step, features(samples))
        best = max((before.diversity for before in self.statistics), default=0.0)
        modes = max((before.modes for before in self.statistics if before.distance < LIKE_DATA), default=0.0)
        untrained = not self.statistics
        self.statistics.append(now)
        diversity = f"samples differ {now.diversity:.2%} as much as reals"
        if now.diversity < IDENTICAL and not untrained:
            return "all samples are the same", True
        if now.diversity < min(POOR, FALLEN * best):
            return f"{diversity}, {best:.1%} before", False
        if now.near_reals and now.diversity < ONE_PLACE:
            return f"{diversity}, in one place of the data", False
        if modes >= MANY and now.modes <= ONE:
            return f"samples are in {now.modes:.1f} of {CLUSTERS} clusters of the reals, {modes:.1f} before", False
        return "", False

    def stalled(self, since: int) -> bool:
        """Whether the samples have stayed far from all data and come no nearer after a step."""
        distances = [statistics.distance for statistics in self.statistics if statistics.step >= since]
        return len(distances) > 3 and min(distances) > FAR and max(distances) * (1 - MOVED) < min(distances)

    def _compare(self, step: int, samples: Array) -> SampleStatistics:
        to_reals = _distances(samples, self.reals)
        between = _mean_distance(samples)
        cluster = _distances(samples, self.centres).argmin(1)
        share = np.bincount(cluster, minlength=CLUSTERS) / len(samples)
        entropy = -(share * np.log(share, where=share > 0, out=np.zeros(CLUSTERS))).sum()
        return SampleStatistics(
            step=step,
            distance=float((2 * to_reals.mean() - between - self.spread) / self.spread),
            diversity=between / self.spread,
            modes=float(np.exp(entropy)),
            near_reals=bool(np.median(to_reals.min(1)) < self.near),
        )


def features(images: NDArray[Any]) -> Array:
    """(n, ...) -> float64 (n, d): the first images, averaged over squares of pixels where they are large."""
    images = np.asarray(images[:LIMIT], np.float64)
    if images.ndim == 4:
        n, c, h, w = images.shape
        square = max(1, min(h, w) // SIDE)
        rows, columns = h // square, w // square
        cropped = images[:, :, : rows * square, : columns * square]
        images = cropped.reshape(n, c, rows, square, columns, square).mean((3, 5))
    return images.reshape(len(images), -1)


def _distances(a: Array, b: Array) -> Array:
    squares = np.square(a).sum(1)[:, None] - 2 * a @ b.T + np.square(b).sum(1)
    return np.sqrt(np.maximum(squares, 0))


def _mean_distance(a: Array) -> float:
    """The mean distance between two different rows."""
    centred = a - a.mean(0) if len(a) else a  # rows that are nearly the same would lose their difference
    n = len(a)
    return float(_distances(centred, centred)[np.triu_indices(n, 1)].mean()) if n > 1 else 0.0


def _centres(a: Array) -> Array:
    """The centres of k-means, always the same for the same rows."""
    centres = a[np.random.default_rng(0).choice(len(a), min(CLUSTERS, len(a)), replace=False)]
    for _ in range(20):
        nearest = _distances(a, centres).argmin(1)
        centres = np.stack([a[nearest == k].mean(0) if (nearest == k).any() else c for k, c in enumerate(centres)])
    return centres
