"""Validation while a run trains: when the model is evaluated, and which step was the best so far.

runs/NAME/
  evaluations.jsonl   a line an evaluation: step, seconds (of the run so far), took, metric, values, protocol
  best.json           step, metric, value and lower_is_better of the best evaluation whose checkpoint is there
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ganarium.errors import UserError
from ganarium.evaluation.measures import Measure
from ganarium.runs.checkpoint import best_step
from ganarium.runs.folder import write_json
from ganarium.runs.rows import append_row, cut
from ganarium.training.outlook import chance_in_words, chance_of_improvement, in_words, main_value, outlook, unlikely

FILE = "evaluations.jsonl"
SHORT = 50  # steps; a shorter run is a trial, and is evaluated only if the user asks for it
TIMES = 20  # evaluations in a run, unless --evaluate-every says otherwise
SHARE = 0.05  # of the time that evaluations may take by default
LAST_SHARE = 0.25  # of the time that the one at the end may take
MIN_SECONDS = 0.05  # an evaluation hardly takes less, so in shorter runs not even estimating it is worth its time


def interval(options: dict[str, Any], total: int) -> int:
    """Steps between two moments at which a run may be evaluated, the same in every process; 0: never.

    Where the run chooses, they are steps at which it logs, so that the log does not depend on them.
    """
    every: int | None = options.get("evaluate_every")  # absent from the configs of older runs
    if every is not None:
        return every
    log_every: int = options["log_every"]
    return 0 if total < SHORT else log_every * max(1, round(total / (TIMES * log_every)))


def reserve(make_measure: Callable[[], Measure], options: dict[str, Any], seconds: float) -> tuple[float, float]:
    """The seconds that evaluations will take of a run of some seconds: once, and in addition to each step."""
    every: int | None = options.get("evaluate_every")
    if every == 0:
        return 0.0, 0.0
    if every is not None:
        expected = expected_seconds(make_measure())
        return expected, expected / every
    try:
        expected = expected_seconds(make_measure()) if LAST_SHARE * seconds > MIN_SECONDS else 0.0
    except UserError:  # the run will say so
        return 0.0, 0.0
    return max(SHARE * seconds, expected if expected < LAST_SHARE * seconds else 0.0), 0.0


def expected_seconds(measure: Measure) -> float:
    """What an evaluation will take. A small part of it is timed, at the second try: the first warms up."""
    for _ in range(2):
        start = time.monotonic()
        measure.read(min(measure.portion, measure.count))
    return (time.monotonic() - start) * max(1.0, measure.count / measure.portion)


class Validation:
    """The evaluations of one run: whether the next one fits in the time, and which was the best.

    Opened at a step, it drops the rows that an interrupted run wrote after that step; `best.json` then names the best
    of those that are left. `always` is for moments that the user chose: they ask for no time. `say` shows a line.
    """

    def __init__(
        self, folder: Path, step: int, make_measure: Callable[[], Measure], *, always: bool, say: Callable[[str], None]
    ) -> None:
        self.folder, self.always, self.say = folder, always, say
        self.rows = cut(folder / FILE, step)
        self.best = min(filter(self._has_checkpoint, self._comparable()), key=main_value, default=None)
        self._make_measure: Callable[[], Measure] | None = make_measure  # None after it has failed
        self._measure: Measure | None = None
        self._start, self._spent, self._expected = 0.0, 0.0, 0.0  # seconds
        self._count = 0  # evaluations of this process
        named = best_step(folder)
        if self.best and named != self.best["step"]:  # killed before it was written, or what it names was undone
            self._write_best(self.best)
        elif not self.best and named > step:
            (folder / "best.json").unlink()

    def evaluate(self, step: int, seconds: float, last: bool, must: bool = False) -> dict[str, Any] | None:
        """The row of an evaluation, if one fits after so many seconds of training here; `add` then takes it.

        One that `must` be asks for no time. A step is evaluated once.
        """
        self._start = time.monotonic()
        if any(row["step"] == step for row in self.rows):
            return None
        try:
            if self._make_measure and (self.always or must or self._fits(self._make_measure, seconds, last)):
                measure = self._ready(self._make_measure)
                values, protocol = measure.quick(), asdict(measure.protocol)
                return {"step": step, "metric": measure.metric, "values": values, "protocol": protocol}
        except UserError as error:
            self._make_measure = None
            self.say(f"this run is not evaluated while it trains: {error}")
        self._spent += time.monotonic() - self._start
        return None

    def is_best(self, row: dict[str, Any]) -> bool:
        """Whether a row is better than the best that it can be compared with."""
        best = self.best
        return best is None or best["protocol"] != row["protocol"] or main_value(row) < main_value(best)

    def add(self, row: dict[str, Any], seconds: float) -> None:
        """Writes a row of `evaluate`, after `seconds` of the run.

        The checkpoint of a new best is written before this is called. Its row comes next, then `best.json`: so a kill
        at any moment leaves no name without its checkpoint.
        """
        took = time.monotonic() - self._start
        self._spent += took
        self._count += 1
        if self._count > 1:  # the first has also read the real side
            self._expected = took
        best = self.is_best(row)
        row = {"step": row["step"], "seconds": round(seconds, 3), "took": round(took, 4), **row}
        self.rows.append(row)
        append_row(self.folder / FILE, row)
        if best:
            self.best = row
            self._write_best(row)
        chance = chance_of_improvement(self._comparable())
        more = "" if chance is None else f"; {chance_in_words(chance)}"
        self.say(
            f"step {row['step']}: {in_words(row)}{', the best so far' if best and len(self.rows) > 1 else ''}{more}"
        )

    def enough(self, patience: int) -> bool:
        """Whether so many evaluations in a row gave going on a chance below one half to improve the best number.

        Those of this process count: whoever resumes a run that patience has ended wants more of it.
        """
        return bool(self.rows) and min(unlikely(self._comparable()), self._count) >= patience

    def summary(self, more: str) -> list[str]:
        """The end of a run in a few lines: the last numbers, the best, whether to go on (with the command `more`), and
        what evaluating took."""
        if not self.rows or not self.best:
            return []
        last, best = self.rows[-1], self.best
        value = "" if best is last else f", {best['metric']} {main_value(best):.4g}"
        share = sum(row["took"] for row in self.rows) / last["seconds"]
        return [
            f"evaluated at step {last['step']}: {in_words(last)}",
            *self._beside_the_start(),
            f"best at step {best['step']}{value}: {self._checkpoint(best)}",
            outlook(self._comparable(), more),
            f"evaluations took {100 * share:.2g} % of the time",
        ]

    def _beside_the_start(self) -> list[str]:
        """Whether a run that started from weights is better than these were; nothing for other runs."""
        first, last = self._comparable()[0], self.rows[-1]
        if first["step"] > 0 or last is first:
            return []
        before, after, metric = main_value(first), main_value(last), last["metric"]
        if after < before:
            return [f"better than the start: {metric} {before:.4g} then, {after:.4g} now"]
        end = (
            ""
            if self.best is last
            else f"; the best checkpoint, which is loaded, is {self._checkpoint(self.best or first)}"
        )
        return [f"not better than the start: {metric} {before:.4g} then, {after:.4g} now{end}"]

    def _fits(self, make_measure: Callable[[], Measure], seconds: float, last: bool) -> bool:
        """Whether an evaluation fits. Before the end two must fit, this one and the last, to keep to the share."""

        def is_room(expected: float) -> bool:
            if last:
                return expected <= LAST_SHARE * seconds
            return self._spent + 2 * expected <= SHARE * seconds

        if not self._expected and is_room(MIN_SECONDS):
            self._expected = max(MIN_SECONDS, expected_seconds(self._ready(make_measure)))
        return self._expected > 0 and is_room(self._expected)

    def _ready(self, make_measure: Callable[[], Measure]) -> Measure:
        if self._measure is None:
            self._measure = make_measure()
        return self._measure

    def _comparable(self) -> list[dict[str, Any]]:
        """The rows with the protocol of the last one."""
        return [row for row in self.rows if row["protocol"] == self.rows[-1]["protocol"]]

    def _checkpoint(self, row: dict[str, Any]) -> Path:
        return self.folder / "checkpoints" / f"step-{row['step']:08d}"

    def _has_checkpoint(self, row: dict[str, Any]) -> bool:
        return (self._checkpoint(row) / "checkpoint.json").is_file()

    def _write_best(self, row: dict[str, Any]) -> None:
        best = {"step": row["step"], "metric": row["metric"], "value": main_value(row), "lower_is_better": True}
        write_json(self.folder, "best.json", best)
