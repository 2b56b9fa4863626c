"""Measures how smoothly images change along a path between codes (Karras et al. 2019, section 4.1)."""

from collections.abc import Callable

import torch
from torch import Tensor

from ganarium.errors import UserError
from ganarium.metrics.checks import as_double


def path_lengths(
    at: Callable[[Tensor], Tensor],
    distance: Callable[[Tensor, Tensor], Tensor],
    shares: Tensor,
    *,
    epsilon: float = 1e-4,
) -> Tensor:
    """Squared speeds (n,) of n paths at one place each: distance(at(t), at(t + epsilon)) / epsilon^2.

    `at` gives the images (n, c, h, w) of n paths at the `shares` t (n,), 0 at their starts and 1 at their ends, with
    all else the same from call to call (noise too). `distance` gives the squared distances (n,) of two sets of images.

    Raises `UserError` for distances that are not finite.
    """
    with torch.no_grad():
        return as_double(distance(at(shares), at(shares + epsilon)), "distances") / epsilon**2


def perceptual_path_length(lengths: Tensor) -> float:
    """The mean of `path_lengths` (n,) without the lowest and the highest 1 %, as in the authors' code; lower is
    smoother.

    With the distance of the paper, LPIPS on VGG16, it is the paper's number; with another it is comparable with itself
    alone. Raises `UserError` for fewer than 2 lengths, or any below 0.
    """
    values = as_double(lengths, "lengths").flatten()
    if len(values) < 2 or bool((values < 0).any()):
        raise UserError("path lengths must be at least two numbers, none of them below 0.")
    low, high = (torch.quantile(values, share, interpolation=way) for share, way in ((0.01, "lower"), (0.99, "higher")))
    return float(values[(values >= low) & (values <= high)].mean())
