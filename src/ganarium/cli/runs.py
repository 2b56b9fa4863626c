"""`ganarium runs`: a table of runs, with their state and the room they take."""

from pathlib import Path

from ganarium.cli.output import size_in_words
from ganarium.errors import UserError
from ganarium.runs.listing import Summary, clock, summaries

COLOURS = {
    "running": "cyan",
    "finished": "green",
    "stopped": "yellow",
    "failed": "red",
    "broken": "red",
    "imported": "blue",
}
HEADER = ("name", "model", "data", "steps", "time", "steps/s", "size", "state")
RIGHT_ALIGNED = {"steps", "time", "steps/s", "size"}


def runs(folder: str = "runs", /) -> int:
    """Print a table of the runs in a folder, the newest last: progress, speed, size on disk, state, latest losses.

    Parameters
    ----------
    folder
        The folder that holds the runs, directly or in folders of their own; or one run.
    """
    from rich.console import Console
    from rich.text import Text

    path = Path(folder)
    if not path.is_dir() and folder != "runs":
        raise UserError(f"there is no folder {folder}: give the one that holds the runs, or one run.")
    table = summaries(path)
    if not table:
        print(f"no runs in {folder} yet: `ganarium train dcgan --data glyphs --minutes 3` makes one in runs.")
        return 0
    console = Console(highlight=False)
    rows = [_cells(summary) for summary in table]
    room = console.width if console.is_terminal else None
    widths = [max(len(row[place]) for row in [HEADER, *rows]) for place in range(len(HEADER))]
    if room:  # where the terminal is narrow, long names of runs, models and data are cut, and numbers are not
        for place, least in ((0, 16), (2, 8), (1, 8)):
            widths[place] = max(min(widths[place], least), widths[place] - max(0, sum(widths) + 14 - room))
    console.print(Text(_line(HEADER, widths).rstrip(), style="bold"), soft_wrap=True)
    for summary, row in zip(table, rows, strict=True):
        start, notes = _line(row, widths), _notes(summary)
        if summary.state == "broken":
            start, notes = f"{_cut(row[0], widths[0]):{widths[0]}}", [summary.reason]
        line, rest = Text(start), "  ".join(notes)
        line.stylize(COLOURS[summary.state], 0 if summary.state == "broken" else start.rindex(summary.state))
        if rest and room and len(start) + 2 + len(rest) > room:  # a narrow terminal: notes stand below the line
            parts = [Text("\n" + _cut(f"    {note}", room), style="dim") for note in notes]
        else:
            parts = [Text(f"  {rest}", style="dim")] if rest else []
        console.print(Text.assemble(line, *parts), soft_wrap=True)
    total = size_in_words(sum(summary.size for summary in table))
    print(f"{len(table)} run{'s' * (len(table) > 1)}, {total}; `ganarium clean RUN` keeps the last and best checkpoint")
    return 0


def _cells(summary: Summary) -> tuple[str, ...]:
    """The columns of HEADER."""
    speed = "" if summary.speed is None else f"{summary.speed:.3g}"
    steps = f"{summary.step}/{summary.total}" if summary.total else ""
    time = clock(summary.seconds) if summary.seconds else ""
    return (summary.name, summary.model, summary.data, steps, time, speed, size_in_words(summary.size), summary.state)


def _notes(summary: Summary) -> list[str]:
    terms = " ".join(f"{key} {value:.3g}" for key, value in summary.terms.items())
    return [note for note in (terms, summary.reason) if note]


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    columns = []
    for name, cell, width in zip(HEADER, cells, widths, strict=True):
        cell = _cut(cell, width)
        columns.append(cell.rjust(width) if name in RIGHT_ALIGNED else cell.ljust(width))
    return "  ".join(columns)


def _cut(text: str, width: int) -> str:
    """The text, with its end left out where it is too long."""
    return text if len(text) <= width else text[: width - 1] + "…"
