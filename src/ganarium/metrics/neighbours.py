"""Compares samples by nearest neighbours: the two-sample test, precision and recall, density and coverage.

Distances are exact for copies and near copies too (`distances.py`); memory grows with n + m, not with n m.
"""

from typing import NamedTuple

from torch import Tensor

from ganarium.errors import UserError
from ganarium.metrics.checks import as_pair
from ganarium.metrics.distances import ball_counts, kth_distance

NAMES = ("real", "fake")


class NearestNeighbourTest(NamedTuple):
    accuracy: float
    real: float
    fake: float


class PrecisionRecall(NamedTuple):
    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    density: float
    coverage: float


def nearest_neighbour_test(real: Tensor, fake: Tensor) -> NearestNeighbourTest:
    """Leave-one-out accuracy of a 1-nearest-neighbour classifier that tells features (n, d) of reals and fakes apart.

    Each from 0 to 1, ideally 0.5: over all, over the reals, over the fakes. Both halves low: the fakes copy the reals.
    Reals low and fakes high: mode collapse. Both near 1: visibly different. A sample that has a nearest neighbour in
    both sets counts as half. Lopez-Paz and Oquab 2017; Xu et al. 2018 (arXiv 1806.07755).

    Raises `UserError` for unequal n, fewer than two samples, other d, or NaN.
    """
    first, second = as_pair(real, fake, NAMES, at_least=2, equal=True)
    share = []
    for own, other in ((first, second), (second, first)):
        near, far = kth_distance(own, own, 1, same=True), kth_distance(own, other, 1)
        share.append(float(((near < far).double() + (near == far).double() / 2).mean()))
    return NearestNeighbourTest(sum(share) / 2, *share)


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> PrecisionRecall:
    """Share of fakes (m, d) inside the manifold of the reals (n, d), and of reals inside that of the fakes; 0 to 1.

    The manifold of a set is the union of closed balls around its samples, each as wide as the distance to the sample's
    k-th nearest neighbour in the set, itself not counted. Grows with k and n: compare only equal ones.
    Kynkaanniemi et al. 2019 (arXiv 1904.06991), k = 3.

    Raises `UserError` unless both sets have more than k samples of the same d, all finite.
    """
    first, second = _with_neighbours(real, fake, k)
    shares = []
    for centres, points in ((first, second), (second, first)):
        balls, _ = ball_counts(points, centres, kth_distance(centres, centres, k, same=True), closed=True)
        shares.append(float((balls > 0).double().mean()))
    return PrecisionRecall(*shares)


def density_coverage(real: Tensor, fake: Tensor, k: int = 5) -> DensityCoverage:
    """How many of the balls around reals (n, d) hold a fake (m, d), as a share of k, and the share of balls that do.

    The balls are open, as wide as the distance to the k-th nearest other real. Density is at least 0 and can exceed 1;
    coverage is from 0 to 1. Of two real sets of n: density about 1, and coverage about 1 - 2^-k, 0.969 for k = 5
    (1 - (n-1)...(n-k) / ((2n-1)...(2n-k))), not 1. Naeem et al. 2020 (arXiv 2002.09797), k = 5.

    Raises `UserError` unless both sets have more than k samples of the same d, all finite.
    """
    first, second = _with_neighbours(real, fake, k)
    balls, held = ball_counts(second, first, kth_distance(first, first, k, same=True), closed=False)
    return DensityCoverage(float(balls.double().mean() / k), float((held > 0).double().mean()))


def _with_neighbours(real: Tensor, fake: Tensor, k: int) -> tuple[Tensor, Tensor]:
    if k < 1:
        raise UserError(f"k counts neighbours from 1, so it cannot be {k}.")
    return as_pair(real, fake, NAMES, at_least=k + 1)
