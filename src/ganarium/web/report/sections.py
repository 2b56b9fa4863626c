"""The sections of the report as HTML. Whatever comes from files, names above all, is escaped."""

import json
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from ganarium import registry
from ganarium.doctor.memory import COPIED, more_images
from ganarium.metrics.protocol import Protocol
from ganarium.runs.listing import clock
from ganarium.web import html
from ganarium.web.report import commands, curves, frames
from ganarium.web.report.run_data import Row, RunData, StepEvaluation

SCORES = 100  # histograms of scores on the page
NAMED = 20  # classes that are named
CHANNELS = {1: "grey", 3: "colour", 4: "colour with alpha"}

Panels = list[curves.Panel]


def of_run(run: RunData) -> tuple[list[str], dict[str, Any]]:
    """The body of the page, and what its script draws."""
    panels: Panels = []
    grids, grid_frames = samples(run)
    body = [
        head(run),
        html.section("The doctor's notes", *map(note, run.notes)),
        grids,
        beside(run),
        html.section("Losses and speed", losses(run, panels)),
        evaluations(run, panels),
        scores(run),
        neighbours(run),
        walk(run),
        setup(run),
    ]
    return body, {"frames": grid_frames, "panels": panels, "scores": thinned_scores(run)}


def head(run: RunData) -> str:
    """What was trained on what, and how far."""
    card, config, summary = registry.card(run.config["model"]), run.config, run.summary
    name = registry.title(config["model"])
    data, shape = config["data"], config["data"]["shape"]
    kind = "points" if len(shape) == 1 else f"images of {shape[1]}x{shape[2]}, {CHANNELS[shape[0]]}"
    reason = f"<p class='no'>{escape(summary.reason)}</p>" if summary.reason else ""
    facts = {
        "state": summary.state,
        "steps": f"{summary.step:,} of {summary.total:,}",
        "time": clock(summary.seconds),
        "speed": f"{summary.speed:.3g} steps/s" if summary.speed else "",
        "data": f"{data['train']:,} {kind}",
        "batch": f"{config['options']['batch_size']:,}"
        + (f" in each of {world}" if (world := config["world"]) > 1 else ""),
        "device": config["device"],
        "precision": config["precision"],
    }
    rows = "".join(
        f"<div><dt>{escape(fact)}</dt><dd>{escape(value)}</dd></div>" for fact, value in facts.items() if value
    )
    paper = escape(card["title"])
    if card["arxiv"]:
        paper = f"<a href='https://arxiv.org/abs/{card['arxiv']}'>{paper}</a>"
    running = "<p class='quiet'>The page is written anew while the run goes on: load it again.</p>"
    return (
        f"<h1>{escape(name)} on {escape(data['name'])}</h1>"
        f"<p class='quiet'>{escape(run.name)}</p>{reason}"
        f"<dl class='facts'>{rows}</dl>"
        f"<p>{escape(card['idea'])}<br>{paper}, {escape(card['authors'])}, {card['year']}.</p>"
        f"{running if summary.state == 'running' else ''}"
    )


def note(row: Row) -> str:
    """A note of the doctor: what was seen, why that may be, and what to try."""

    def bullets(title: str, lines: list[Any]) -> str:
        items = "".join(f"<li>{escape(str(line))}</li>" for line in lines)
        return f"<div><p>{title}</p><ul>{items}</ul></div>" if items else ""

    where = f"player {row['player']}, step {row['step']:,}" if row["player"] else f"step {row['step']:,}"
    causes, ways = bullets("Likely causes", row["causes"]), bullets("What to try", row["try"])
    return (
        f"<div class='note'><h3>{escape(sentence(row['sign']))} <small>{escape(where)}</small></h3>"
        f"<p>{escape(sentence(row['seen']))}</p><div class='pair'>{causes}{ways}</div></div>"
    )


def sentence(words: Any) -> str:
    """Text with a capital letter at its beginning."""
    return f"{words}"[:1].upper() + f"{words}"[1:]


