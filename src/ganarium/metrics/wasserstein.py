"""Computes the exact Wasserstein-1 distance of two samples."""

from torch import Tensor

from ganarium.errors import UserError
from ganarium.metrics.checks import as_pair
from ganarium.metrics.distances import direct_distances

MAX_SAMPLES = 5000  # time grows with the cube, memory with the square


def wasserstein_distance(a: Tensor, b: Tensor) -> float:
    """W1 of features (n, d) and (n, d): the least mean Euclidean distance over all one-to-one matchings (exact).

    At least 0, in units of the features; the cost is the distance, not its square. Symmetric. Of two finite samples of
    the same distribution it is above 0, the more so the larger d is, so compare only equal n. n = 2,000 takes seconds.
    Xu et al. 2018 (arXiv 1806.07755); for equal n the linear programme is an assignment.

    Raises `UserError` for unequal n, n above 5,000, other d, or NaN.
    """
    from scipy.optimize import linear_sum_assignment

    first, second = as_pair(a, b, equal=True)
    if len(first) > MAX_SAMPLES:
        raise UserError(
            f"the exact matching takes at most {MAX_SAMPLES} samples, not {len(first)}: take a random part of "
            "either set."
        )
    cost = direct_distances(first, second).cpu().numpy()
    rows, columns = linear_sum_assignment(cost)
    return float(cost[rows, columns].mean())
