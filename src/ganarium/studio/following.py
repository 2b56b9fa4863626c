"""What a page shows of runs: the list, and the curves, pictures, notes and numbers of one. Read from files alone."""

import dataclasses
import json
import shlex
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ganarium import registry
from ganarium.runs.listing import Summary, summaries, summary_of
from ganarium.runs.rows import read_rows
from ganarium.studio.jobs import Jobs
from ganarium.web.report.commands import reproduce

POINTS = 400  # of a curve


def listed(runs: Path, jobs: Jobs) -> list[dict[str, Any]]:
    """All runs, the newest first, and trainings that have no folder yet or never got one."""
    rows = [dataclasses.asdict(summary) for summary in summaries(runs)] if runs.is_dir() else []
    rows += pending(runs, jobs)
    for row in rows:
        row["touched"] = row["touched"] or 2e10  # what begins now is the newest
        row["picture"] = newest_picture(runs / row["name"])
    return sorted(rows, key=lambda row: (row["state"] not in ("running", "starting"), -row["touched"], row["name"]))


def pending(runs: Path, jobs: Jobs) -> list[dict[str, Any]]:
    """Trainings that have no folder yet, or that never got one and say why."""
    rows = []
    for name in jobs.names():
        if (runs / name / "config.json").exists():
            continue
        state, reason = "starting", ""
        if not jobs.alive(name):
            state, reason = "failed", "".join(jobs.said(name).splitlines()[-1:]).removeprefix("ganarium: ")
        rows.append(dataclasses.asdict(Summary(name=name, state=state, reason=reason)) | {"pending": True})
    return rows


def details(run: Path, name: str, jobs: Jobs) -> dict[str, Any]:
    """All that is shown of one run."""
    summary = summary_of(run, name)
    config: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        config = json.loads((run / "config.json").read_text())
    left = None
    if summary.state == "running" and summary.speed:
        left = max(0, summary.total - summary.step) / summary.speed
    command = ""
    with suppress(Exception):  # an older config, or a model that is gone: the page does without
        command = reproduce(config)
    idea = ""
    with suppress(Exception):
        idea = registry.card(config["model"])["idea"]
    return dataclasses.asdict(summary) | {
        "idea": idea,
        "seconds_left": left,
        "can_stop": jobs.alive(name),
        "curves": curves(read_rows(run / "metrics.jsonl")),
        "evaluations": [
            {"step": row.get("step"), "metric": row.get("metric"), "values": row.get("values", {})}
            for row in read_rows(run / "evaluations.jsonl")
        ],
        "notes": read_rows(run / "doctor.jsonl"),
        "pictures": pictures(run),
        "report": (run / "report.html").is_file(),
        "command": command,
        "resume": shlex.join(["ganarium", "resume", str(run)]),
        "options": {key: value for key, value in config.get("model_options", {}).items() if value is not None},
        "data": {key: config.get("data", {}).get(key) for key in ("name", "train", "shape")},
        "said": jobs.said(name) if name in jobs.names() else "",
    }


def pictures(run: Path) -> list[str]:
    """The names of the sample grids, the oldest first."""
    return sorted(path.name for path in (run / "samples").glob("step-*.png"))


def newest_picture(run: Path) -> str | None:
    return (pictures(run) or [None])[-1]  # type: ignore[list-item]


def curves(rows: Iterable[dict[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """(step, value) of each term by player/term, neighbours averaged where there are more than can be seen."""
    terms: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for key, value in row.items():
            if "/" in key and isinstance(value, int | float):
                terms.setdefault(key, []).append((float(row.get("step", 0)), float(value)))
    return {key: _thinned(points) for key, points in terms.items()}


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    each = -(-len(points) // POINTS)
    parts = [points[start : start + each] for start in range(0, len(points), each)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]