def samples(run: RunData) -> tuple[str, dict[str, Any]]:
    """The grids over the steps under a slider, and what it shows. The last grid is in the page itself, which prints."""
    if not run.pictures:
        return html.section("Samples", "<p>There is no sample grid yet.</p>"), {}
    chosen = frames.chosen(run.pictures)
    *earlier, (step, (image, (width, height))) = chosen
    for_script = {"steps": [step for step, _ in chosen], "earlier": [uri for _, (uri, _) in earlier]}
    content = (
        "Held-out images and what the model makes of them: input and output by turns, in each direction"
        if translates(run)
        else "The data in grey, samples in red"
        if points(run)
        else "The same seed at every step"
    )
    total = len(run.pictures)
    number = f"{total:,} grids" if total > 1 else "One grid"
    if len(chosen) < total:
        number = f"{len(chosen)} of {total:,} grids"
    caption = f"{content}. {number}, re-encoded for this page; the originals are in samples/."
    picture = (
        f"<img class='grid' src='{image}' alt='samples at step {step:,}' width='{width}' height='{height}'>"
        f"{slider(len(chosen), 'step of the samples', width)}"
    )
    title = "Inputs and outputs" if translates(run) else "Samples"
    figure = f"<figure data-frames>{picture}<figcaption>{caption}</figcaption></figure>"
    return html.section(title, figure), for_script


def slider(count: int, name: str, width: int | None = None) -> str:
    """A button, a slider and the step it stands at, no wider than `width` pixels."""
    style = f" style='max-width: {width}px'" if width else ""
    return (
        f"<div class='slide'{style}><button type='button'>play</button><input type='range' min='0' max='{count - 1}' "
        f"value='{count - 1}' aria-label='{name}'><output></output></div>"
    )


def translates(run: RunData) -> bool:
    model = registry.model_class(run.config["model"])
    return bool((model.directions and not model.domains) or model.scale or model.inpaints)


def points(run: RunData) -> bool:
    return len(run.config["data"]["shape"]) == 1


def beside(run: RunData) -> str:
    """Held-out real images and the newest samples, as many of each."""
    real = run.folder / "report" / "real.png"
    if not (real.exists() and run.pictures):
        return ""
    step, newest = run.pictures[-1]
    pair = "".join(
        html.figure(frames.shown(path)[0], words, sentence(words), frames.shown(path)[1])
        for path, words in ((real, "held-out real images"), (newest, f"samples at step {step:,}"))
    )
    return html.section("Real beside fake", f"<div class='pair'>{pair}</div>")


def losses(run: RunData, panels: Panels) -> str:
    """The players' terms and the speed."""
    if not run.terms:
        return "<p>Nothing has been logged yet.</p>"
    chart_panels = [
        *curves.of_players(run.terms),
        curves.panel("speed", "steps a second", {"steps/s": curves.speed(run.terms)}),
    ]
    return charts(chart_panels, panels)


def charts(new: Panels, panels: Panels) -> str:
    """Elements for new panels, which the script fills. They are added to the `panels` of the page, which it draws."""
    places = []
    for panel in new:
        if any(series["points"] for series in panel["series"]):
            places.append(f"<div class='chart' data-panel='{len(panels)}'></div>")
            panels.append(panel)
    return f"<div class='charts'>{''.join(places)}</div>" if places else ""


def evaluations(run: RunData, panels: Panels) -> str:
    """The metrics over the steps, and a table for each protocol."""
    parts = []
    if len(run.evaluations) > 1:
        parts.append(charts(curves.of_evaluations(run), panels))
    for protocol, columns in by_protocol(run).items():
        metrics = dict.fromkeys(metric for _, column in columns for metric in column.values)
        rows = [
            [metric.replace("_", " "), *(column.values.get(metric, "") for _, column in columns)] for metric in metrics
        ]
        parts.append(html.table(["metric", *(title for title, _ in columns)], rows))
        parts.append(f"<p class='quiet'>{escape(str(protocol))}</p>")
    return html.section("Evaluation", *parts)


