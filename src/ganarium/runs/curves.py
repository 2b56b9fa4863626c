"""Draws the losses of a run: curves.png."""

from pathlib import Path

from ganarium.pictures.grid import figure_of_panels, save_figure
from ganarium.runs.rows import read_rows


def save_curves(metrics: Path, path: Path) -> Path | None:
    """Draws every term of `metrics.jsonl` over the steps, one panel a player; None if there is nothing to draw."""
    rows = read_rows(metrics)
    if not rows:
        return None
    players = list(dict.fromkeys(key.split("/")[0] for row in rows for key in row if "/" in key))
    figure, panels = figure_of_panels(len(players), 7.0, 2.6 * len(players))
    for player, panel in zip(players, panels, strict=True):
        for key in dict.fromkeys(key for row in rows for key in row if key.startswith(f"{player}/")):
            points = [(row["step"], row[key]) for row in rows if key in row]
            marker = "." if len(points) < 20 else None  # a line of one point shows nothing
            panel.plot(*zip(*points, strict=True), label=key.split("/", 1)[1], linewidth=1.2, marker=marker)
        panel.set(title=player, xlabel="step")
        panel.legend(fontsize=8)
        panel.grid(alpha=0.3)
    save_figure(figure, path)
    return path
