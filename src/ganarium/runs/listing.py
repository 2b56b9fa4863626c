"""Summaries of the runs in a folder, read from their files alone: no torch is loaded and no run is disturbed.

A run that ended says so in `state.json`:
    {"state": "finished" | "stopped" | "failed", "step": 60, "seconds": 4.1, "reason": null}
`seconds` is the time of training in all, over resumptions. The reason of a run that finished before its last step is
"patience", which ended it. "running" is never written down, since a run that was killed
could not take it back: a run is running while a process holds its lock.
"""

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganarium import registry
from ganarium.runs.lock import running
from ganarium.runs.rows import last_row, read_rows

PATIENCE = "patience"  # the reason of a run that its patience has ended before the last step


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One line of `ganarium runs`."""

    name: str
    """The run's folder, as seen from the folder that was asked for."""
    state: str
    """running, finished, stopped, failed, or imported (weights of others, which never train), or broken: then only
    `name`, `reason`, `size` and `touched` mean anything."""
    reason: str = ""
    """Why it failed, or what is wrong with its config.json."""
    model: str = ""
    data: str = ""
    step: int = 0
    """Steps done."""
    total: int = 0
    """Steps it is to have in the end."""
    seconds: float = 0.0
    """Time of training in all, over resumptions."""
    speed: float | None = None
    """Steps a second, when it was last written down."""
    terms: dict[str, float] = field(default_factory=dict)
    """The loss terms that were last written down, by player/term."""
    size: int = 0
    """Bytes of all files."""
    touched: float = 0.0
    """When training last wrote, in seconds since 1970."""


def find_runs(folder: Path) -> list[Path]:
    """The runs in a folder and one level below it, or the folder itself if it is one."""
    if (folder / "config.json").exists():
        return [folder]
    return sorted(file.parent for depth in ("*", "*/*") for file in folder.glob(f"{depth}/config.json"))


def summaries(folder: Path) -> list[Summary]:
    """Every run in a folder and one level below it, the one that was last trained at the end."""
    runs = find_runs(folder)
    named = [summary_of(run, run.name if run == folder else str(run.relative_to(folder))) for run in runs]
    return sorted(named, key=lambda summary: (summary.touched, summary.name))


def summary_of(run: Path, name: str) -> Summary:
    """What became of one run. A file that cannot be read is said in the summary; nothing is raised."""
    size, touched = disk_use(run), max(_touched(run / file) for file in ("config.json", "metrics.jsonl", "state.json"))
    try:
        config = json.loads((run / "config.json").read_text())
        model, data = registry.title(str(config["model"])), str(config["data"]["name"])
        if "imported" in config:
            return Summary(name=name, state="imported", model=model, size=size, touched=touched)
        total = int(config["options"]["steps"])
    except (OSError, ValueError, KeyError, TypeError):
        reason = "config.json cannot be read: it is no complete config of a run"
        return Summary(name=name, state="broken", reason=reason, size=size, touched=touched)
    row, saved = _numbers(last_row(run / "metrics.jsonl")), newest_step(run)
    written = read_state(run) or {}
    extended = written.get("state") == "finished" and saved < total and written["reason"] != PATIENCE
    step, state = saved, "finished" if saved >= total else "stopped"
    if running(run):
        step, state = max(saved, int(row.get("step", 0))), "running"
    elif written and written["step"] >= saved and not extended:
        step, state = written["step"], written["state"]  # else it was resumed and killed since
    elif written:
        written = {}
    return Summary(
        name=name,
        state=state,
        reason=str(written.get("reason") or "") if state == "failed" else "",
        model=model,
        data=data,
        step=step,
        total=total,
        seconds=max(float(row.get("seconds", 0.0)), float(written.get("seconds", 0.0))),
        speed=row.get("steps_per_second"),
        terms={key: value for key, value in row.items() if "/" in key},
        size=size,
        touched=touched,
    )


def read_state(run: Path) -> dict[str, Any] | None:
    """What `state.json` says; None if it says nothing that can be read."""
    try:
        state = json.loads((run / "state.json").read_text())
        return {
            "state": str(state["state"]),
            "step": int(state["step"]),
            "seconds": float(state["seconds"]),
            "reason": state.get("reason"),
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def seconds_before(run: Path, step: int) -> float:
    """The time of training that led to a step from which the run now goes on."""
    state = read_state(run)
    rows = [row for row in map(_numbers, read_rows(run / "metrics.jsonl")) if row.get("step", 0) <= step]
    logged = float(rows[-1].get("seconds", 0.0)) if rows else 0.0
    return max(logged, state["seconds"]) if state and state["step"] == step else logged


def newest_step(run: Path) -> int:
    """The step of the newest checkpoint that looks whole, 0 if there is none; its files are not read."""
    whole = [path.parent.name for path in (run / "checkpoints").glob("step-*/checkpoint.json")]
    return max((int(name[5:]) for name in whole if name[5:].isdecimal()), default=0)


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    return {key: value for key, value in row.items() if isinstance(value, int | float)}


def _touched(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def disk_use(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; what vanishes meanwhile counts nothing."""
    if path.is_file():
        return path.stat().st_size
    total = 0
    with suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            with suppress(OSError):
                folder = entry.is_dir(follow_symlinks=False)
                total += disk_use(Path(entry.path)) if folder else entry.stat(follow_symlinks=False).st_size
    return total


def clock(seconds: float) -> str:
    """1:02:03, or 2:03 below an hour."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
