"""Examines one run while it trains, and keeps in its folder what the doctor says.

doctor.jsonl   a line a note: {"step", "sign", "player", "seen", "causes": [...], "try": [...]}
memory.jsonl   now and then, how D's scores of held-out images differ: {"step", "player", "gap", "apart"}
scores.jsonl   now and then, what was watched: {"step", "histograms": {"D/real": {"low", "high", "counts"}, ...}}
"""

import math
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ganarium.data.augment import cropped
from ganarium.data.batches import Batches
from ganarium.doctor.batches import RecordingBatches
from ganarium.doctor.doctor import EARLY, Doctor
from ganarium.doctor.memory import SHARE, Memory
from ganarium.doctor.samples import LIMIT
from ganarium.doctor.signs import Note
from ganarium.errors import Diverged
from ganarium.model import Model
from ganarium.runs.rows import append_row, cut, read_rows
from ganarium.sampling import target_of
from ganarium.trainer import Reading, Trainer

HISTOGRAMS = 200  # lines of scores.jsonl in a run
BINS = 40
LAST_SHARE = 0.1  # of a run's steps that may be taken for looks at what D knows by heart, with the one at the end


class RunDoctor:
    """The doctor of one run, with the files that it writes."""

    def __init__(self, folder: Path, trainer: Trainer, held_out: Batches) -> None:
        """Opens the files at the trainer's step and drops later rows, which an interrupted run wrote.

        The trainer's batches are recorded from now on.
        """
        self.folder, self.total, self._step = folder, trainer.total, trainer.model.iteration
        for name in ("doctor.jsonl", "scores.jsonl"):
            cut(folder / name, self._step)
        self._readings = len(cut(folder / "memory.jsonl", self._step))
        self.memory = Memory(trainer.batches, held_out, trainer.precision)
        self.batches = RecordingBatches(trainer.batches)
        trainer.batches = self.batches
        earlier = read_rows(folder / "metrics.jsonl")
        self.doctor = Doctor(trainer.batches.batch_size, earlier[0] if earlier else None)
        held_out.drawn = 0
        sizes = [len(images) for images in (held_out.images, held_out.second) if images is not None]
        self._held_out = held_out.draw(min(LIMIT, *sizes))

    def examine(self, reading: Reading) -> list[Note]:
        """The doctor's notes on what the trainer has just read from the device."""
        observed = {name: scores.double().numpy() for name, scores in reading.observed.items()}
        step, before = int(reading.rows[-1]["step"]), self._step
        self._step = step
        if step * HISTOGRAMS // self.total > before * HISTOGRAMS // self.total and observed:
            append_row(self.folder / "scores.jsonl", {"step": step, "histograms": histograms(observed)})
        batches = self.batches.statistics()
        return self._write(self.doctor.examine(reading.rows, reading.means, observed, batches))

    def examine_samples(self, model: Model, images: Tensor) -> list[Note]:
        """The doctor's notes on the images of a sample grid, as `model.preview` gives them."""
        step, outputs, held_out = model.iteration, images.numpy(force=True), self._held_out
        row = model.preview_row
        if not row:
            return self._write(self.doctor.examine_samples(step, outputs, held_out.image.numpy(force=True)))
        if model.scale:
            originals = cropped(held_out.image, model.scale).numpy(force=True)
            return self._write(self.doctor.examine_samples(step, outputs[row.index("upscaled") :: len(row)], originals))
        notes = []
        for direction in row if len(model.shape) == 1 or model.domains else model.directions:
            target = target_of(held_out, direction).numpy(force=True)
            notes += self.doctor.examine_samples(step, outputs[row.index(direction) :: len(row)], target, direction)
        return self._write(notes)

    def examine_memory(self, model: Model, last: bool) -> list[Note]:
        """The doctor's notes on what D knows by heart, where a look is affordable; sooner at the end of a run."""
        step = model.iteration
        if step < EARLY or not self.memory.affordable(step, self._readings, LAST_SHARE if last else SHARE):
            return []
        reading = self.memory.read(model)
        self._readings += 1
        if reading is None:
            return []
        gap = reading.gap if math.isfinite(reading.gap) else None
        row = {"step": step, "player": reading.player, "gap": gap, "apart": reading.apart}
        append_row(self.folder / "memory.jsonl", row)
        left_out = "" if getattr(model.config, "augment", None) == "none" else "--augment"
        return self._write([replace(note, left_out=left_out) for note in self.doctor.examine_memory(step, reading)])

    def explain(self, error: Diverged) -> Note:
        """Where a number that is not finite came from."""
        note = self.doctor.explain(error)
        with suppress(OSError):  # a full disk may not hide the error itself
            self._write([note])
        return note

    def _write(self, notes: list[Note]) -> list[Note]:
        for note in notes:
            append_row(self.folder / "doctor.jsonl", note.record())
        return notes


def histograms(observed: dict[str, NDArray[Any]]) -> dict[str, dict[str, Any]]:
    """A histogram of each tensor, over one range for all of a player; without those that are not finite."""
    finite = {name: values for name, values in observed.items() if np.isfinite(values).all()}
    result = {}
    for name, values in finite.items():
        player = [other for key, other in finite.items() if key.split("/")[0] == name.split("/")[0]]
        low, high = float(min(map(np.min, player))), float(max(map(np.max, player)))
        if low == high:
            low, high = low - 0.5, high + 0.5
        counts, _ = np.histogram(values, BINS, (low, high))
        result[name] = {"low": low, "high": high, "counts": counts.tolist()}
    return result
