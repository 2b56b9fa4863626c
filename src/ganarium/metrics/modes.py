"""Counts the known modes that a generator reaches: of mixtures of Gaussians, and of stacked digits."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ganarium.errors import UserError
from ganarium.metrics.checks import BLOCK, as_double, as_pair, as_tensor, require_samples
from ganarium.metrics.distances import direct_distances


class ModeCoverage(NamedTuple):
    covered: int
    high_quality: float
    counts: tuple[int, ...]


class StackedModeCoverage(NamedTuple):
    modes: int
    kl: float


def mode_coverage(
    points: Tensor, centres: Tensor, std: float | Tensor, *, radius: float = 3.0, fair_share: float = 0.0
) -> ModeCoverage:
    """Modes covered by points (n, d), and the share of points near a mode, for Gaussians at `centres` (k, d).

    A point is of high quality when it is nearer than `radius` standard deviations to its NEAREST centre; `std` is one
    number or (k,), in each coordinate. A mode is covered when it has a point of high quality (Srivastava et al. 2017,
    arXiv 1705.07761; Lin et al. 2018, arXiv 1712.04086). The stricter `fair_share` 0.01 or 0.1 asks for that part of
    n / k. Gives the number covered, the share of high quality from 0 to 1, and the points of high quality per mode.

    A perfect sampler in two dimensions has 1 - exp(-4.5) = 0.9889 of high quality: more means too sharp, not better.
    The customary n is 2,500. Raises `UserError` for other d, no points, a std or radius not above 0, or NaN.
    """
    point, centre = as_pair(points, centres, ("points", "centres"))
    width = as_double(std, "std").to(point.device)
    if width.dim() and width.shape != (len(centre),):
        raise UserError(
            f"std must be a number, or one for each of the {len(centre)} centres, not {tuple(width.shape)}."
        )
    width = width.expand(len(centre))
    if not bool((width > 0).all()) or not radius > 0:
        raise UserError("the standard deviations and the radius must be above 0: they say how near is near.")
    counts = torch.zeros(len(centre), dtype=torch.int64, device=point.device)
    for part in point.split(max(1, BLOCK // len(centre))):
        distance, nearest = direct_distances(part, centre).min(1)
        counts += torch.bincount(nearest[distance < radius * width[nearest]], minlength=len(centre))
    minimum = max(1.0, fair_share * len(point) / len(centre))
    good = tuple(counts.tolist())
    return ModeCoverage(sum(count >= minimum for count in good), sum(good) / len(point), good)


def stacked_mode_coverage(digits: Tensor, num_classes: int = 10) -> StackedModeCoverage:
    """Distinct tuples among classes read in each channel of stacked digits, (n, 3) integers, and KL(fake || uniform).

    KL is the reverse one, sum p log(p num_classes^3) over the tuples drawn, in nats, from 0 to 6.91 for three digits;
    lower is better. A perfect sampler has 1,000 modes and, by chance alone, KL near 999 / (2 n): 0.019 at the customary
    n = 26,000. So compare only equal n. Srivastava et al. 2017 (arXiv 1705.07761).

    Raises `UserError` for classes outside 0 ... num_classes - 1, or another shape.
    """
    classes = as_tensor(digits, "digits").cpu()
    if classes.dim() != 2 or classes.is_floating_point() or classes.is_complex() or classes.shape[1] == 0:
        raise UserError(f"digits must be whole numbers (n, 3), the class read per channel, not {tuple(classes.shape)}.")
    require_samples(len(classes), "digits", 1)
    if int(classes.min()) < 0 or int(classes.max()) >= num_classes:
        raise UserError(
            f"digits must be from 0 to {num_classes - 1}, not from {int(classes.min())} to {int(classes.max())}."
        )
    place = num_classes ** torch.arange(classes.shape[1])
    _, count = (classes.long() * place).sum(1).unique(return_counts=True)
    p = count.double() / len(classes)
    return StackedModeCoverage(len(count), float((p * p.log()).sum()) + classes.shape[1] * math.log(num_classes))
