"""Summarises the likelihoods of models that have one."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from ganarium.errors import UserError
from ganarium.metrics.checks import as_double, require_samples


class NegativeLogLikelihood(NamedTuple):
    nats: float
    standard_error: float
    bits_per_dimension: float


def nll(nats: Tensor, shape: Sequence[int]) -> NegativeLogLikelihood:
    """Mean of -log p(x) in nats per sample, its standard error, and bits per dimension; lower is better.

    `nats` (n,) holds one number per sample: the SUM over its pixels and channels, never the mean, which is c h w times
    smaller. `shape` is that of a sample, (c, h, w) or (d,). Bits per dimension = nats / (c h w log 2) is for discrete
    values (8-bit images in 256 levels); binary images are compared in nats, of the same binarisation.
    van den Oord et al. 2016 (arXiv 1601.06759).

    Raises `UserError` for another shape, no samples, or NaN. The standard error of a single sample is NaN.
    """
    values = as_double(nats, "nats")
    if values.dim() != 1:
        raise UserError(f"nats must be a number per sample (n,), not of shape {tuple(values.shape)}: sum over pixels.")
    require_samples(len(values), "nats", 1)
    size = math.prod(shape)
    if size < 1:
        raise UserError(f"the shape of a sample must have at least one number, not be {tuple(shape)}.")
    mean = float(values.mean())
    error = float(values.std() / math.sqrt(len(values))) if len(values) > 1 else math.nan
    return NegativeLogLikelihood(mean, error, mean / (size * math.log(2)))