def by_protocol(run: RunData) -> dict[Protocol, list[tuple[str, StepEvaluation]]]:
    """The last and the best evaluation while training, and those of `ganarium evaluate`, by how they were measured."""
    best = run.best["step"] if run.best else None
    last = run.evaluations[-1].step if run.evaluations else None
    columns = []
    for evaluation in run.evaluations:
        words = [word for word, step in (("best", best), ("last", last)) if evaluation.step == step]
        if words:
            columns.append((f"step {evaluation.step:,}, {' and '.join(words)}", evaluation))
    for evaluation in run.later_evaluations:
        raw = ", raw weights" if "-raw" in evaluation.file else ""
        columns.append((f"step {evaluation.step:,}{raw}", evaluation))
    groups: dict[Protocol, list[tuple[str, StepEvaluation]]] = {}
    for title, evaluation in columns:
        groups.setdefault(evaluation.protocol, []).append((title, evaluation))
    return groups


def scores(run: RunData) -> str:
    """Histograms of the scores of real and fake, under a slider."""
    rows = thinned_scores(run)
    if not rows:
        return ""
    players = dict.fromkeys(name.split("/")[0] for row in rows for name in row["histograms"])
    places = "".join(f"<div class='chart' data-player='{escape(name)}'></div>" for name in players)
    bar = slider(len(rows), "step of the scores")
    return html.section("Scores", f"<div data-scores><div class='charts'>{places}</div>{bar}</div>")


