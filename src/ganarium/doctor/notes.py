"""What the doctor of a run leaves in its folder.

doctor.jsonl   a line a note: {"step", "sign", "player", "seen", "causes": [...], "try": [...]}
scores.jsonl   now and then, what was watched: {"step", "histograms": {"D/real": {"low", "high", "counts"}, ...}}
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.doctor.batches import RecordingBatches
from ganarium.doctor.doctor import Doctor, Note
from ganarium.doctor.samples import LIMIT
from ganarium.errors import Diverged
from ganarium.model import Model
from ganarium.runs.rows import append_row, cut, read_rows
from ganarium.trainer import Reading, Trainer

HISTOGRAMS = 200  # lines of scores.jsonl in a run
BINS = 40


class Casebook:
    """The doctor of one run, and the files."""

    def __init__(self, folder: Path, trainer: Trainer, held_out: Batches) -> None:
        """Opened at the trainer's step, it drops what an interrupted run wrote after it."""
        self.folder, self.total, self._step = folder, trainer.total, trainer.model.iteration
        for name in ("doctor.jsonl", "scores.jsonl"):
            cut(folder / name, self._step)
        self.batches = RecordingBatches(trainer.batches)
        trainer.batches = self.batches
        begun = read_rows(folder / "metrics.jsonl")
        self.doctor = Doctor(trainer.batches.batch_size, begun[0] if begun else None)
        held_out.drawn = 0
        sizes = [len(images) for images in (held_out.images, held_out.second) if images is not None]
        self._held_out = held_out.draw(min(LIMIT, *sizes))

    def look(self, reading: Reading) -> list[Note]:
        """The doctor's notes on what the trainer has just read from the device."""
        observed = {name: scores.double().numpy() for name, scores in reading.observed.items()}
        step, before = int(reading.rows[-1]["step"]), self._step
        self._step = step
        if step * HISTOGRAMS // self.total > before * HISTOGRAMS // self.total and observed:
            append_row(self.folder / "scores.jsonl", {"step": step, "histograms": histograms(observed)})
        return self._kept(self.doctor.look(reading.rows, reading.means, observed, self.batches.statistics()))

    def see(self, model: Model, images: Tensor) -> list[Note]:
        """The doctor's notes on the images of a picture, as `model.preview` gives them."""
        step, made, held_out = model.iteration, images.numpy(force=True), self._held_out
        if not model.directions:
            return self._kept(self.doctor.see(step, made, held_out.image.numpy(force=True)))
        targets = (held_out.b, held_out.a) if hasattr(held_out, "b") else (held_out.image,)
        notes, columns = [], 2 * len(model.directions)  # inputs and outputs take turns
        for place, (where, target) in enumerate(zip(model.directions, targets, strict=False)):
            notes += self.doctor.see(step, made[2 * place + 1 :: columns], target.numpy(force=True), where)
        return self._kept(notes)

    def explain(self, error: Diverged) -> Note:
        """Where a number that is not finite came from."""
        note = self.doctor.explain(error)
        with suppress(OSError):  # the error itself must be told
            self._kept([note])
        return note

    def _kept(self, notes: list[Note]) -> list[Note]:
        for note in notes:
            append_row(self.folder / "doctor.jsonl", note.record())
        return notes


def histograms(observed: dict[str, NDArray[Any]]) -> dict[str, dict[str, Any]]:
    """A histogram of each tensor, over one range for all of a player; without those that are not finite."""
    finite = {name: values for name, values in observed.items() if np.isfinite(values).all()}
    found = {}
    for name, values in finite.items():
        mates = [other for key, other in finite.items() if key.split("/")[0] == name.split("/")[0]]
        low, high = float(min(map(np.min, mates))), float(max(map(np.max, mates)))
        if low == high:
            low, high = low - 0.5, high + 0.5
        counts, _ = np.histogram(values, BINS, (low, high))
        found[name] = {"low": low, "high": high, "counts": counts.tolist()}
    return found
