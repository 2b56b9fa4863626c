"""Reads the files of a run for the report. A file that is absent, empty or torn leaves its part of the page out."""

import dataclasses
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganarium.metrics.protocol import Protocol
from ganarium.runs.folder import run_folder
from ganarium.runs.listing import Summary, read_state, summary_of
from ganarium.runs.rows import read_rows

Row = dict[str, Any]


@dataclass(frozen=True)
class StepEvaluation:
    """The evaluation of one step, made while training or by `ganarium evaluate`."""

    step: int
    values: dict[str, float]
    protocol: Protocol
    file: str = ""  # of `ganarium evaluate`, its name


@dataclass(frozen=True)
class RunData:
    """The content of the files of a run."""

    folder: Path
    name: str
    config: Row
    summary: Summary
    terms: list[Row]  # the lines of metrics.jsonl
    evaluations: list[StepEvaluation]  # while training
    later_evaluations: list[StepEvaluation]  # by `ganarium evaluate`
    best: Row | None  # best.json: step, metric, value, lower_is_better
    scores: list[Row]  # {"step", "histograms": {"D/real": {"low", "high", "counts"}}}
    notes: list[Row]  # the doctor's: {"step", "sign", "player", "seen", "causes", "try"}
    memory: Row | None  # the doctor's last look at what D knows by heart: {"step", "player", "gap", "apart"}
    pictures: list[tuple[int, Path]]  # (step, sample grid)
    neighbours: Row | None  # see `artifacts`
    walk: Row | None


def read(folder: Path) -> RunData:
    """Everything but the pictures themselves. `UserError` if the folder is no run."""
    config = json.loads((run_folder(folder) / "config.json").read_text())
    name = folder.resolve().name
    pictures = [
        (int(path.stem[5:]), path) for path in (folder / "samples").glob("step-*.png") if path.stem[5:].isdecimal()
    ]
    return RunData(
        folder=folder,
        name=name,
        config=config,
        summary=_summary(folder, name),
        terms=rows_with(folder / "metrics.jsonl", "step"),
        evaluations=_evaluations(rows_with(folder / "evaluations.jsonl", "step", "values", "protocol")),
        later_evaluations=_evaluations(
            [
                row | {"file": path.name}
                for path in sorted((folder / "evaluations").glob("evaluation-*.json"))
                if (row := json_with(path, "step", "values", "protocol"))
            ]
        ),
        best=json_with(folder / "best.json", "step", "metric", "value", "lower_is_better"),
        scores=rows_with(folder / "scores.jsonl", "step", "histograms"),
        notes=rows_with(folder / "doctor.jsonl", "step", "sign", "player", "seen", "causes", "try"),
        memory=next(reversed(rows_with(folder / "memory.jsonl", "step", "apart")), None),
        pictures=sorted(pictures),
        neighbours=json_with(folder / "report" / "neighbours.json", "step", "samples", "held_out"),
        walk=json_with(folder / "report" / "walk.json", "step"),
    )


def _summary(folder: Path, name: str) -> Summary:
    """The summary of the run. The process of a run that has ended keeps its lock until the last page is written, and
    `state.json` says by then that it has."""
    summary, state = summary_of(folder, name), read_state(folder)
    if summary.state != "running" or not state:
        return summary
    reason = state["reason"] if state["state"] == "failed" else ""
    end = {key: state[key] for key in ("state", "step", "seconds")}
    return dataclasses.replace(summary, reason=str(reason or ""), **end)


def rows_with(path: Path, *keys: str) -> list[Row]:
    """The rows of a file that hold these keys."""
    return [row for row in read_rows(path) if all(key in row for key in keys)]


def json_with(path: Path, *keys: str) -> Row | None:
    """The content of a file of JSON if it holds these keys, else None."""
    with suppress(OSError, ValueError):
        content = json.loads(path.read_text())
        if isinstance(content, dict) and all(key in content for key in keys):
            return content
    return None


def _evaluations(rows: list[Row]) -> list[StepEvaluation]:
    """Those whose protocol this version can read: numbers that do not say how they were measured are not shown."""
    known = {field.name for field in dataclasses.fields(Protocol)}
    needed = known - {"reference", "held_out"}  # absent from the files of earlier versions
    return [
        StepEvaluation(row["step"], row["values"], Protocol(**row["protocol"]), row.get("file", ""))
        for row in rows
        if needed <= row["protocol"].keys() <= known
    ]
