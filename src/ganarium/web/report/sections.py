"""The parts of the report as HTML. All that comes from files, names above all, is escaped."""

import json
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from ganarium import registry
from ganarium.metrics.protocol import Protocol
from ganarium.runs import rows as logs
from ganarium.web import html as pages
from ganarium.web.report import commands, curves, frames
from ganarium.web.report.run_data import Facts, Measured, Row

SCORES = 100  # histograms of scores on the page
NAMED = 20  # classes that are named
CHANNELS = {1: "grey", 3: "colour", 4: "colour with alpha"}

Panels = list[curves.Panel]


def of_run(found: Facts) -> tuple[list[str], dict[str, Any]]:
    """The body of the page, and what its script draws."""
    panels: Panels = []
    grids, shown = samples(found)
    body = [
        head(found),
        pages.section("The doctor's notes", *map(note, found.notes)),
        grids,
        beside(found),
        pages.section("Losses and speed", losses(found, panels)),
        evaluations(found, panels),
        scores(found),
        neighbours(found),
        walk(found),
        setup(found),
    ]
    return body, {"frames": shown, "panels": panels, "scores": thinned_scores(found)}


def head(found: Facts) -> str:
    """What was trained on what, and how far."""
    card, config, summary = registry.card(found.config["model"]), found.config, found.summary
    data, shape = config["data"], config["data"]["shape"]
    things = "points" if len(shape) == 1 else f"images of {shape[1]}x{shape[2]}, {CHANNELS[shape[0]]}"
    reason = f"<p class='no'>{escape(summary.reason)}</p>" if summary.reason else ""
    facts = {
        "state": summary.state,
        "steps": f"{summary.step:,} of {summary.total:,}",
        "time": logs.clock(summary.seconds),
        "speed": f"{summary.speed:.3g} steps/s" if summary.speed else "",
        "data": f"{data['train']:,} {things}",
        "batch": f"{config['options']['batch_size']:,}"
        + (f" in each of {world}" if (world := config["world"]) > 1 else ""),
        "device": config["device"],
        "precision": config["precision"],
    }
    listed = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items() if value
    )
    running = "<p class='quiet'>The page is written anew while the run goes on: load it again.</p>"
    return (
        f"<h1>{escape(config['model'])} on {escape(data['name'])}</h1>"
        f"<p class='quiet'>{escape(found.name)}</p>{reason}"
        f"<dl class='facts'>{listed}</dl>"
        f"<p>{escape(card['idea'])}<br><a href='https://arxiv.org/abs/{card['arxiv']}'>{escape(card['title'])}</a>, "
        f"{escape(card['authors'])}, {card['year']}.</p>"
        f"{running if summary.state == 'running' else ''}"
    )


def note(found: Row) -> str:
    """A note of the doctor: what was seen, why that may be, and what to try."""

    def listed(title: str, words: list[Any]) -> str:
        items = "".join(f"<li>{escape(str(word))}</li>" for word in words)
        return f"<div><p>{title}</p><ul>{items}</ul></div>" if items else ""

    where = f"player {found['player']}, step {found['step']:,}" if found["player"] else f"step {found['step']:,}"
    causes, ways = listed("Likely causes", found["causes"]), listed("What to try", found["try"])
    return (
        f"<div class='note'><h3>{escape(sentence(found['sign']))} <small>{escape(where)}</small></h3>"
        f"<p>{escape(sentence(found['seen']))}</p><div class='pair'>{causes}{ways}</div></div>"
    )


def sentence(words: Any) -> str:
    """Text with a capital letter at its beginning."""
    return f"{words}"[:1].upper() + f"{words}"[1:]


def samples(found: Facts) -> tuple[str, dict[str, Any]]:
    """The grids over the steps under a slider, and what it shows. The last grid is in the page itself, which prints."""
    if not found.pictures:
        return pages.section("Samples", "<p>There is no sample grid yet.</p>"), {}
    kept = frames.chosen(found.pictures)
    *earlier, (step, (image, (width, height))) = kept
    shown = {"steps": [step for step, _ in kept], "earlier": [uri for _, (uri, _) in earlier]}
    what = (
        "Held-out images and what the model makes of them: input and output by turns, in each direction"
        if translates(found)
        else "The data in grey, samples in red"
        if points(found)
        else "The same seed at every step"
    )
    total = len(found.pictures)
    some = f"{len(kept)} of {total:,} grids" if len(kept) < total else f"{total:,} grids" if total > 1 else "One grid"
    said = f"{what}. {some}, re-encoded for this page; the originals are in samples/."
    picture = (
        f"<img class='grid' src='{image}' alt='samples at step {step:,}' width='{width}' height='{height}'>"
        f"{slider(len(kept), 'step of the samples', width)}"
    )
    title = "Inputs and outputs" if translates(found) else "Samples"
    return pages.section(title, f"<figure data-frames>{picture}<figcaption>{said}</figcaption></figure>"), shown


