"""Curves as the page's script draws them: panels of series of (step, value), thinned where there are many points."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from ganarium.web.report.run_data import Row, RunData

MOST = 1000  # points of a curve
ADA = {"augment_p": ("how often ADA changes images", "p"), "augment_r": ("mean sign of scores of reals", "r_t")}
Points = list[tuple[float, float]]  # (step, value)
Panel = dict[str, Any]  # {"title", "unit", "series": [{"name", "points"}], "best": [step, value]}


def thinned(points: Points, most: int = MOST) -> Points:
    """At most `most` points of a curve: the least and the greatest of every part stay, and so do its two ends."""
    if len(points) <= most:
        return points
    parts = (most - 2) // 2
    inner = points[1:-1]
    kept = [points[0]]
    for place in range(parts):
        part = inner[place * len(inner) // parts : (place + 1) * len(inner) // parts]
        ends = {min(part, key=_value), max(part, key=_value)}
        kept += sorted(ends)
    return [*kept, points[-1]]


def _value(point: tuple[float, float]) -> float:
    return point[1]


def panel(title: str, unit: str, curves: dict[str, Points], best: tuple[float, float] | None = None) -> Panel:
    """Curves by their names; one without points keeps its colour and its place in the legend."""
    series = [
        {"name": name, "points": [[x, float(f"{y:.5g}")] for x, y in thinned(points)]}
        for name, points in curves.items()
    ]
    return {"title": title, "unit": unit, "series": series, "best": best}


def column(rows: Iterable[Row], key: str) -> Points:
    """The finite values of one key over the steps."""
    return [
        (row["step"], row[key])
        for row in rows
        if isinstance(row.get(key), int | float) and abs(row[key]) < float("inf")
    ]


def of_players(rows: list[Row]) -> list[Panel]:
    """A panel for each player, with its terms and what else it logged, and one for each number of ADA's controller,
    which are small beside losses."""
    logged = [key.split("/", 1) for key in dict.fromkeys(key for row in rows for key in row) if "/" in key]
    panels = [
        panel(
            f"player {player}",
            "loss term",
            {name: column(rows, f"{player}/{name}") for own, name in logged if own == player and name not in ADA},
        )
        for player in dict.fromkeys(player for player, _ in logged)
    ]
    for player, name in logged:
        if name in ADA:
            title, symbol = ADA[name]
            panels.append(panel(f"player {player}: {title}", symbol, {symbol: column(rows, f"{player}/{name}")}))
    return panels


def speed(rows: list[Row]) -> Points:
    """Steps a second between one line of metrics.jsonl and the next."""
    timed = [(row["step"], row["seconds"]) for row in rows if "seconds" in row]
    return [(b[0], (b[0] - a[0]) / (b[1] - a[1])) for a, b in pairwise(timed) if b[1] > a[1] and b[0] > a[0]]


def of_evaluations(run: RunData) -> list[Panel]:
    """A panel for each metric that was measured while training, under the protocol of the last evaluation.

    A metric whose name ends in `_of` is a number of classes or modes that never changes: it has no panel.
    """
    protocol = run.evaluations[-1].protocol
    evaluations = [evaluation for evaluation in run.evaluations if evaluation.protocol == protocol]
    best = run.best or {}
    panels: list[Panel] = []
    for name in dict.fromkeys(name for each in evaluations for name in each.values if not name.endswith("_of")):
        points: Points = [(each.step, each.values[name]) for each in evaluations if name in each.values]
        mark = next((point for point in points if name == best.get("metric") and point[0] == best["step"]), None)
        panels.append(panel(name.replace("_", " "), "value", {name.replace("_", " "): points}, mark))
    return panels
