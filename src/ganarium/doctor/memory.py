"""Measures whether D knows its training images by heart: its scores of them beside those of held-out images.

The scores are those that the model's own step would watch. Steps are taken on batches of both kinds, with the same
noise, and are thrown away: no player moves, and generators and buffers are put back.
"""

import copy
import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganarium import streams
from ganarium.data.batches import Batches
from ganarium.doctor.scores import pairs
from ganarium.metrics.copies import LEAST_HELD_OUT
from ganarium.model import Model

NUM = 64  # images of each kind, at least
FEWEST = 16  # held-out images: fewer are no measure
SHARE = 0.03  # of a run's steps that may be taken for this
COPIED = 0.1  # share of samples that are copies, beyond which chance does not lead: of 64 it deviates by 0.03
TOLD_APART = 0.7  # chance that a training image has the higher score: of 64 of each it deviates by 0.05 from 0.5


class MemoryReading(NamedTuple):
    """How D's scores of training images differ from those of held-out ones."""

    player: str
    gap: float
    """(mean D(train) - mean D(held out)) / (mean D(train) - mean D(fake)): 0 if D scores held-out images as training
    images, 1 if it takes them for fakes. NaN where D does not score training images above fakes."""
    apart: float
    """The chance that a training image has the higher score of the two: 0.5 if D cannot tell them apart, 1 if it always
    can."""


class Memory:
    """Reads how well D knows the training images of one run."""

    def __init__(self, batches: Batches, held_out: Batches, precision: str = "fp32") -> None:
        """`batches` are those of the training, whose place in the data is left alone."""
        sizes = [len(images) for images in (held_out.images, held_out.second) if images is not None]
        size = min(batches.batch_size, *sizes)
        self.precision, self.device = precision, batches.device
        self.train, self.held_out = _of_its_own(batches, size), _of_its_own(held_out, size)
        self.steps = math.ceil(NUM / size)  # of each kind, in a reading
        # images of which each is seen once say more than points, which are drawn without end
        self.possible = min(sizes) >= FEWEST and batches.images.dim() == 4

    def affordable(self, iteration: int, readings: int, share: float = SHARE) -> bool:
        """Whether another reading, after so many, keeps to a share of the steps of a run."""
        return self.possible and (readings + 1) * 2 * self.steps <= share * iteration

    def read(self, model: Model) -> MemoryReading | None:
        """A reading of the pair of scores that differs most; None where a step watches no scores, as in some stages."""
        self.train.drawn = self.held_out.drawn = 0
        known, new = self._scores(model, self.train), self._scores(model, self.held_out)
        readings = [
            compared(real.split("/")[0], known[real], new[real], known[fake])
            for real, fake in pairs(known)
            if fake in known
        ]
        return max(readings, key=lambda reading: reading.apart, default=None)

    def _scores(self, model: Model, batches: Batches) -> dict[str, NDArray[np.float64]]:
        """What would be watched (n,), by "player/name": the mean score of each image, or, where a model strings the
        scores of all its maps together, these."""
        parts: dict[str, list[Tensor]] = {}
        autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")
        for seed in range(self.steps):
            with streams.undisturbed(model, seed, "train"), torch.enable_grad(), autocast:
                for name, watched in _watched(model, batches).items():
                    if watched.dim() > 0:
                        own = len(watched) == batches.batch_size
                        scores = watched.detach().float()
                        parts.setdefault(name, []).append(
                            scores.reshape(len(scores), -1).mean(1) if own else scores.flatten()
                        )
        return {name: torch.cat(part).cpu().double().numpy() for name, part in parts.items()}


def compared(
    player: str, known: NDArray[np.float64], new: NDArray[np.float64], fake: NDArray[np.float64]
) -> MemoryReading:
    """A reading from the scores of training images (n,), of held-out ones and of fakes."""
    ordered = np.sort(new)
    below, not_above = np.searchsorted(ordered, known, "left"), np.searchsorted(ordered, known, "right")
    apart = float((below + not_above).mean()) / (2 * len(new))
    above = float(known.mean() - fake.mean())
    return MemoryReading(player, float(known.mean() - new.mean()) / above if above > 0 else math.nan, apart)


def more_images(
    apart: float | None, copied: float | None, num_held_out: int | None = None, augment: object = None
) -> str:
    """Whether more training images would help, in a sentence, from the last reading of what D knows by heart and from
    the share of samples that are copies. Where neither is known, it says so if the held-out images are too few to count
    copies by, else it is "".

    `augment` is the model's option of that name; None where it has none.
    """
    if copied is not None and copied > COPIED:
        return f"more images would help: {copied:.0%} of the samples are copies of training images"
    if apart is not None and apart > TOLD_APART:
        instead = ", or --augment diff" if augment == "none" else ""
        return (
            f"more images would help{instead}: D scores a training image above an unseen one in {apart:.0%} of pairs "
            "(50 % is chance)"
        )
    reasons = []
    if apart is not None:
        reasons.append(f"D scores a training image above an unseen one in {apart:.0%} of pairs (50 % is chance)")
    if copied is not None:
        reasons.append(f"{copied:.0%} of the samples are copies")
    if not reasons and num_held_out is not None and num_held_out < LEAST_HELD_OUT:
        return (
            f"whether more images would help is not known: copies are counted beside {LEAST_HELD_OUT} held-out images, "
            f"and there {'is' if num_held_out == 1 else 'are'} {num_held_out}; sub-folders train and test hold out as "
            "many as you like"
        )
    return f"more images would hardly help yet: {', and '.join(reasons)}" if reasons else ""


def _of_its_own(batches: Batches, size: int) -> Batches:
    """The same data, with a place of its own, in batches of another size."""
    own = copy.copy(batches)
    own.batch_size, own.drawn, own.rank, own.world, own._orders = size, 0, 0, 1, {}
    return own


def _watched(model: Model, batches: Batches) -> dict[str, Tensor]:
    """What the first player that watches scores of reals and fakes would watch in a step that nobody makes."""
    step = model.step(batches)
    try:
        for player, _, *given in step:
            watched = {f"{player}/{name}": tensor for name, tensor in (given[0] if given else {}).items()}
            if any(pairs(watched)):
                return watched
    finally:
        step.close()
    return {}
