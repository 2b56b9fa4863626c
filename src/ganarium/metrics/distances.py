"""Computes Euclidean distances between many points by a matrix product, and again where rounding could matter.

|x - y|^2 = |x|^2 + |y|^2 - 2 x.y loses all digits when x and y are nearly the same. So it only sorts the pairs: pairs
whose order its rounding error (bounded below) leaves open are computed again from the differences. The results are
those of the differences, for copies and near copies too, and two distances between equal pairs are equal to the last
bit.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from ganarium.metrics.checks import BLOCK

EXTRA_NEIGHBOURS = 8  # that are compared exactly, beyond the k-th
EPS = torch.finfo(torch.float64).eps


def direct_distances(first: Tensor, second: Tensor) -> Tensor:
    """(..., n, d), (..., m, d) -> distances (..., n, m) from the differences."""
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")


def paired_distances(first: Tensor, second: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """The distances (p,) between `first[i]` and `second[j]`."""
    step = max(1, BLOCK // (2 * first.shape[1]))
    parts = zip(i.split(step), j.split(step), strict=True)
    return torch.cat([direct_distances(first[a, None], second[b, None]).flatten() for a, b in parts])


def kth_distance(queries: Tensor, points: Tensor, k: int, *, same: bool = False) -> Tensor:
    """The distance (n,) from each query (n, d) to its k-th nearest point (m, d), counted from 1; all in float64.

    `same` says that the queries are the points: a point is then no neighbour of itself, but a copy of it is.
    """
    assert 1 <= k <= len(points) - same
    take = min(k + same + EXTRA_NEIGHBOURS, len(points))
    result = queries.new_empty(len(queries))
    for rows, squared, slack in _blocks(queries, points):
        at = torch.arange(rows.start, rows.stop, device=queries.device)
        if same:
            squared[at - rows.start, at] = torch.inf
        near, index = squared.topk(take, largest=False)
        distance = paired_distances(queries, points, at.repeat_interleave(take), index.flatten()).view(-1, take)
        result[rows] = distance.masked_fill(near.isinf(), torch.inf).kthvalue(k).values
        if take < len(points):
            # The k nearest are among those taken if the last of these is farther away than rounding can hide, or if k
            # of them are copies.
            unsure = at[(near[:, -1] <= near[:, k - 1] + 2 * slack[:, 0]) & (result[rows] > 0)]
            for part in unsure.split(max(1, BLOCK // len(points))):
                distance = direct_distances(queries[part], points)
                if same:
                    distance[torch.arange(len(part), device=part.device), part] = torch.inf
                result[part] = distance.kthvalue(k).values
    return result


def ball_counts(points: Tensor, centres: Tensor, radius: Tensor, *, closed: bool) -> tuple[Tensor, Tensor]:
    """Counts the balls that hold each point, (n,), and the points that each ball holds, (m,), both int64.

    `radius` (m,) belongs to the centres (m, d). A point at just that distance is inside when `closed`.
    """
    balls = torch.empty(len(points), dtype=torch.int64, device=points.device)
    points_inside = torch.zeros(len(centres), dtype=torch.int64, device=points.device)
    limit = radius.square()
    for rows, squared, slack in _blocks(points, centres):
        squared -= limit
        inside = squared < 0
        i, j = (squared.abs() <= slack + 4 * EPS * limit).nonzero(as_tuple=True)
        if len(i) > inside.numel() // 8:  # copies everywhere
            distance = direct_distances(points[rows], centres)
            inside = distance <= radius if closed else distance < radius
        elif len(i):
            distance = paired_distances(points[rows], centres, i, j)
            inside[i, j] = distance <= radius[j] if closed else distance < radius[j]
        balls[rows] = inside.sum(1)
        points_inside += inside.sum(0)
    return balls, points_inside


def squared_blocks(queries: Tensor, points: Tensor) -> Iterator[Tensor]:
    """Squared distances (rows, m) by the matrix product alone, some rows at a time: exact enough for smooth kernels."""
    for _, squared, _ in _blocks(queries, points):
        yield squared.clamp_(min=0)


def _blocks(queries: Tensor, points: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Some rows at a time: the rows, their squared distances (rows, m), and a bound of the error of these (rows, 1).

    The bound is that of inner products of length d, |error| <= d u |x||y| with u = eps / 2 (Higham 2002, section 3.1),
    for the three terms together, doubled. The mean of the points is subtracted first, which makes the bound smaller.
    """
    centre = points.mean(0)
    points = points - centre
    length = points.square().sum(1)
    step = max(1, BLOCK // len(points))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        query = queries[rows] - centre
        query_length = query.square().sum(1, keepdim=True)
        squared = torch.addmm(length, query, points.T, alpha=-2).add_(query_length)
        yield rows, squared, 2 * (queries.shape[1] + 8) * EPS * (query_length + length.max())
