"""Samples beside held-out reals, picture after picture, in pixels: cheap, and without a judge.

Pixels see less than a judge's features do. They know samples that are all alike, samples in one place of the data, and
samples that stay far from all data; they do not know good digits from bad ones.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LIMIT = 256  # images that are looked at, of either kind
SIDE = 16  # pixels of a side, to which larger images are averaged
CLUSTERS = 10
FEW = 8  # reals below which nothing is said

IDENTICAL = 5e-4  # diversity of a generator that ignores its noise
POOR, FALLEN = 0.15, 0.25  # diversity, and as a part of the best of the run
CLOSE, ONE_PLACE = 0.5, 0.1  # distance from the nearest real in that of the mean real, and diversity
MANY, ONE = 5.0, 1.5  # live modes that a run has had, and has left
LIKE_DATA = 0.5  # distance from the reals below which live modes mean something
FAR, MOVED = 1.0, 0.08  # distance from the reals, and the part by which it changes while nothing is learnt


class Picture(NamedTuple):
    """What one picture's samples are like. Lengths are in mean distances between two reals."""

    step: int
    distance: float  # between the distributions: 2 E|x - y| - E|x - x'| - E|y - y'| (Szekely and Rizzo 2013)
    diversity: float  # mean distance between two samples
    modes: float  # of the reals' clusters, how many the samples are in: exp of the entropy
    arrived: bool  # half of them are right beside a real


class Gallery:
    """Held-out reals (n, c, h, w) or points (n, 2), and the pictures that were compared with them."""

    def __init__(self, reals: NDArray[Any]) -> None:
        self.reals = features(reals)
        self.pictures: list[Picture] = []
        self.spread = _mean_distance(self.reals)
        if self.useful:
            self.centres = _centres(self.reals)
            self.beside = CLOSE * _distances(self.reals.mean(0, keepdims=True), self.reals).min()

    @property
    def useful(self) -> bool:
        return len(self.reals) >= FEW and self.spread > 0

    def look(self, step: int, samples: NDArray[Any]) -> tuple[str, bool]:
        """How the samples have collapsed, "" if they have not, and whether one look is enough to say so."""
        if not self.useful or not np.isfinite(samples).all():
            return "", False
        picture = self._compared(step, features(samples))
        best = max((before.diversity for before in self.pictures), default=0.0)
        modes = max((before.modes for before in self.pictures if before.distance < LIKE_DATA), default=0.0)
        untrained = not self.pictures
        self.pictures.append(picture)
        diversity = f"samples differ {picture.diversity:.2%} as much as reals"
        if picture.diversity < IDENTICAL and not untrained:
            return "all samples are the same", True
        if picture.diversity < min(POOR, FALLEN * best):
            return f"{diversity}, {best:.1%} before", False
        if picture.arrived and picture.diversity < ONE_PLACE:
            return f"{diversity}, in one place of the data", False
        if modes >= MANY and picture.modes <= ONE:
            return f"samples are in {picture.modes:.1f} of {CLUSTERS} clusters of the reals, {modes:.1f} before", False
        return "", False

    def stalled(self, since: int) -> bool:
        """Whether the samples have stayed far from all data and come no nearer after a step."""
        distances = [picture.distance for picture in self.pictures if picture.step >= since]
        return len(distances) > 3 and min(distances) > FAR and max(distances) * (1 - MOVED) < min(distances)

    def _compared(self, step: int, samples: Array) -> Picture:
        to_reals = _distances(samples, self.reals)
        own = _mean_distance(samples)
        place = _distances(samples, self.centres).argmin(1)
        share = np.bincount(place, minlength=CLUSTERS) / len(samples)
        entropy = -(share * np.log(share, where=share > 0, out=np.zeros(CLUSTERS))).sum()
        return Picture(
            step=step,
            distance=float((2 * to_reals.mean() - own - self.spread) / self.spread),
            diversity=own / self.spread,
            modes=float(np.exp(entropy)),
            arrived=bool(np.median(to_reals.min(1)) < self.beside),
        )


def features(images: NDArray[Any]) -> Array:
    """(n, ...) -> float64 (n, d): the first images, averaged over squares of pixels where they are large."""
    images = np.asarray(images[:LIMIT], np.float64)
    if images.ndim == 4:
        n, c, h, w = images.shape
        square = max(1, min(h, w) // SIDE)
        rows, columns = h // square, w // square
        cut = images[:, :, : rows * square, : columns * square]
        images = cut.reshape(n, c, rows, square, columns, square).mean((3, 5))
    return images.reshape(len(images), -1)


def _distances(a: Array, b: Array) -> Array:
    squares = np.square(a).sum(1)[:, None] - 2 * a @ b.T + np.square(b).sum(1)
    return np.sqrt(np.maximum(squares, 0))


def _mean_distance(a: Array) -> float:
    """Between two different rows."""
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
