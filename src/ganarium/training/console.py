"""The output of a run in progress: a progress bar, metrics.jsonl and TensorBoard events."""

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TextIO

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from ganarium.runs.listing import clock
from ganarium.runs.rows import append_row, cut
from ganarium.training.trackers import Tracker


class MetricsLog:
    """Appends one row for every interval to `metrics.jsonl` and the same numbers to TensorBoard.

    Opened at a step, it drops what an interrupted run wrote after that step, so that the rows stay one story.
    """

    def __init__(self, folder: Path, step: int, tracker: Tracker | None = None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.path, self._tracker = folder / "metrics.jsonl", tracker
        cut(self.path, step)
        self._events = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def write(self, row: dict[str, float]) -> None:
        append_row(self.path, row)
        values, step = {key: value for key, value in row.items() if key != "step"}, int(row["step"])
        self.scalars(values, step)
        if self._tracker:
            self._tracker.scalars(values, step)

    def scalars(self, values: dict[str, float], step: int) -> None:
        """Numbers for TensorBoard alone."""
        for key, value in values.items():
            self._events.add_scalar(key, value, step)

    def picture(self, path: Path, step: int) -> None:
        import numpy as np
        from PIL import Image

        with Image.open(path) as picture:
            self._events.add_image("samples", np.asarray(picture.convert("RGB")), step, dataformats="HWC")

    def close(self) -> None:
        if self._tracker:
            self._tracker.close()
        self._events.close()


class TwoLines(Progress):
    """A progress bar with the loss terms on a second line: a terminal of 80 columns has no room beside the bar."""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        yield Text(" ".join(task.fields["terms"] for task in self.tasks))


class Bar:
    """Progress with speed, time left and the terms; a plain line about every ten seconds when output is no terminal."""

    def __init__(self, label: str, done: int, total: int, quiet: bool = False) -> None:
        self.total, self.quiet = total, quiet
        self._start, self._first, self._spoken = time.monotonic(), done, 0.0
        console = Console()
        self._bar: Progress | None = None
        if console.is_terminal and not quiet:
            # Where it is narrow the bar gives way, not the numbers.
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=20),
                MofNCompleteColumn(table_column=Column(no_wrap=True)),
                TextColumn("{task.fields[speed]}", markup=False),
                TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
            )
            self._bar = TwoLines(*columns, console=console, expand=False)
            self._task = self._bar.add_task(label, total=total, completed=done, speed="", terms="")

    def __enter__(self) -> "Bar":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def seconds(self) -> float:
        """Since training began here."""
        return time.monotonic() - self._start

    def speed(self, done: int) -> float:
        """Steps a second since training began here."""
        return (done - self._first) / max(self.seconds(), 1e-9)

    def advance(self, done: int) -> None:
        if self._bar:
            self._bar.update(self._task, completed=done, total=self.total)

    def show(self, done: int, terms: dict[str, float]) -> None:
        speed = f"{self.speed(done):.3g} steps/s"
        words = " ".join(f"{key} {value:.3g}" for key, value in terms.items() if "/" in key)
        if self._bar:
            self._bar.update(self._task, completed=done, speed=speed, terms=words)
        elif not self.quiet and (time.monotonic() - self._spoken > 10 or done == self.total):
            self._spoken = time.monotonic()
            left = (self.total - done) / max(self.speed(done), 1e-9)
            speak(f"step {done}/{self.total}  {speed}  {clock(left)} left  {words}")

    def say(self, text: str) -> None:
        """A line above the bar."""
        if self._bar:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        elif not self.quiet:
            speak(text)


def warn(text: str) -> None:
    """One line on standard error."""
    speak(f"ganarium: {text}", sys.stderr)


def speak(text: str, stream: TextIO | None = None) -> None:
    """One line on standard output or another stream; a letter that it cannot show is escaped."""
    stream = stream or sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
