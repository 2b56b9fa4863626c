"""Measures how well clusters or codes, which have no names, agree with classes."""

import math

import torch
from torch import Tensor

from ganarium.errors import UserError
from ganarium.metrics.checks import as_label_pair

NAMES = ("cluster", "label")


def clustering_accuracy(cluster: Tensor, label: Tensor, *, majority: bool = False) -> float:
    """Share of samples (n,) that are right when every cluster is given a class in the best way, from 0 to 1.

    The best way is one-to-one (Kuhn 1955: the Hungarian method; Yang et al. 2010). Clusters without a class are wrong.
    `majority` instead gives each cluster its most frequent class, so that several may share one: the number of
    CatGAN and of the adversarial autoencoder, which have more clusters than classes. It never is the smaller one, and
    it tends to 1 with the number of clusters.

    Raises `UserError` for other lengths, or numbers that are not whole.
    """
    from scipy.optimize import linear_sum_assignment

    table = _table(cluster, label)
    if majority:
        return float(table.amax(1).sum() / table.sum())
    rows, columns = linear_sum_assignment(table.numpy(), maximize=True)
    return float(table[rows, columns].sum() / table.sum())


def normalised_mutual_information(cluster: Tensor, label: Tensor) -> float:
    """I(cluster; label) over the arithmetic mean of the two entropies, for whole numbers (n,); from 0 to 1, symmetric.

    Not corrected for chance: it is above 0 for random clusters, and grows with their number. 1 when both have one
    cluster only. Strehl and Ghosh 2002 take the geometric mean; the arithmetic one is that of scikit-learn.

    Raises `UserError` for other lengths, or numbers that are not whole.
    """
    table = _table(cluster, label).double()
    joint = table / table.sum()
    first, second = (float(torch.special.entr(joint.sum(axis)).sum()) for axis in (1, 0))
    if table.shape == (1, 1):
        return 1.0
    shared = first + second - float(torch.special.entr(joint).sum())
    return min(1.0, max(0.0, 2 * shared / (first + second)))


def adjusted_rand_index(cluster: Tensor, label: Tensor) -> float:
    """The share of pairs on which two partitions (n,) agree, corrected for chance: 1 when equal, about 0 by chance.

    Can be below 0, down to -0.5. Symmetric. Hubert and Arabie 1985, equation 5.

    Raises `UserError` for other lengths, fewer than two samples, or numbers that are not whole.
    """
    table = _table(cluster, label)
    n = int(table.sum())
    if n < 2:
        raise UserError("the adjusted Rand index compares pairs, so it needs at least 2 samples, not 1.")
    both, first, second = (
        sum(math.comb(count, 2) for count in counts.flatten().tolist())
        for counts in (table, table.sum(1), table.sum(0))
    )
    expected, maximum = first * second / math.comb(n, 2), (first + second) / 2
    return 1.0 if maximum == expected else (both - expected) / (maximum - expected)


def _table(cluster: Tensor, label: Tensor) -> Tensor:
    """The number of samples with each pair of cluster and label: int64 (clusters, labels), on the CPU."""
    first, second = as_label_pair(cluster, label, NAMES)
    rows, i = first.cpu().unique(return_inverse=True)
    columns, j = second.cpu().unique(return_inverse=True)
    return torch.bincount(i * len(columns) + j, minlength=len(rows) * len(columns)).view(len(rows), len(columns))
