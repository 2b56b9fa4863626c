"""The path length of a model with styles, in w or in z (Karras et al. 2019, table 3)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

from ganarium.errors import UserError
from ganarium.metrics.judges.judge import FeatureNetwork
from ganarium.metrics.path_length import path_lengths, perceptual_path_length
from ganarium.model import Model
from ganarium.pictures.latents import slerp
from ganarium.registry import plain
from ganarium.streams import undisturbed

PART = 64  # paths at a time


def path_length(
    model: Model,
    network: FeatureNetwork | None = None,
    *,
    space: Literal["w", "z"] = "w",
    ends: bool = False,
    n: int = 1000,
    seed: int = 0,
    epsilon: float = 1e-4,
) -> float:
    """The mean squared speed of images along `n` paths between two random codes, each at a random place, or at its
    start with `ends`: straight lines between styles, or arcs between codes. Lower is smoother.

    The distance is between features of `network`, as vectors of length 1; None: between pixels. It is not LPIPS, so
    that only numbers with the same network are comparable. Both images of a pair have the same noise. Raises
    `UserError` for a model without styles, another space, or fewer than two paths.
    """
    if not model.styles:
        raise UserError(f"{type(model).__name__} has no styles whose paths could be measured: use a run of stylegan.")
    if space not in ("w", "z"):
        raise UserError(f"space must be w, of styles, or z, of codes, not {space!r}.")
    n = plain(n)
    if not isinstance(n, int) or n < 2:
        raise UserError(f"n must be a whole number of at least 2 paths, not {n!r}.")
    lengths = []
    for start in range(0, n, PART):
        count = min(PART, n - start)
        with undisturbed(model, seed + start, model.sample_mode):
            a, b = model.latent(count), model.latent(count)
            shares = torch.zeros_like(a[:, 0]) if ends else torch.rand_like(a[:, 0])
            if space == "w":
                a, b = model.styles_of(a), model.styles_of(b)

        def at(t: Tensor, a: Tensor = a, b: Tensor = b, number: int = start) -> Tensor:
            t = t[:, None].to(a)
            if space == "w":
                return model.sample(len(a), seed=0, noise_seed=seed + number, style=a + t * (b - a))
            codes = slerp(a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True), t)
            return model.sample(len(a), seed=0, noise_seed=seed + number, latent=codes)

        with _exact(model.device):
            lengths.append(path_lengths(at, lambda one, other: _distance(network, one, other), shares, epsilon=epsilon))
    return perceptual_path_length(torch.cat(lengths))


@contextmanager
def _exact(device: torch.device) -> Iterator[None]:
    """Without TF32, which rounds off what epsilon changes; all else on a GPU stays as it is set."""
    if device.type != "cuda":
        yield
        return
    before, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn
    torch.set_float32_matmul_precision("highest")
    try:
        with cudnn.flags(cudnn.enabled, cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def _distance(network: FeatureNetwork | None, one: Tensor, other: Tensor) -> Tensor:
    """Squared distances (n,) of images: of pixels, or of features of length 1."""
    if network is None:
        return (one.double() - other.double()).square().flatten(1).sum(1)
    unit = [torch.nn.functional.normalize(network.features(images).double(), dim=1) for images in (one, other)]
    return (unit[0] - unit[1]).square().sum(1)
