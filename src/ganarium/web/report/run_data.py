"""What the report tells, read from the files of a run. A file that is absent, empty or torn leaves its part out."""

import dataclasses
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganarium.metrics.protocol import Protocol
from ganarium.runs import listing as runs
from ganarium.runs import rows as logs

Row = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """One evaluation: while training, or by `ganarium evaluate` (`name` is then its file's)."""

    step: int
    values: dict[str, float]
    protocol: Protocol
    name: str = ""


@dataclass(frozen=True)
class Facts:
    """A run, as its files tell it."""

    folder: Path
    name: str
    config: Row
    summary: runs.Summary
    terms: list[Row]  # the lines of metrics.jsonl
    evaluations: list[Measured]  # while training
    measured: list[Measured]  # by `ganarium evaluate`
    best: Row | None  # best.json: step, metric, value, lower_is_better
    scores: list[Row]  # {"step", "histograms": {"D/real": {"low", "high", "counts"}}}
    notes: list[Row]  # the doctor's: {"step", "sign", "player", "seen", "causes", "try"}
    pictures: list[tuple[int, Path]]  # (step, sample grid)
    neighbours: Row | None  # see `exhibits`
    walk: Row | None


def read(folder: Path) -> Facts:
    """Everything but the pictures themselves. `UserError` if the folder is no run."""
    config = json.loads((runs.run_folder(folder) / "config.json").read_text())
    name = folder.resolve().name
    pictures = [
        (int(path.stem[5:]), path) for path in (folder / "samples").glob("step-*.png") if path.stem[5:].isdecimal()
    ]
    return Facts(
        folder=folder,
        name=name,
        config=config,
        summary=_summary(folder, name),
        terms=lines(folder / "metrics.jsonl", "step"),
        evaluations=_evaluations(lines(folder / "evaluations.jsonl", "step", "values", "protocol")),
        measured=_evaluations(
            [
                row | {"name": path.name}
                for path in sorted((folder / "evaluations").glob("evaluation-*.json"))
                if (row := whole(path, "step", "values", "protocol"))
            ]
        ),
        best=whole(folder / "best.json", "step", "metric", "value", "lower_is_better"),
        scores=lines(folder / "scores.jsonl", "step", "histograms"),
        notes=lines(folder / "doctor.jsonl", "step", "sign", "player", "seen", "causes", "try"),
        pictures=sorted(pictures),
        neighbours=whole(folder / "report" / "neighbours.json", "step", "samples", "held_out"),
        walk=whole(folder / "report" / "walk.json", "step"),
    )


def _summary(folder: Path, name: str) -> runs.Summary:
    """A run that has ended is held by its process until the last page is written; state.json then says it is over."""
    summary, ended = runs.look(folder, name), runs.read_state(folder)
    if summary.state != "running" or not ended:
        return summary
    reason = ended["reason"] if ended["state"] == "failed" else ""
    told = {key: ended[key] for key in ("state", "step", "seconds")}
    return dataclasses.replace(summary, reason=str(reason or ""), **told)


def lines(path: Path, *keys: str) -> list[Row]:
    """The lines of a file of JSON lines that hold these keys."""
    rows: list[Any] = logs.read_metrics(path)
    return [row for row in rows if isinstance(row, dict) and all(key in row for key in keys)]


def whole(path: Path, *keys: str) -> Row | None:
    """A file of JSON that holds these keys, else None."""
    with suppress(OSError, ValueError):
        found = json.loads(path.read_text())
        if isinstance(found, dict) and all(key in found for key in keys):
            return found
    return None


def _evaluations(rows: list[Row]) -> list[Measured]:
    """Those whose protocol this version can read: numbers that do not say how they were measured are not shown."""
    known = {field.name for field in dataclasses.fields(Protocol)}
    return [
        Measured(row["step"], row["values"], Protocol(**row["protocol"]), row.get("name", ""))
        for row in rows
        if row["protocol"].keys() == known
    ]
