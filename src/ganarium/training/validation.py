"""How a run gets on: cheap evaluations while it trains, the best step so far, and whether more training would help.

runs/NAME/
  evaluations.jsonl   a line an evaluation: step, seconds (of the run so far), took, metric, values, protocol
  best.json           step, metric, value and lower_is_better of the best evaluation whose checkpoint is there
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ganarium.errors import UserError
from ganarium.evaluation.measures import Measure as Measure
from ganarium.evaluation.measures import quick_measure
from ganarium.runs.checkpoint import best_step
from ganarium.runs.folder import write_json
from ganarium.runs.rows import append_row, cut

FILE = "evaluations.jsonl"
SHORT = 50  # steps; a run of fewer is a trial, and has evaluations only if they are asked for
TIMES = 20  # evaluations in a run, unless --evaluate-every says otherwise
SHARE = 0.05  # of the time that they may take by default
LAST_SHARE = 0.25  # of the time that the one at the end may take
SOON = 0.05  # seconds; an evaluation hardly takes less, so in shorter runs not even a trial is worth its time
RECENT, FEWEST = 8, 5  # evaluations that a trend is read from
SURE = 0.05  # the chance that scatter alone looks like a trend
WORTH = 0.01  # the share of its value by which a number must change over the recent evaluations to count as changing


measure_for = quick_measure


def interval(options: dict[str, Any], total: int) -> int:
    """Steps between two moments at which a run may be evaluated, the same in every process; 0: never.

    Where the run chooses they are steps at which it logs, so that the log does not depend on them.
    """
    every: int | None = options.get("evaluate_every")  # absent from the configs of older runs
    if every is not None:
        return every
    log_every: int = options["log_every"]
    return 0 if total < SHORT else log_every * max(1, round(total / (TIMES * log_every)))


def reserve(measure: Callable[[], Measure], options: dict[str, Any], seconds: float) -> tuple[float, float]:
    """What evaluations will take of a run of some seconds: once, and in addition to each step."""
    every: int | None = options.get("evaluate_every")
    if every == 0:
        return 0.0, 0.0
    if every is not None:
        one = expected_seconds(measure())
        return one, one / every
    try:
        one = expected_seconds(measure()) if LAST_SHARE * seconds > SOON else 0.0
    except UserError:  # the run will say so
        return 0.0, 0.0
    return max(SHARE * seconds, one if one < LAST_SHARE * seconds else 0.0), 0.0


def expected_seconds(measure: Measure) -> float:
    """What a quick count will take, told from a small part of it, made twice: the first time warms up."""
    for _ in range(2):
        began = time.monotonic()
        measure.read(min(measure.portion, measure.count))
    return (time.monotonic() - began) * max(1.0, measure.count / measure.portion)


class Evaluations:
    """The evaluations of one run: whether one fits in the time, what it says, and which was the best.

    Opened at a step, it drops what an interrupted run wrote after that step; `best.json` then names the best of what
    is left. `always` is for moments that the user chose, and `say` takes a line to be shown.
    """

    def __init__(
        self, folder: Path, step: int, measure: Callable[[], Measure], *, always: bool, say: Callable[[str], None]
    ) -> None:
        self.folder, self.always, self.say = folder, always, say
        self.rows = cut(folder / FILE, step)
        self.best = min(filter(self._saved, self._comparable()), key=_value, default=None)
        self._make: Callable[[], Measure] | None = measure  # None after it has failed
        self._measure: Measure | None = None
        self._began, self._spent, self._expected = 0.0, 0.0, 0.0
        self._made = 0  # evaluations, here
        named = best_step(folder)
        if self.best and named != self.best["step"]:  # killed before it was written, or what it names was undone
            self._write_best(self.best)
        elif not self.best and named > step:
            (folder / "best.json").unlink()

    def measured(self, step: int, seconds: float, last: bool) -> dict[str, Any] | None:
        """The row of an evaluation, if one fits after so many seconds of training here; `add` then takes it."""
        self._began = time.monotonic()
        try:
            if self._make and (self.always or self._fits(self._make, seconds, last)):
                measure = self._known(self._make)
                values, protocol = measure.quick(), asdict(measure.protocol)
                return {"step": step, "metric": measure.metric, "values": values, "protocol": protocol}
        except UserError as error:
            self._make = None
            self.say(f"this run is not evaluated while it trains: {error}")
        self._spent += time.monotonic() - self._began
        return None

    def is_best(self, row: dict[str, Any]) -> bool:
        """Whether a row is better than the best that it can be compared with."""
        best = self.best
        return best is None or best["protocol"] != row["protocol"] or _value(row) < _value(best)

    def add(self, row: dict[str, Any], seconds: float) -> None:
        """Writes a row of `measured`, after `seconds` of the run. The checkpoint of a new best is there by now: then
        come its row and `best.json`, so that a kill at any moment leaves no name without its checkpoint."""
        took = time.monotonic() - self._began
        self._spent += took
        self._made += 1
        if self._made > 1:  # the first has also read the real side
            self._expected = took
        best = self.is_best(row)
        row = {"step": row["step"], "seconds": round(seconds, 3), "took": round(took, 4), **row}
        self.rows.append(row)
        append_row(self.folder / FILE, row)
        if best:
            self.best = row
            self._write_best(row)
        self.say(f"step {row['step']}: {said(row)}{', the best so far' if best and len(self.rows) > 1 else ''}")

    def verdict(self, more: str) -> list[str]:
        """The end of a run in a few lines: the last numbers, the best, whether to go on (with the command `more`), and
        what evaluating took."""
        if not self.rows or not self.best:
            return []
        last, best = self.rows[-1], self.best
        value = "" if best is last else f", {best['metric']} {_value(best):.4g}"
        share = sum(row["took"] for row in self.rows) / last["seconds"]
        return [
            f"evaluated at step {last['step']}: {said(last)}",
            f"best at step {best['step']}{value}: {self._checkpoint(best)}",
            outlook(self._comparable(), more),
            f"evaluations took {100 * share:.2g} % of the time",
        ]

    def _fits(self, make: Callable[[], Measure], seconds: float, last: bool) -> bool:
        """Before the end two must fit, this one and the last, so that all together keep to the share."""

        def room(one: float) -> bool:
            return one <= LAST_SHARE * seconds if last else self._spent + 2 * one <= SHARE * seconds

        if not self._expected and room(SOON):
            self._expected = max(SOON, expected_seconds(self._known(make)))
        return self._expected > 0 and room(self._expected)

    def _known(self, make: Callable[[], Measure]) -> Measure:
        if self._measure is None:
            self._measure = make()
        return self._measure

    def _comparable(self) -> list[dict[str, Any]]:
        """The evaluations that were made as the last one was."""
        return [row for row in self.rows if row["protocol"] == self.rows[-1]["protocol"]]

    def _checkpoint(self, row: dict[str, Any]) -> Path:
        return self.folder / "checkpoints" / f"step-{row['step']:08d}"

    def _saved(self, row: dict[str, Any]) -> bool:
        return (self._checkpoint(row) / "checkpoint.json").is_file()

    def _write_best(self, row: dict[str, Any]) -> None:
        best = {"step": row["step"], "metric": row["metric"], "value": _value(row), "lower_is_better": True}
        write_json(self.folder, "best.json", best)


def trend(values: list[float], steps: list[int]) -> Literal["falling", "rising", "flat", "unknown"]:
    """Whether the last evaluations fall or rise: the slope of a straight line through them against their scatter.

    It counts when scatter alone would give it less than one time in twenty (Student's t, one-sided, each evaluation
    taken as independent), and changes the value by 1 % over their length. Fewer than five tell nothing.
    """
    from scipy.special import stdtr

    if len(values) < FEWEST:
        return "unknown"
    y, x = np.array(values[-RECENT:]), np.array(steps[-RECENT:], dtype=float)
    x -= x.mean()
    slope = float(x @ y / (x @ x))
    left = y - y.mean() - slope * x
    error = math.sqrt(float(left @ left) / (len(x) - 2) / float(x @ x))
    chance = stdtr(len(x) - 2, -abs(slope) / max(error, 1e-300))
    if chance > SURE or abs(slope) * (x[-1] - x[0]) < WORTH * abs(y).mean():
        return "flat"
    return "falling" if slope < 0 else "rising"


def outlook(rows: list[dict[str, Any]], more: str) -> str:
    """Whether more training would likely help, in a sentence; `more` is the command for it."""
    name, count = rows[-1]["metric"], min(RECENT, len(rows))
    found = trend([_value(row) for row in rows], [row["step"] for row in rows])
    if found == "unknown":
        return f"{len(rows)} evaluation{'s' * (len(rows) > 1)} cannot tell whether more training would help"
    if found == "falling":
        return f"{name} still falls over the last {count} evaluations, so more training would likely help: {more}"
    if found == "rising":
        return f"{name} rises over the last {count} evaluations, so training has gone past its best"
    return f"{name} neither falls nor rises over the last {count} evaluations, so more training would likely not help"


def said(row: dict[str, Any]) -> str:
    """The numbers of an evaluation in words: "frechet_distance 12.3, classes 9 of 10"."""
    values = row["values"]
    counted = {name: f" of {values[f'{name}_of']}" for name in values if f"{name}_of" in values}
    names = [name for name in values if not name.endswith("_of")]
    return ", ".join(f"{name} {values[name]:.4g}{counted.get(name, '')}" for name in names)


def _value(row: dict[str, Any]) -> float:
    return float(row["values"][row["metric"]])
