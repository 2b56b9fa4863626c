"""`ganarium runs` and `ganarium clean`: what became of the runs, and the room they take."""

import shlex
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ganarium.errors import UserError

if TYPE_CHECKING:
    from ganarium.runs.listing import Summary

COLOURS = {"running": "cyan", "finished": "green", "stopped": "yellow", "failed": "red", "broken": "red"}
HEADER = ("name", "model", "data", "steps", "time", "steps/s", "size", "state")
RIGHT = {"steps", "time", "steps/s", "size"}


def runs(folder: str = "runs", /) -> int:
    """Every run of a folder, the newest last: steps, time, speed, size on disk, state and the last loss terms.

    Parameters
    ----------
    folder
        Where the runs are; folders of runs in it are looked at too. Or one run.
    """
    from rich.console import Console
    from rich.text import Text

    from ganarium.runs.listing import summaries

    path = Path(folder)
    if not path.is_dir() and folder != "runs":
        raise UserError(f"there is no folder {folder}: give the one that holds the runs, or one run.")
    found = summaries(path)
    if not found:
        print(f"no runs in {folder} yet: `ganarium train dcgan --data glyphs --minutes 3` makes one in runs.")
        return 0
    console = Console(highlight=False)
    rows = [_cells(summary) for summary in found]
    room = console.width if console.is_terminal else None
    widths = [max(len(row[place]) for row in [HEADER, *rows]) for place in range(len(HEADER))]
    if room:  # a long name, model or set of data gives way, not the numbers
        for place, least in ((0, 16), (2, 8), (1, 8)):
            widths[place] = max(min(widths[place], least), widths[place] - max(0, sum(widths) + 14 - room))
    console.print(Text(_line(HEADER, widths).rstrip(), style="bold"), soft_wrap=True)
    for summary, row in zip(found, rows, strict=True):
        start, notes = _line(row, widths), _notes(summary)
        if summary.state == "broken":
            start, notes = f"{_cut(row[0], widths[0]):{widths[0]}}", [summary.reason]
        line, rest = Text(start), "  ".join(notes)
        line.stylize(COLOURS[summary.state], 0 if summary.state == "broken" else start.rindex(summary.state))
        if rest and room and len(start) + 2 + len(rest) > room:  # a narrow terminal: the terms below
            parts = [Text("\n" + _cut(f"    {note}", room), style="dim") for note in notes]
        else:
            parts = [Text(f"  {rest}", style="dim")] if rest else []
        console.print(Text.assemble(line, *parts), soft_wrap=True)
    total = size(sum(summary.size for summary in found))
    print(f"{len(found)} run{'s' * (len(found) > 1)}, {total}; `ganarium clean RUN` keeps the last and best checkpoint")
    return 0


def clean(
    folders: Annotated[list[str], Parameter(name="RUN", negative=())],
    /,
    *,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Remove a run's old checkpoints: the last complete one and the best stay, and so do pictures and metrics.

    Parameters
    ----------
    folders
        The run's folder, one or more.
    dry_run
        Only say what would be removed.
    """
    from ganarium.runs import checkpoint
    from ganarium.runs.folder import run_folder
    from ganarium.runs.listing import disk_use
    from ganarium.runs.lock import alone

    chosen = list({Path(name).resolve(): run_folder(name) for name in folders}.values())
    with ExitStack() as stack:
        for run in chosen:  # all of them, before anything is removed
            if (run / "checkpoints").is_dir():
                stack.enter_context(alone(run))
        plans = [(run, *checkpoint.spare(run)) for run in chosen]
        freed = 0
        for run, kept, removed in plans:
            here = sum(map(disk_use, removed))
            for path in removed if not dry_run else []:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            freed += here
            verb = "would remove" if dry_run else "removed"
            what = (
                f"{verb} {', '.join(path.name for path in removed)} ({size(here)})" if removed else "nothing to remove"
            )
            print(f"{shlex.quote(str(run))}: keeps {', '.join(kept)}; {what}")
        if len(plans) > 1:
            print(f"{size(freed)} {'would be freed' if dry_run else 'freed'}")
    return 0


def size(count: float) -> str:
    """Bytes for people: 12 kB, 3.4 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}" if count < 99.5 else f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _cells(summary: "Summary") -> tuple[str, ...]:
    """The columns of HEADER."""
    from ganarium.runs.listing import clock

    speed = "" if summary.speed is None else f"{summary.speed:.3g}"
    steps = f"{summary.step}/{summary.total}"
    time = clock(summary.seconds) if summary.seconds else ""
    return (summary.name, summary.model, summary.data, steps, time, speed, size(summary.size), summary.state)


def _notes(summary: "Summary") -> list[str]:
    terms = " ".join(f"{key} {value:.3g}" for key, value in summary.terms.items())
    return [note for note in (terms, summary.reason) if note]


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    fitted = []
    for name, cell, width in zip(HEADER, cells, widths, strict=True):
        cell = _cut(cell, width)
        fitted.append(cell.rjust(width) if name in RIGHT else cell.ljust(width))
    return "  ".join(fitted)


def _cut(text: str, width: int) -> str:
    """The text, with its end left out where it is too long."""
    return text if len(text) <= width else text[: width - 1] + "…"
