"""Detects training data that are not shuffled.

We keep 4x4 pixels of every real image drawn, and compute an F statistic between batches. It is about 1 for shuffled
data, whatever the model does, and large when each batch holds one class.
"""

from collections import deque
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganarium.data.batches import Batches

GRID = 4  # pixels of a side that are kept of an image: averages over regions tell kinds of images hardly better
KEPT = 64  # batches since the last reading that are remembered


class BatchStatistics(NamedTuple):
    """The means and variances of batches, a row for each."""

    size: int  # reals in a batch
    means: NDArray[np.float64]  # (batches, pixels) over the reals of a batch
    variances: NDArray[np.float64]  # (batches, pixels) within it


class RecordingBatches(Batches):
    """The batches of a run, of which a few pixels are kept as a step draws them. It waits for no device."""

    def __init__(self, batches: Batches) -> None:
        self.__dict__ = batches.__dict__  # one place in the data, whoever draws
        self._batches = batches
        self._recent: deque[dict[str, Tensor]] = deque(maxlen=KEPT)  # field of a batch -> its pixels (n, ...)

    def draw(self, n: int) -> Any:
        batch = self._batches.draw(n)
        fields = zip(batch._fields, batch, strict=True)
        self._recent.append({name: few_pixels(field) for name, field in fields if _is_real(field)})
        return batch

    def statistics(self) -> dict[str, BatchStatistics]:
        """The statistics of the batches since the last call, by the field of a batch: one read from the device.

        Batches of another size than the last one are left out.
        """
        recent, latest = list(self._recent), self._recent[-1] if self._recent else {}
        self._recent.clear()
        statistics = {}
        for name, last in latest.items():
            same_size = [pixels[name] for pixels in recent if pixels[name].shape == last.shape]
            reals = torch.stack(same_size).flatten(2)  # (batches, n, pixels)
            means = reals.mean(1)
            variances = (reals - means[:, None]).square().sum(1) / max(1, len(last) - 1)
            statistics[name] = BatchStatistics(len(last), *torch.stack([means, variances]).cpu().double().numpy())
        return statistics


def _is_real(field: Any) -> bool:
    return isinstance(field, Tensor) and field.is_floating_point()


def few_pixels(real: Tensor) -> Tensor:
    """Points (n, d) as they are; of images (n, c, h, w) a grid of pixels, copied so that the images can be freed."""
    if real.dim() == 2:
        return real
    down, across = (max(1, side // GRID) for side in real.shape[2:])
    return real[:, :, down // 2 :: down, across // 2 :: across].contiguous()


def f_statistic(batches: BatchStatistics) -> float:
    """How much batches differ, in what chance alone would give: F of the analysis of variance, see `strength`.

    F = n Var(means) / Var(within a batch). It is about 1 for batches drawn at random, whatever the data are. It is less
    for few data of which each is drawn once an epoch, and 1 + n s / (1 - s) where a part s of the variance is between
    batches.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = batches.size * batches.means.var(0, ddof=1) / batches.variances.mean(0)
    return strength(np.nan_to_num(ratios, nan=0.0, posinf=np.inf))  # 0 / 0: a pixel that is always the same


def strength(ratios: NDArray[np.float64]) -> float:
    """The mean of the largest quarter of the pixels' F: many pixels are background, and the largest alone is chance."""
    return float(np.sort(ratios)[-max(1, len(ratios) // 4) :].mean())