def thinned_scores(run: RunData) -> list[Row]:
    rows = run.scores
    every = -(-len(rows) // SCORES) or 1
    return rows[(len(rows) - 1) % every :: every]


def neighbours(run: RunData) -> str:
    """The nearest training images of samples, and of held-out images as the yardstick."""
    result = run.neighbours
    if not result:
        return ""
    apart, augment = (run.memory or {}).get("apart"), run.config["model_options"].get("augment")
    advice = more_images(apart, result.get("copied"), result["held_out"]["count"], augment)
    tables = []
    for kind, title in (("samples", f"Samples at step {result['step']:,}"), ("held_out", "Held-out real images")):
        sheet = run.folder / "report" / f"neighbours-{kind}.png"
        if sheet.exists():
            tables.append(f"<div><h3>{title}</h3>{neighbour_rows(sheet, result[kind], title)}</div>")
    return html.section(
        "Nearest training images",
        f"<p>{escape(verdict(result))}</p>",
        f"<p>{escape(advice[0].upper() + advice[1:])}.</p>" if advice else "",
        f"<p class='quiet'>{escape(protocol_of(result))}</p>",
        f"<div class='pair'>{''.join(tables)}</div>",
    )


def verdict(result: Row) -> str:
    """What the distances of `neighbours.json` say of memorisation, with the numbers."""
    of_samples, of_held_out, near = result["samples"]["median"], result["held_out"]["median"], result["nearer"]
    numbers = (
        f"The median distance from a sample to its nearest training image is {of_samples:.3g}, "
        f"and {of_held_out:.3g} from a held-out real image."
    )
    chance = f"{100 * near:.0f} % of the samples are nearer to one than 95 % of the held-out images are (5 % is chance)"
    if of_held_out == 0:
        return f"{numbers} Held-out images are in the training set too, so nothing can be said: see `ganarium data`."
    if (copied := result.get("copied", 0.0)) > COPIED:  # absent in files of earlier versions
        return (
            f"{numbers} {100 * copied:.0f} % of the samples are copies of training images, mirrored or shifted ones "
            "among them: use more images, fewer steps, or --augment where the model has it."
        )
    if near > 0.25:
        return f"{numbers} {chance}: they are copies, or simpler than the data. Look at the pairs."
    if of_samples > 1.5 * of_held_out:
        return f"{numbers} {chance}: the samples lie further from the data than real images do, and are no copies."
    return f"{numbers} {chance}: no sign that the model has memorised its training images."


def protocol_of(result: Row) -> str:
    """Among which images the neighbours were searched, and how."""
    searched, total = result["searched"], result["total"]
    share = f"all {total:,}" if searched == total else f"{searched:,} of {total:,}"
    digest = f" ({result['reference'][:8]})" if "reference" in result else ""  # absent in files of earlier versions
    return (
        f"Searched among {share} training images{digest}, by the distance of {result['features']} features; medians of "
        f"{result['samples']['count']:,} samples and {result['held_out']['count']:,} held-out images. "
        "The image itself is outlined, its three nearest beside it with their distances."
    )


def neighbour_rows(sheet: Path, result: Row, alt: str) -> str:
    """The rows of a sheet, each an image and its neighbours, as a table."""
    rows = []
    with Image.open(sheet) as picture:
        across, down = 1 + len(result["distances"][0]), len(result["distances"])
        width, height = picture.width // across, picture.height // down
        for row, distances in enumerate(result["distances"]):
            cells = []
            for column, words in enumerate(["", *(f"{distance:.3g}" for distance in distances)]):
                tile = picture.crop((column * width, row * height, (column + 1) * width, (row + 1) * height))
                tile.thumbnail((96, 96), Image.Resampling.LANCZOS)
                name = f"{alt}, {row + 1}" if column == 0 else f"training image at a distance of {words}"
                image = html.uri(tile, None if tile.width * tile.height <= 2000 else 85)
                cells.append(
                    f"<td><img src='{image}' alt='{escape(name)}' width='{width}' height='{height}'>{words}</td>"
                )
            rows.append(f"<tr>{''.join(cells)}</tr>")
    heads = "".join(f"<th>{word}</th>" for word in ("", "nearest", "2nd", "3rd")[:across])
    return f"<table class='neighbours'><tr>{heads}</tr>{''.join(rows)}</table>"


def walk(run: RunData) -> str:
    """Images between codes, a walk in each row."""
    path = run.folder / "report" / "walk.png"
    if not (run.walk and path.exists()):
        return ""
    image, (width, height) = frames.shown(path)
    factor = max(1, 700 // width)
    by_class = ", and keeps its class" if run.walk.get("by_class") else ""
    words = f"Each row goes from one code to another, on the sphere on which codes lie{by_class}."
    caption = f"{words} Step {run.walk['step']:,}."
    return html.section(
        "Between codes", html.figure(image, "walks between codes", caption, (factor * width, factor * height))
    )


def setup(run: RunData) -> str:
    """Commands, versions, and the config as it is."""
    config, summary = run.config, run.summary
    further = 2 * summary.total if summary.step >= summary.total else None
    versions = ", ".join(f"{name} {version}" for name, version in config["versions"].items())
    machine = f"{versions}; {config['processor']}, {config['threads']} threads"
    names = config["data"]["class_names"]
    classes = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED:,} more" if len(names) > NAMED else "")
    notes = "; ".join(config["data"].get("notes", ()))  # absent from the configs of older runs
    return html.section(
        "Setup",
        "<p>The same run again:</p>",
        f"<pre>{escape(commands.reproduce(config))}</pre>",
        "<p>To go on with this one:</p>",
        f"<pre>{escape(commands.resume(run.folder, config, steps=further))}</pre>",
        f"<p class='quiet'>{escape(machine)}</p>",
        f"<p class='quiet'>Data: {escape(config['data']['source'])}</p>" if config["data"]["source"] else "",
        f"<p class='quiet'>Classes: {escape(classes)}</p>" if names and not points(run) else "",
        f"<p class='quiet'>{escape(notes)}</p>" if notes else "",
        f"<details><summary>config.json</summary><pre>{escape(json.dumps(config, indent=1))}</pre></details>",
    )
