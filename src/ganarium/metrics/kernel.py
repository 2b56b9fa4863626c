"""Computes the maximum mean discrepancy (Gretton et al. 2012) and "KID", its cubic kernel (Binkowski et al. 2018)."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ganarium.errors import UserError
from ganarium.metrics.checks import as_pair
from ganarium.metrics.distances import squared_blocks


class KernelDistance(NamedTuple):
    mean: float
    std: float


def kernel_distance(
    a: Tensor, b: Tensor, *, subsets: int = 50, subset_size: int = 1000, seed: int = 0
) -> KernelDistance:
    """KID of features (n, d) and (m, d): mean and standard deviation of MMD^2 over random subsets (arXiv 1801.01401).

    The kernel is (x.y / d + 1)^3. The estimator is unbiased, so the mean may be slightly below 0; lower is nearer.
    Each of the `subsets` takes `subset_size` samples of either set without replacement, from `seed`. The deviation is
    that of the population of subsets, as in the released code, and no error bar of the mean. 50 and 1,000 are released.

    Raises `UserError` when a set has fewer samples than a subset, d differs, or something is not finite.
    """
    if subsets < 1 or subset_size < 2:
        raise UserError(f"kernel_distance needs subsets >= 1 and subset_size >= 2, not {subsets} and {subset_size}.")
    first, second = as_pair(a, b)
    if min(len(first), len(second)) < subset_size:
        raise UserError(
            f"a subset of {subset_size} cannot be drawn from {min(len(first), len(second))} samples: "
            "draw more samples, or give a smaller subset_size (and compare only values of the same one)."
        )
    generator = torch.Generator().manual_seed(seed)
    values = []
    for _ in range(subsets):
        x, y = (
            part[torch.randperm(len(part), generator=generator)[:subset_size].to(part.device)]
            for part in (first, second)
        )
        values.append(_cubic(x, y))
    table = torch.stack(values)
    return KernelDistance(float(table.mean()), float(table.std(correction=0)))


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    """MMD^2, unbiased: pairs of a sample with itself are left out within a set, and kept between the sets."""
    n, d = x.shape
    between = (x @ y.T / d + 1).pow(3).mean()
    within = sum((part @ part.T / d + 1).pow(3).sum() - (part.square().sum(1) / d + 1).pow(3).sum() for part in (x, y))
    return within / (n * (n - 1)) - 2 * between


def maximum_mean_discrepancy(
    real: Tensor,
    fake: Tensor,
    *,
    sigma: float = 1.0,
    relative: bool = True,
    estimator: Literal["unbiased", "biased"] = "unbiased",
    root: bool = False,
) -> float:
    """MMD^2 of features (n, d) and (m, d) = mean k(x, x') + mean k(g, g') - 2 mean k(x, g); lower is nearer.

    k(x, y) = exp(-|x - y|^2 / (2 s^2)). With `relative`, s^2 is sigma^2 times the mean squared distance between reals
    (each with itself included), else sigma is s itself, in units of the features. "unbiased" leaves out the pairs of a
    sample with itself and may be slightly below 0; "biased" keeps them and is at least 0. `root` gives
    sqrt(max(MMD^2, 0)). `estimator="biased", root=True` is the Kernel MMD of Xu et al. 2018 (arXiv 1806.07755) as
    released. Values of different options cannot be compared.

    Raises `UserError` for fewer than two samples, other d, a sigma not above 0, reals all alike, or NaN.
    """
    x, y = as_pair(real, fake, ("real", "fake"), at_least=2)
    if estimator not in ("unbiased", "biased"):
        raise UserError(f"the estimator is 'unbiased' or 'biased', not {estimator!r}.")
    if not 0 < sigma < float("inf"):
        raise UserError(f"sigma must be above 0, not {sigma}.")
    scale = 2 * sigma**2
    if relative:
        spread = float(2 * x.var(0, correction=0).sum())  # = the mean of |x - x'|^2 over all n^2 pairs
        if spread == 0:
            raise UserError("all real samples are the same, so they give no scale: hand in sigma with relative=False.")
        scale *= spread

    def total(one: Tensor, two: Tensor) -> float:
        return sum(float(block.div_(-scale).exp_().sum()) for block in squared_blocks(one, two))

    within = 0.0
    for part in (x, y):
        n = len(part)
        if estimator == "unbiased":
            within += (total(part, part) - n) / (n * (n - 1))  # k(x, x) = 1
        else:
            within += total(part, part) / n**2
    value = within - 2 * total(x, y) / (len(x) * len(y))
    return max(value, 0.0) ** 0.5 if root else value
