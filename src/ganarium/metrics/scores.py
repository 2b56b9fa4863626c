"""Scores class probabilities by the Inception Score (Salimans et al. 2016) and the Mode Score (Che et al. 2017)."""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from ganarium.errors import UserError
from ganarium.metrics.checks import as_probabilities, require_samples


class InceptionScore(NamedTuple):
    mean: float
    std: float


def inception_score(probabilities: Tensor, splits: int = 10, *, seed: int | None = 0) -> InceptionScore:
    """exp(E KL(p(y|x) || p(y))) of probabilities (n, k) of fakes: mean and standard deviation over `splits` parts.

    From 1 to k, higher is better. p(y) is the mean over the part, so small parts score lower: the protocol of Salimans
    et al. (arXiv 1606.03498) is 50,000 samples in 10 parts, with the deviation of the population. The order is shuffled
    from `seed` first, for fakes drawn class by class would leave one class in a part; None keeps it. Blind to what
    happens inside a class, and to copies of the data.

    Probabilities may come from float16 or bfloat16: a row whose sum is within 1/64 of 1 is divided by it, in float64.
    Raises `UserError` for logits, fewer samples than parts, or NaN.
    """
    p = as_probabilities(probabilities, "probabilities")
    if splits < 1:
        raise UserError(f"splits must be at least 1, not {splits}.")
    require_samples(len(p), "probabilities", splits)
    if seed is not None:
        p = p[torch.randperm(len(p), generator=torch.Generator().manual_seed(seed)).to(p.device)]
    bounds = [len(p) * part // splits for part in range(splits + 1)]
    parts = torch.stack([_information(p[i:j]).exp() for i, j in pairwise(bounds)])
    return InceptionScore(float(parts.mean()), float(parts.std(correction=0)))


def mode_score(probabilities_fake: Tensor, probabilities_real: Tensor) -> float:
    """exp(E KL(p(y|x) || p(y)) - KL(p(y) || p(y*))) of probabilities (n, k) of fakes, which come first, and (m, k).

    p(y) is the mean over the fakes, p(y*) over the reals; the first term is taken against p(y), for against p(y*) the
    two would add up to the plain Inception Score. From 0 to k, higher is better; 0 where fakes have a class that reals
    lack altogether. Xu et al. 2018 (arXiv 1806.07755).

    Probabilities may come from float16 or bfloat16, as for `inception_score`. Raises `UserError` for logits, different
    k, or NaN.
    """
    fake, real = as_probabilities(probabilities_fake, "fake"), as_probabilities(probabilities_real, "real")
    if fake.shape[1] != real.shape[1]:
        raise UserError(f"fake has {fake.shape[1]} classes and real has {real.shape[1]}: use one classifier for both.")
    p, q = fake.mean(0), real.mean(0).to(fake.device)
    divergence = (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()
    return float((_information(fake) - divergence).exp())


def _information(p: Tensor) -> Tensor:
    """E KL(p(y|x) || p(y)) = H(p(y)) - E H(p(y|x)), in nats; 0 log 0 = 0."""
    return (torch.special.entr(p.mean(0)).sum() - torch.special.entr(p).sum(1).mean()).clamp(min=0)
