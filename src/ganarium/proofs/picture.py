"""The picture of a proof: samples of the model and of the control, and every seed's values beside the thresholds."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image


def draw(result: dict[str, Any], folder: Path, path: Path) -> None:
    """Draws a result of `prove` with the samples that lie in `folder`, where the runs left any."""
    files = {role: folder / f"{result['name']}-{result['scale']}-{role}.png" for role in ("model", "control")}
    samples = {role: Image.open(file) for role, file in files.items() if file.exists()}
    bounds = result["threshold"]
    columns = len(samples) + len(bounds)
    figure = Figure(figsize=(3.4 * columns, 3.8), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for axis, (role, picture) in zip(axes, samples.items(), strict=False):
        axis.imshow(picture, cmap="gray", interpolation="nearest")
        axis.set_axis_off()
        axis.set_title(f"{result['model'] if role == 'model' else role}, seed {result['seeds'][0]}", fontsize=9)
    for axis, bound in zip(axes[len(samples) :], bounds, strict=True):
        _values(axis, bound, result)
    figure.suptitle(f"{result['name']}, {result['scale']}: {'passed' if result['passed'] else 'NOT PASSED'}")
    figure.savefig(path, dpi=90)


def _values(axis: Any, bound: dict[str, Any], result: dict[str, Any]) -> None:
    """One column of dots for the model, one for the control and one for each baseline that has the value."""
    name = bound["value"]
    rows = {"model": result["values"], "control": result["control"]}
    rows |= {kind: [values] for kind, values in result["baselines"].items() if name in values}
    for place, (kind, runs) in enumerate(rows.items()):
        colour = {"model": "tab:blue", "control": "tab:red"}.get(kind, "0.5")
        finite = [run[name] for run in runs if run[name] is not None and abs(run[name]) < 1e30]
        axis.plot([place] * len(finite), finite, "o", color=colour, alpha=0.8)
        if len(finite) < len(runs):
            axis.text(place, 0.5, "not finite", rotation=90, color=colour, transform=axis.get_xaxis_transform())
    for limit, side in (("at_least", "top"), ("at_most", "bottom")):
        if limit in bound:
            axis.axhline(bound[limit], color="black", linewidth=1, linestyle="--")
            words = {"xycoords": ("axes fraction", "data"), "fontsize": 7, "ha": "right", "va": side}
            axis.annotate(f"{limit.replace('_', ' ')} {bound[limit]:g}", (0.98, bound[limit]), **words)
    own = [run[name] for run in [*result["values"], *result["control"]] if run[name] is not None]
    if own and min(own) > 0 and max(own) > 1000 * min(own):
        axis.set_yscale("log")
    axis.set_xticks(range(len(rows)), [kind.replace("_", " ") for kind in rows], rotation=35, ha="right", fontsize=8)
    axis.set_xlim(-0.5, len(rows) - 0.5)
    axis.set_title(name.replace("_", " "), fontsize=9)
    axis.tick_params(axis="y", labelsize=8)