def slider(count: int, name: str, width: int | None = None) -> str:
    """A button, a slider and the step it stands at, no wider than so many pixels."""
    style = f" style='max-width: {width}px'" if width else ""
    return (
        f"<div class='slide'{style}><button type='button'>play</button><input type='range' min='0' max='{count - 1}' "
        f"value='{count - 1}' aria-label='{name}'><output></output></div>"
    )


def translates(found: Facts) -> bool:
    return bool(registry.model_class(found.config["model"]).directions)


def points(found: Facts) -> bool:
    return len(found.config["data"]["shape"]) == 1


def beside(found: Facts) -> str:
    """Held-out real images and the newest samples, as many of each."""
    real = found.folder / "report" / "real.png"
    if not (real.exists() and found.pictures):
        return ""
    step, newest = found.pictures[-1]
    pair = "".join(
        pages.figure(frames.shown(path)[0], words, sentence(words), frames.shown(path)[1])
        for path, words in ((real, "held-out real images"), (newest, f"samples at step {step:,}"))
    )
    return pages.section("Real beside fake", f"<div class='pair'>{pair}</div>")


def losses(found: Facts, panels: Panels) -> str:
    """The players' terms and the speed."""
    if not found.terms:
        return "<p>Nothing has been logged yet.</p>"
    made = [
        *curves.of_players(found.terms),
        curves.panel("speed", "steps a second", {"steps/s": curves.speed(found.terms)}),
    ]
    return charts(made, panels)


def charts(made: Panels, panels: Panels) -> str:
    """Places for panels, which the script fills; `panels` is what it finds them in."""
    places = []
    for one in made:
        if any(series["points"] for series in one["series"]):
            places.append(f"<div class='chart' data-panel='{len(panels)}'></div>")
            panels.append(one)
    return f"<div class='charts'>{''.join(places)}</div>" if places else ""


def evaluations(found: Facts, panels: Panels) -> str:
    """The metrics over the steps, and tables: a protocol each."""
    parts = []
    if len(found.evaluations) > 1:
        parts.append(charts(curves.of_evaluations(found), panels))
    for protocol, columns in by_protocol(found).items():
        names = dict.fromkeys(name for _, one in columns for name in one.values)
        rows = [[name.replace("_", " "), *(one.values.get(name, "") for _, one in columns)] for name in names]
        parts.append(pages.table(["metric", *(title for title, _ in columns)], rows))
        parts.append(f"<p class='quiet'>{escape(str(protocol))}</p>")
    return pages.section("Evaluation", *parts)


def by_protocol(found: Facts) -> dict[Protocol, list[tuple[str, Measured]]]:
    """The last and the best evaluation while training, and those of `ganarium evaluate`, by how they were measured."""
    best = found.best["step"] if found.best else None
    last = found.evaluations[-1].step if found.evaluations else None
    columns = [
        (f"step {one.step:,}, {' and '.join(words)}", one)
        for one in found.evaluations
        if (words := [word for word, step in (("best", best), ("last", last)) if one.step == step])
    ]
    columns += [(f"step {one.step:,}{', raw weights' if '-raw' in one.name else ''}", one) for one in found.measured]
    groups: dict[Protocol, list[tuple[str, Measured]]] = {}
    for title, one in columns:
        groups.setdefault(one.protocol, []).append((title, one))
    return groups


def scores(found: Facts) -> str:
    """Histograms of what the players said of real and fake, under a slider."""
    rows = thinned_scores(found)
    if not rows:
        return ""
    players = dict.fromkeys(name.split("/")[0] for row in rows for name in row["histograms"])
    places = "".join(f"<div class='chart' data-player='{escape(name)}'></div>" for name in players)
    bar = slider(len(rows), "step of the scores")
    return pages.section("Scores", f"<div data-scores><div class='charts'>{places}</div>{bar}</div>")


