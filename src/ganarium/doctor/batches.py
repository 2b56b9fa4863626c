"""Whether batches are mixed: a few numbers of every real that a step draws, and the one number made of them.

It is about the data alone, whatever the networks do, and so it is known what it must be: batches drawn at random differ
from one another as much as chance lets them, and batches of one kind each differ by more.
"""

from collections import deque
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganarium.data.batches import Batches

GRID = 4  # pixels of a side that are noted of an image: averages over regions would tell kinds little better
KEPT = 64  # batches since the last reading that are remembered


class Drawn(NamedTuple):
    """What batches were like, one row for each."""

    size: int  # reals in a batch
    means: NDArray[np.float64]  # (batches, numbers) over the reals of a batch
    variances: NDArray[np.float64]  # (batches, numbers) within it


class Noted:
    """Batches that are noted as a step draws them. It waits for no device."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches
        self._notes: deque[dict[str, Tensor]] = deque(maxlen=KEPT)

    def __next__(self) -> Any:
        return self._noted(next(self.batches))

    def draw(self, n: int) -> Any:
        return self._noted(self.batches.draw(n))

    def as_batches(self) -> Batches:
        """Itself, by the name that steps know: they do nothing else with batches than to draw."""
        return cast(Batches, self)

    def _noted(self, batch: Any) -> Any:
        fields = zip(batch._fields, batch, strict=True)
        self._notes.append({name: few(field) for name, field in fields if _of_reals(field)})
        return batch

    def taken(self) -> dict[str, tuple[int, Tensor]]:
        """For every field of a batch its size, and means and variances (2, batches, numbers) on the device. Forgets."""
        notes, latest = list(self._notes), self._notes[-1] if self._notes else {}
        self._notes.clear()
        found = {}
        for name, last in latest.items():
            alike = [note[name] for note in notes if note[name].shape == last.shape]
            reals = torch.stack(alike).flatten(2)  # (batches, n, numbers)
            means = reals.mean(1)
            variances = (reals - means[:, None]).square().sum(1) / max(1, len(last) - 1)
            found[name] = len(last), torch.stack([means, variances])
        return found


def _of_reals(field: Any) -> bool:
    return isinstance(field, Tensor) and field.is_floating_point()


def few(real: Tensor) -> Tensor:
    """Points (n, d) as they are; of images (n, c, h, w) a grid of pixels, copied so that the images can be freed."""
    if real.dim() == 2:
        return real
    down, across = (max(1, side // GRID) for side in real.shape[2:])
    return real[:, :, down // 2 :: down, across // 2 :: across].contiguous()


def apartness(drawn: Drawn) -> float:
    """How much batches differ, in what chance alone would give: F of the analysis of variance, the largest number's.

    n Var(means) / Var(within a batch) is about 1 for batches drawn at random, whatever the data are, less where they
    are few and each is drawn once an epoch, and 1 + n s / (1 - s) where a part s of the variance is between batches.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = drawn.size * drawn.means.var(0, ddof=1) / drawn.variances.mean(0)
    return float(np.nan_to_num(ratios, nan=0.0, posinf=np.inf).max())  # 0 / 0: a pixel that is always the same
