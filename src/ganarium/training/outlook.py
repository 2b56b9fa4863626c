"""Whether more training would help: the trend of a run's evaluations, in a sentence."""

import math
from typing import Any, Literal

import numpy as np

RECENT, FEWEST = 8, 5  # evaluations that a trend is read from
CHANCE = 0.05  # at most, that scatter alone looks like the trend
WORTH = 0.01  # the share of its value by which a number must change over the recent evaluations to count as changing


def outlook(rows: list[dict[str, Any]], more: str) -> str:
    """Whether more training would likely help, in a sentence; `more` is the command for it.

    `rows` are evaluations with one protocol, see `validation`.
    """
    metric, count = rows[-1]["metric"], min(RECENT, len(rows))
    direction = trend([main_value(row) for row in rows], [row["step"] for row in rows])
    if direction == "unknown":
        return f"{len(rows)} evaluation{'s' * (len(rows) > 1)} cannot tell whether more training would help"
    if direction == "falling":
        return f"{metric} still falls over the last {count} evaluations, so more training would likely help: {more}"
    if direction == "rising":
        return f"{metric} rises over the last {count} evaluations, so training has gone past its best"
    return f"{metric} neither falls nor rises over the last {count} evaluations, so more training would likely not help"


def trend(values: list[float], steps: list[int]) -> Literal["falling", "rising", "flat", "unknown"]:
    """Whether the last evaluations fall or rise: the slope of a straight line through them against their scatter.

    It counts when scatter alone would give it less than one time in twenty (Student's t, one-sided, each evaluation
    taken as independent), and changes the value by 1 % over their length. Fewer than five tell nothing.
    """
    from scipy.special import stdtr

    if len(values) < FEWEST:
        return "unknown"
    y, x = np.array(values[-RECENT:]), np.array(steps[-RECENT:], dtype=float)
    x -= x.mean()
    slope = float(x @ y / (x @ x))
    residual = y - y.mean() - slope * x
    error = math.sqrt(float(residual @ residual) / (len(x) - 2) / float(x @ x))
    chance = stdtr(len(x) - 2, -abs(slope) / max(error, 1e-300))
    if chance > CHANCE or abs(slope) * (x[-1] - x[0]) < WORTH * abs(y).mean():
        return "flat"
    return "falling" if slope < 0 else "rising"


def in_words(row: dict[str, Any]) -> str:
    """The numbers of an evaluation in words: "frechet_distance 12.3, classes 9 of 10"."""
    values = row["values"]
    totals = {name: f" of {values[f'{name}_of']}" for name in values if f"{name}_of" in values}
    names = [name for name in values if not name.endswith("_of")]
    return ", ".join(f"{name} {values[name]:.4g}{totals.get(name, '')}" for name in names)


def main_value(row: dict[str, Any]) -> float:
    """The number of an evaluation by which steps are compared; lower is better."""
    return float(row["values"][row["metric"]])
