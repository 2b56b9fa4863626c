"""A page that shows runs side by side: numbers under one protocol, sample grids, and the curves of the same terms."""

from html import escape
from pathlib import Path

from ganarium import registry
from ganarium.evaluation.result import Evaluation, compare
from ganarium.runs.listing import clock
from ganarium.web import html
from ganarium.web.report import SCRIPT, commands, curves, frames, run_data, sections
from ganarium.web.report.run_data import RunData


def page(folders: dict[str, Path], evaluations: dict[str, Evaluation]) -> str:
    """The page of runs by their names. `UserError` where their data or their protocols differ, as `compare` has it."""
    compare(evaluations)
    runs = {name: run_data.read(folder) for name, folder in folders.items()}
    panels: list[curves.Panel] = []
    data = next(iter(evaluations.values())).data
    title = f"{', '.join(runs)} on {data}"
    body = [
        f"<h1>{len(runs)} runs on {escape(data)}</h1>",
        overview(runs),
        html.section("Evaluation", numbers(evaluations)),
        html.section("Samples", grids(runs)),
        html.section("Losses and speed", sections.charts(together(runs), panels)),
        html.section(
            "Setup",
            *(
                f"<h3>{escape(name)}</h3><pre>{escape(commands.reproduce(run.config))}</pre>"
                for name, run in runs.items()
            ),
        ),
    ]
    script = SCRIPT.read_text(encoding="utf-8")
    return html.page(title, body, script=script, data={"panels": panels, "scores": []})


def overview(runs: dict[str, RunData]) -> str:
    return html.table(
        ("run", "model", "state", "steps", "time", "device", "precision"),
        [
            (
                name,
                registry.title(run.config["model"]),
                run.summary.state,
                run.summary.step,
                clock(run.summary.seconds),
                run.config["device"],
                run.config["precision"],
            )
            for name, run in runs.items()
        ],
    )


def numbers(evaluations: dict[str, Evaluation]) -> str:
    """A column for each run, and the protocol of them all."""
    columns = list(evaluations.values())
    metrics = dict.fromkeys(metric for column in columns for metric in column.values)
    head = ["metric", *(f"{name}, step {column.step:,}" for name, column in evaluations.items())]
    rows = [[metric.replace("_", " "), *(column.values.get(metric, "") for column in columns)] for metric in metrics]
    return html.table(head, rows) + f"<p class='quiet'>{escape(str(columns[0].protocol))}</p>"


def grids(runs: dict[str, RunData]) -> str:
    """The newest sample grid of each run."""
    figures = []
    for name, run in runs.items():
        if run.pictures:
            step, path = run.pictures[-1]
            image, size = frames.shown(path)
            figures.append(html.figure(image, f"samples of {name}", f"{name}, step {step:,}", size))
    return f"<div class='pair'>{''.join(figures)}</div>" if figures else ""


def together(runs: dict[str, RunData]) -> list[curves.Panel]:
    """A panel for each term that at least one run logged, with the runs over each other, and one for the speed."""
    terms = dict.fromkeys(key for run in runs.values() for row in run.terms for key in row if "/" in key)
    panels = [
        curves.panel(
            key.replace("/", ": ", 1), "loss term", {name: curves.column(run.terms, key) for name, run in runs.items()}
        )
        for key in terms
    ]
    return [
        *panels,
        curves.panel("speed", "steps a second", {name: curves.speed(run.terms) for name, run in runs.items()}),
    ]
