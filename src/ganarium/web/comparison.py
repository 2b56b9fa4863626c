"""Runs side by side on one page: numbers under one protocol, sample grids, and the curves of the same terms."""

from html import escape
from pathlib import Path

from ganarium.evaluation.result import Evaluation, compare
from ganarium.runs import rows as logs
from ganarium.web import html as pages
from ganarium.web.report import SCRIPT, commands, curves, frames, sections
from ganarium.web.report import run_data as facts


def page(folders: dict[str, Path], evaluations: dict[str, Evaluation]) -> str:
    """The page of runs by their names. `UserError` where their data or their protocols differ, as `compare` has it."""
    compare(evaluations)
    runs = {name: facts.read(folder) for name, folder in folders.items()}
    panels: list[curves.Panel] = []
    data = next(iter(evaluations.values())).data
    title = f"{', '.join(runs)} on {data}"
    body = [
        f"<h1>{len(runs)} runs on {escape(data)}</h1>",
        overview(runs),
        pages.section("Evaluation", numbers(evaluations)),
        pages.section("Samples", grids(runs)),
        pages.section("Losses and speed", sections.charts(together(runs), panels)),
        pages.section(
            "Setup",
            *(
                f"<h3>{escape(name)}</h3><pre>{escape(commands.reproduce(run.config))}</pre>"
                for name, run in runs.items()
            ),
        ),
    ]
    script = SCRIPT.read_text(encoding="utf-8")
    return pages.page(title, body, script=script, data={"panels": panels, "scores": []})


def overview(runs: dict[str, facts.Facts]) -> str:
    return pages.table(
        ("run", "model", "state", "steps", "time", "device", "precision"),
        [
            (
                name,
                run.config["model"],
                run.summary.state,
                run.summary.step,
                logs.clock(run.summary.seconds),
                run.config["device"],
                run.config["precision"],
            )
            for name, run in runs.items()
        ],
    )


def numbers(evaluations: dict[str, Evaluation]) -> str:
    """A column for each run, and the protocol of them all."""
    found = list(evaluations.values())
    names = dict.fromkeys(name for one in found for name in one.values)
    head = ["metric", *(f"{name}, step {one.step:,}" for name, one in evaluations.items())]
    rows = [[name.replace("_", " "), *(one.values.get(name, "") for one in found)] for name in names]
    return pages.table(head, rows) + f"<p class='quiet'>{escape(str(found[0].protocol))}</p>"


def grids(runs: dict[str, facts.Facts]) -> str:
    """The newest sample grid of each run."""
    shown = []
    for name, run in runs.items():
        if run.pictures:
            step, path = run.pictures[-1]
            image, size = frames.shown(path)
            shown.append(pages.figure(image, f"samples of {name}", f"{name}, step {step:,}", size))
    return f"<div class='pair'>{''.join(shown)}</div>" if shown else ""


def together(runs: dict[str, facts.Facts]) -> list[curves.Panel]:
    """A panel for each term that at least one run logged, with the runs over each other, and one for the speed."""
    terms = dict.fromkeys(key for run in runs.values() for row in run.terms for key in row if "/" in key)
    made = [
        curves.panel(
            key.replace("/", ": ", 1), "loss term", {name: curves.column(run.terms, key) for name, run in runs.items()}
        )
        for key in terms
    ]
    return [
        *made,
        curves.panel("speed", "steps a second", {name: curves.speed(run.terms) for name, run in runs.items()}),
    ]
