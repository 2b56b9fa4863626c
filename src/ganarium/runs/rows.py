"""The files of rows in a run, a JSON object a line: metrics.jsonl, evaluations.jsonl, doctor.jsonl ..."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from ganarium.runtime.files import atomic_write

TAIL = 1 << 16  # bytes at the end of a file that `last_row` reads: a row is far shorter


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, without the half line that a kill or a full disk leaves; none if there is no such file."""
    rows = map(_row, path.read_bytes().splitlines() if path.exists() else [])
    return [row for row in rows if row is not None]


def last_row(path: Path) -> dict[str, Any]:
    """The last whole row, found without reading all of the file; empty if there is none."""
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
        rows = map(_row, reversed(file.read().splitlines()))
        return next((row for row in rows if row is not None), {})
    return {}


def _row(line: bytes) -> dict[str, Any] | None:
    with suppress(ValueError):
        row = json.loads(line)
        if isinstance(row, dict):
            return row
    return None


def append_row(path: Path, row: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def cut(path: Path, step: int) -> list[dict[str, Any]]:
    """Drops the rows after a step, and the half line of a kill; returns the rows that stay."""
    kept = [row for row in read_rows(path) if row["step"] <= step]
    if path.exists():
        with atomic_write(path) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in kept))
    return kept


def means(rows: list[dict[str, float]]) -> dict[str, float]:
    """The mean of every term over the iterations that had it, at the last one's step."""
    keys = dict.fromkeys(key for row in rows for key in row if key != "step")
    values = {key: [row[key] for row in rows if key in row] for key in keys}
    return {"step": rows[-1]["step"]} | {key: sum(numbers) / len(numbers) for key, numbers in values.items()}
