"""The Parzen-window log-likelihood of the first GAN papers (Breuleux et al. 2010; Goodfellow et al. 2014)."""

import math

import torch
from torch import Tensor

from ganarium.data.dataset import Dataset
from ganarium.proofs.training import drawn

SIGMAS = torch.logspace(-1, 0, 10).tolist()  # as in the released code of Goodfellow et al.


def parzen(samples: Tensor, test: Dataset, seed: int) -> float:
    """Mean log-density, in nats, of 1,000 held-out images under Gaussians of one width around the samples (n, 1, h, w).

    Pixels are in [0, 1]; images padded to 32x32 are cut back to 28x28. The width is the best of ten on as many other
    held-out images. A rough measure: k-means centres score above real images (Theis et al. 2016, arXiv 1511.01844).
    """
    held = drawn(test, 2000, seed, samples.device)
    points, chosen, judged = (_flat(images) for images in (samples, *held.chunk(2)))
    near = torch.cdist(chosen, points).square()
    best = max(SIGMAS, key=lambda sigma: _mean_density(near, sigma, points.shape[1]))
    return _mean_density(torch.cdist(judged, points).square(), best, points.shape[1])


def _mean_density(squared: Tensor, sigma: float, dimensions: int) -> float:
    inside = (-squared.double() / (2 * sigma**2)).logsumexp(1) - math.log(squared.shape[1])
    return float(inside.mean() - dimensions * math.log(sigma * math.sqrt(2 * math.pi)))


def _flat(images: Tensor) -> Tensor:
    """(n, 1, h, w) in [-1, 1] -> (n, d) in [0, 1], in float32."""
    pixels = images.float().add(1).div(2)
    return (pixels[:, :, 2:-2, 2:-2] if pixels.shape[2:] == (32, 32) else pixels).flatten(1)