def thinned_scores(found: Facts) -> list[Row]:
    rows = found.scores
    every = -(-len(rows) // SCORES) or 1
    return rows[(len(rows) - 1) % every :: every]


def neighbours(found: Facts) -> str:
    """The nearest training images of samples, and of held-out images as the yardstick."""
    told = found.neighbours
    if not told:
        return ""
    parts = [f"<p>{escape(verdict(told))}</p>", f"<p class='quiet'>{escape(searched(told))}</p>"]
    for kind, title in (("samples", f"Samples at step {told['step']:,}"), ("held_out", "Held-out real images")):
        sheet = found.folder / "report" / f"neighbours-{kind}.png"
        if sheet.exists():
            parts.append(f"<div><h3>{title}</h3>{neighbour_rows(sheet, told[kind], title)}</div>")
    return pages.section("Nearest training images", *parts[:2], f"<div class='pair'>{''.join(parts[2:])}</div>")


def verdict(told: Row) -> str:
    """What the distances say of memorisation, with the numbers."""
    mine, theirs, near = told["samples"]["median"], told["held_out"]["median"], told["nearer"]
    numbers = (
        f"The median distance from a sample to its nearest training image is {mine:.3g}, "
        f"and {theirs:.3g} from a held-out real image."
    )
    chance = f"{100 * near:.0f} % of the samples are nearer to one than 95 % of the held-out images are (5 % is chance)"
    if theirs == 0:
        return f"{numbers} Held-out images are in the training set too, so nothing can be said: see `ganarium data`."
    if near > 0.25:
        return f"{numbers} {chance}: they are copies, or simpler than the data. Look at the pairs."
    if mine > 1.5 * theirs:
        return f"{numbers} {chance}: the samples lie further from the data than real images do, and are no copies."
    return f"{numbers} {chance}: no sign that the model has memorised its training images."


def searched(told: Row) -> str:
    """Among what the neighbours were searched, and how."""
    share = (
        f"all {told['total']:,}" if told["searched"] == told["total"] else f"{told['searched']:,} of {told['total']:,}"
    )
    return (
        f"Searched among {share} training images, by the distance of {told['features']} features; medians of "
        f"{told['samples']['count']:,} samples and {told['held_out']['count']:,} held-out images. "
        "The image itself is outlined, its three nearest beside it with their distances."
    )


def neighbour_rows(sheet: Path, told: Row, alt: str) -> str:
    """The rows of a sheet, each an image and its neighbours, as a table."""
    rows = []
    with Image.open(sheet) as picture:
        across, down = 1 + len(told["distances"][0]), len(told["distances"])
        width, height = picture.width // across, picture.height // down
        for row, distances in enumerate(told["distances"]):
            cells = []
            for column, words in enumerate(["", *(f"{distance:.3g}" for distance in distances)]):
                tile = picture.crop((column * width, row * height, (column + 1) * width, (row + 1) * height))
                tile.thumbnail((96, 96), Image.Resampling.LANCZOS)
                name = f"{alt}, {row + 1}" if column == 0 else f"training image at a distance of {words}"
                image = pages.uri(tile, None if tile.width * tile.height <= 2000 else 85)
                cells.append(
                    f"<td><img src='{image}' alt='{escape(name)}' width='{width}' height='{height}'>{words}</td>"
                )
            rows.append(f"<tr>{''.join(cells)}</tr>")
    heads = "".join(f"<th>{word}</th>" for word in ("", "nearest", "2nd", "3rd")[:across])
    return f"<table class='neighbours'><tr>{heads}</tr>{''.join(rows)}</table>"


def walk(found: Facts) -> str:
    """Images between codes, a walk each row."""
    path = found.folder / "report" / "walk.png"
    if not (found.walk and path.exists()):
        return ""
    image, (width, height) = frames.shown(path)
    factor = max(1, 700 // width)
    kept = ", and keeps its class" if found.walk.get("by_class") else ""
    said = (
        f"Each row goes from one code to another, on the sphere on which codes lie{kept}. Step {found.walk['step']:,}."
    )
    return pages.section(
        "Between codes", pages.figure(image, "walks between codes", said, (factor * width, factor * height))
    )


def setup(found: Facts) -> str:
    """Commands, versions, and the config as it is."""
    config, summary = found.config, found.summary
    further = 2 * summary.total if summary.step >= summary.total else None
    versions = ", ".join(f"{name} {version}" for name, version in config["versions"].items())
    machine = f"{versions}; {config['processor']}, {config['threads']} threads"
    names = config["data"]["class_names"]
    classes = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED:,} more" if len(names) > NAMED else "")
    skipped = config["data"]["skipped"]
    return pages.section(
        "Setup",
        "<p>The same run again:</p>",
        f"<pre>{escape(commands.reproduce(config))}</pre>",
        "<p>To go on with this one:</p>",
        f"<pre>{escape(commands.resume(found.folder, config, steps=further))}</pre>",
        f"<p class='quiet'>{escape(machine)}</p>",
        f"<p class='quiet'>Data: {escape(config['data']['source'])}</p>" if config["data"]["source"] else "",
        f"<p class='quiet'>Classes: {escape(classes)}</p>" if names and not points(found) else "",
        f"<p class='quiet'>{len(skipped):,} files could not be read and were skipped.</p>" if skipped else "",
        f"<details><summary>config.json</summary><pre>{escape(json.dumps(config, indent=1))}</pre></details>",
    )
