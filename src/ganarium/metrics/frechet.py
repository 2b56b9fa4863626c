"""The Frechet distance of two Gaussians (Dowson and Landau 1982), "FID" on Inception features (Heusel et al. 2017)."""

import torch
from torch import Tensor

from ganarium.errors import UserError
from ganarium.metrics.checks import BLOCK, as_features, as_tensor, require_samples, same_width


class Moments:
    """The mean and the covariance of features that come in batches, in float64: d (d + 1) numbers for any n.

    Batches are merged by their means (Chan et al. 1979), which keeps its digits where sums of squares lose them.
    `count`, `mean` (d,) and `scatter` (d, d), the sum of centred outer products, are all there is to save.
    """

    def __init__(self, count: int = 0, mean: Tensor | None = None, scatter: Tensor | None = None) -> None:
        self.count, self.mean, self.scatter = count, mean, scatter

    def update(self, features: Tensor, name: str = "features") -> "Moments":
        """Adds features (n, d), n >= 1. Raises `UserError` for another shape or d, or NaN. Returns itself."""
        values = as_tensor(features, name)
        if values.dim() != 2:
            as_features(values, name)
        for part in values.split(max(1, BLOCK // max(1, values.shape[1]))):
            double = as_features(part, name)
            mean = double.mean(0)
            double = double - mean
            self.merge(Moments(len(part), mean, double.T @ double))
        return self

    def merge(self, other: "Moments") -> "Moments":
        """Adds the features of another one, as of another process. Returns itself."""
        if other.mean is None or other.scatter is None:
            return self
        if self.mean is None or self.scatter is None:
            self.count, self.mean, self.scatter = other.count, other.mean.clone(), other.scatter.clone()
            return self
        same_width(len(self.mean), len(other.mean), ("what is there", "the new batch"))
        count = self.count + other.count
        shift = other.mean.to(self.mean.device) - self.mean
        self.scatter += other.scatter.to(shift.device) + torch.outer(shift, shift) * (self.count * other.count / count)
        self.mean += shift * (other.count / count)
        self.count = count
        return self

    @property
    def covariance(self) -> Tensor:
        """(d, d), with n - 1."""
        require_samples(self.count, "the covariance", 2)
        assert self.scatter is not None
        return self.scatter / (self.count - 1)


def frechet_distance(a: Tensor | Moments, b: Tensor | Moments) -> float:
    """|m_a - m_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^(1/2)) of features (n, d), (m, d) or of their `Moments`.

    At least 0, lower is nearer, in squared units of the features; not the square root of it. The covariances are the
    sample's (n - 1). Biased upward for small n, so only values at equal n, m and features may be compared. Symmetric.
    The trace of the root is the sum of the singular values of C_a^(1/2) C_b^(1/2), which are the roots of the
    eigenvalues of the symmetric C_a^(1/2) C_b C_a^(1/2): exact for singular covariances too.

    Raises `UserError` unless n and m are above d (the covariance of fewer has no full rank), d is the same, and all
    is finite.
    """
    first, second = _moments(a, "a"), _moments(b, "b")
    assert first.mean is not None
    assert second.mean is not None
    same_width(len(first.mean), len(second.mean), ("a", "b"))
    root, other = _root(first.covariance), _root(second.covariance.to(first.mean.device))
    shift = first.mean - second.mean.to(first.mean.device)
    trace = torch.linalg.svdvals(root.T @ other).sum()
    return max(0.0, float(shift.square().sum() + root.square().sum() + other.square().sum() - 2 * trace))


def _moments(values: Tensor | Moments, name: str) -> Moments:
    moments = values if isinstance(values, Moments) else Moments().update(values, name)
    if moments.mean is None or moments.count <= len(moments.mean):
        width = "no" if moments.mean is None else len(moments.mean)
        raise UserError(
            f"the Frechet distance needs more samples than features, but {name} has {moments.count} samples of "
            f"{width} features: draw more samples, or use features of fewer dimensions."
        )
    return moments


def _root(covariance: Tensor) -> Tensor:
    """F with F F^T = C: eigenvectors times the roots of the eigenvalues; eigenvalues below 0 by rounding count as 0."""
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = vectors * values.clamp(min=0).sqrt()
    return root
