"""What became of the runs of a folder, read from their files alone: no torch is loaded and no run is disturbed.

A run that ended says so in `state.json`:
    {"state": "finished" | "stopped" | "failed", "step": 60, "seconds": 4.1, "reason": null}
`seconds` is the time of training in all, over resumptions. "running" is never written down, since a run that was killed
could not take it back: another process holds the lock of the run.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganarium.errors import UserError, nearest

FORMAT = 1  # of config.json
TAIL = 1 << 16  # bytes at the end of metrics.jsonl that are read: its last line is far shorter


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One line of `ganarium runs`."""

    name: str
    """The run's folder, as seen from the folder that was asked for."""
    state: str
    """running, finished, stopped, failed, or broken: then only `name`, `reason`, `size` and `touched` mean anything."""
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


def run_folder(path: str | Path) -> Path:
    """The folder of a run; `UserError` if it is none."""
    path = Path(path)
    if not (path / "config.json").is_file():
        runs = [str(file.parent) for folder in (path, path.parent) for file in folder.glob("*/config.json")]
        end = f": {nearest(str(path), runs)}" if 0 < len(runs) <= 10 else "."
        raise UserError(f"{path} is no run, which is a folder with config.json and checkpoints/{end}")
    try:
        written = int(json.loads((path / "config.json").read_text())["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path / 'config.json'} cannot be read: it is no complete config of a run; every folder in "
            f"{path / 'checkpoints'} holds it too and can be sampled by itself."
        ) from error
    if written > FORMAT:
        raise UserError(
            f"{path} was made by a newer ganarium (run format {written}; this one reads {FORMAT}): upgrade ganarium."
        )
    return path


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds a run for this process, until the block or the process ends: two that write one run would spoil it."""
    try:
        import fcntl
    except ImportError:  # not POSIX: nobody is kept out
        yield
        return
    handle = os.open(folder / "checkpoints", os.O_RDONLY)
    try:
        for patience in (0.1, 0.0):  # `running` holds it too, for the moment of a look
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not patience:
                    way = "wait for it, or stop it first"
                    raise UserError(f"{folder} is being trained by another process: {way}.") from None
                time.sleep(patience)
        yield
    finally:
        os.close(handle)


def running(folder: Path) -> bool:
    """Whether a process trains this run now. Where there are no POSIX locks nobody can tell: False."""
    try:
        import fcntl

        handle = os.open(folder / "checkpoints", os.O_RDONLY)
    except (ImportError, OSError):
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(handle)
    return False


def find(folder: Path) -> list[Path]:
    """The runs in a folder and one level below it, or the folder itself if it is one."""
    if (folder / "config.json").exists():
        return [folder]
    return sorted(file.parent for depth in ("*", "*/*") for file in folder.glob(f"{depth}/config.json"))


def summaries(folder: Path) -> list[Summary]:
    """Every run in a folder and one level below it, the one that was last trained at the end."""
    found = [look(run, run.name if run == folder else str(run.relative_to(folder))) for run in find(folder)]
    return sorted(found, key=lambda summary: (summary.touched, summary.name))


def look(run: Path, name: str) -> Summary:
    """What became of one run. A file that cannot be read is said in the summary; nothing is raised."""
    size, touched = disk_use(run), max(map(_touched, ("config.json", "metrics.jsonl", "state.json"), [run] * 3))
    try:
        config = json.loads((run / "config.json").read_text())
        model, data, total = str(config["model"]), str(config["data"]["name"]), int(config["options"]["steps"])
    except (OSError, ValueError, KeyError, TypeError):
        reason = "config.json cannot be read: it is no complete config of a run"
        return Summary(name=name, state="broken", reason=reason, size=size, touched=touched)
    row, saved = last_row(run / "metrics.jsonl"), newest_step(run)
    written = read_state(run) or {}
    step, state = saved, "finished" if saved >= total else "stopped"
    if running(run):
        step, state = max(saved, int(row.get("step", 0))), "running"
    elif written and written["step"] >= saved and not (written["state"] == "finished" and saved < total):
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
    rows = [row for row in _rows(run / "metrics.jsonl", whole=True) if row.get("step", 0) <= step]
    logged = float(rows[-1].get("seconds", 0.0)) if rows else 0.0
    return max(logged, state["seconds"]) if state and state["step"] == step else logged


def newest_step(run: Path) -> int:
    """The step of the newest checkpoint that looks whole, 0 if there is none; its files are not read."""
    whole = [path.parent.name for path in (run / "checkpoints").glob("step-*/checkpoint.json")]
    return max((int(name[5:]) for name in whole if name[5:].isdecimal()), default=0)


def last_row(metrics: Path) -> dict[str, float]:
    """The last whole line of a `metrics.jsonl`; nothing if there is none."""
    rows = _rows(metrics)
    return rows[-1] if rows else {}


def _rows(metrics: Path, whole: bool = False) -> list[dict[str, float]]:
    """The lines of the file, or of its end alone. A half line, which a kill leaves, is passed over."""
    rows = []
    with suppress(OSError), metrics.open("rb") as file:
        if not whole:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
        for line in file.read().splitlines():
            with suppress(ValueError):
                row = json.loads(line)
                if isinstance(row, dict) and all(isinstance(value, int | float) for value in row.values()):
                    rows.append(row)
    return rows


def _touched(name: str, run: Path) -> float:
    try:
        return (run / name).stat().st_mtime
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
