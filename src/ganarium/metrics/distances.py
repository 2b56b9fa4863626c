"""Euclidean distances between many points: fast by a matrix product, and right where that is not sure.

|x - y|^2 = |x|^2 + |y|^2 - 2 x.y loses all digits when x and y are nearly the same. So it only sorts the pairs: those
that its rounding error (bounded below) leaves undecided are computed again from the differences. What comes out is what
the differences give, for copies and near copies too, and two distances between equal pairs are equal to the last bit.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from ganarium.metrics.checks import BLOCK

SPARE = 8  # neighbours looked at beyond the k-th
EPS = torch.finfo(torch.float64).eps


def direct(first: Tensor, second: Tensor) -> Tensor:
    """(..., n, d), (..., m, d) -> distances (..., n, m) from the differences."""
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")


def paired(first: Tensor, second: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """The distances (p,) between `first[i]` and `second[j]`."""
    step = max(1, BLOCK // (2 * first.shape[1]))
    parts = zip(i.split(step), j.split(step), strict=True)
    return torch.cat([direct(first[a, None], second[b, None]).flatten() for a, b in parts])


def kth_distance(queries: Tensor, points: Tensor, k: int, *, same: bool = False) -> Tensor:
    """(n, d), (m, d) in float64 -> (n,) the distance from each query to its k-th nearest point, counted from 1.

    `same` says that the queries are the points: a point is then no neighbour of itself, but a copy of it is.
    """
    assert 1 <= k <= len(points) - same
    take = min(k + same + SPARE, len(points))
    found = queries.new_empty(len(queries))
    for rows, squared, slack in _blocks(queries, points):
        at = torch.arange(rows.start, rows.stop, device=queries.device)
        if same:
            squared[at - rows.start, at] = torch.inf
        near, index = squared.topk(take, largest=False)
        distance = paired(queries, points, at.repeat_interleave(take), index.flatten()).view(-1, take)
        found[rows] = distance.masked_fill(near.isinf(), torch.inf).kthvalue(k).values
        if take < len(points):
            # the k nearest are surely among those taken when the last of these is farther than rounding can hide, or
            # when k of them are copies
            unsure = at[(near[:, -1] <= near[:, k - 1] + 2 * slack[:, 0]) & (found[rows] > 0)]
            for few in unsure.split(max(1, BLOCK // len(points))):
                distance = direct(queries[few], points)
                if same:
                    distance[torch.arange(len(few), device=few.device), few] = torch.inf
                found[few] = distance.kthvalue(k).values
    return found


def ball_counts(points: Tensor, centres: Tensor, radius: Tensor, *, closed: bool) -> tuple[Tensor, Tensor]:
    """How many balls hold each point, (n,), and how many points each ball holds, (m,), both int64.

    `radius` (m,) belongs to the centres (m, d). A point at just that distance is inside when `closed`.
    """
    balls = torch.empty(len(points), dtype=torch.int64, device=points.device)
    held = torch.zeros(len(centres), dtype=torch.int64, device=points.device)
    limit = radius.square()
    for rows, squared, slack in _blocks(points, centres):
        squared -= limit
        inside = squared < 0
        i, j = (squared.abs() <= slack + 4 * EPS * limit).nonzero(as_tuple=True)
        if len(i) > inside.numel() // 8:  # copies everywhere
            distance = direct(points[rows], centres)
            inside = distance <= radius if closed else distance < radius
        elif len(i):
            distance = paired(points[rows], centres, i, j)
            inside[i, j] = distance <= radius[j] if closed else distance < radius[j]
        balls[rows] = inside.sum(1)
        held += inside.sum(0)
    return balls, held


def squared_blocks(queries: Tensor, points: Tensor) -> Iterator[Tensor]:
    """Squared distances (rows, m), some rows at a time, by the matrix product: for kernels, which are smooth."""
    for _, squared, _ in _blocks(queries, points):
        yield squared.clamp_(min=0)


def _blocks(queries: Tensor, points: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Some rows at a time: which, their squared distances (rows, m), and how wrong these may be at most (rows, 1).

    The bound is that of inner products of length d, |error| <= d u |x||y| with u = eps / 2 (Higham 2002, section 3.1),
    for the three terms together, doubled. The mean is taken off first, since only what is left counts.
    """
    centre = points.mean(0)
    points = points - centre
    length = points.square().sum(1)
    step = max(1, BLOCK // len(points))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        query = queries[rows] - centre
        own = query.square().sum(1, keepdim=True)
        squared = torch.addmm(length, query, points.T, alpha=-2).add_(own)
        yield rows, squared, 2 * (queries.shape[1] + 8) * EPS * (own + length.max())
