"""Whether more training would help: the trend of a run's evaluations, in a sentence."""

import math
import operator
from typing import Any, Literal

import numpy as np

RECENT, FEWEST = 8, 5  # evaluations that a trend is read from
SIGNIFICANCE = 0.05  # at most, that scatter alone looks like the trend
WORTHWHILE = 0.02  # the share of its value by which the best number improves if going on was worth it
# of the logistic regression that gives the chance of an improvement: an intercept, and one for each of the `signs`
COEFFICIENTS = (2.22, -2.1, -3.73)
IN_WORDS = {"falling": "still falls", "rising": "rises", "flat": "neither falls nor rises"}
WORTH = 0.01  # the share of its value by which a number must change over the recent evaluations to count as changing


def outlook(rows: list[dict[str, Any]], more: str) -> str:
    """Whether more training would likely help, in a sentence; `more` is the command for it.

    `rows` are evaluations with one protocol, see `validation`.
    """
    metric, count = rows[-1]["metric"], min(RECENT, len(rows))
    chance = chance_of_improvement(rows)
    if chance is None:
        return f"{len(rows)} evaluation{'s' * (len(rows) > 1)} cannot tell whether more training would help"
    direction = trend([main_value(row) for row in rows], [row["step"] for row in rows])
    seen = f"over the last {count} evaluations {metric} {IN_WORDS[direction]}; {chance_in_words(chance)}"
    if chance < 0.5:
        return f"{seen}, so more training would likely not help"
    return f"{seen}, so more training would likely help: {more}"


def trend(values: list[float], steps: list[int]) -> Literal["falling", "rising", "flat"]:
    """Whether the last evaluations fall or rise: the slope of a straight line through them against their scatter.

    It counts when scatter alone would give it less than one time in twenty (Student's t, one-sided, each evaluation
    taken as independent), and changes the value by 1 % over their length. It needs five evaluations.
    """
    from scipy.special import stdtr

    y, x = np.array(values[-RECENT:]), np.array(steps[-RECENT:], dtype=float)
    x -= x.mean()
    slope = float(x @ y / (x @ x))
    residual = y - y.mean() - slope * x
    error = math.sqrt(float(residual @ residual) / (len(x) - 2) / float(x @ x))
    chance = stdtr(len(x) - 2, -abs(slope) / max(error, 1e-300))
    if chance > SIGNIFICANCE or abs(slope) * (x[-1] - x[0]) < WORTH * abs(y).mean():
        return "flat"
    return "falling" if slope < 0 else "rising"


def chance_of_improvement(rows: list[dict[str, Any]]) -> float | None:
    """The chance, from 0 to 1, that as many steps again improve the best number by more than 2 %; None of fewer than
    five evaluations. `rows` are evaluations with one protocol.

    It is a logistic regression on the `signs`, fitted to runs of many models: `benchmarks/stop_now.py`.
    """
    if len(rows) < FEWEST:
        return None
    read = signs([main_value(row) for row in rows], [row["step"] for row in rows])
    intercept, *slopes = COEFFICIENTS
    return float(1 / (1 + math.exp(-intercept - sum(map(operator.mul, slopes, read)))))


def chance_in_words(chance: float) -> str:
    """The chance of an improvement as a part of a sentence."""
    return f"as many steps again improve the best by over {WORTHWHILE:.0%} with a chance of {chance:.0%}"


def unlikely(rows: list[dict[str, Any]]) -> int:
    """How many of the last evaluations in a row gave going on a chance below one half to improve the best."""
    count = 0
    while (chance := chance_of_improvement(rows[: len(rows) - count])) is not None and chance < 0.5:
        count += 1
    return count


def signs(values: list[float], steps: list[int]) -> tuple[float, float]:
    """What the chance of an improvement is read from, at the last of some evaluations, at least five.

    By how much the best is below the first, in logarithms of base 10 within 1 (a run that has fallen far has less left
    to gain, and one whose numbers have not begun to fall is not at its end); and the steps since the best, as a share
    of all.
    """
    y, x = np.array(values), np.array(steps, dtype=float)
    least = 1e-3 * (float(np.abs(y).mean()) + 1e-300)
    first, best = (max(float(value), least) for value in (y[0], y[1:].min()))
    return float(np.clip(math.log10(first / best), -1, 1)), float((x[-1] - x[int(y.argmin())]) / x[-1])


def in_words(row: dict[str, Any]) -> str:
    """The numbers of an evaluation in words: "frechet_distance 12.3, classes 9 of 10"."""
    values = row["values"]
    totals = {name: f" of {values[f'{name}_of']}" for name in values if f"{name}_of" in values}
    names = [name for name in values if not name.endswith("_of")]
    return ", ".join(f"{name} {values[name]:.4g}{totals.get(name, '')}" for name in names)


def main_value(row: dict[str, Any]) -> float:
    """The number of an evaluation by which steps are compared; lower is better."""
    return float(row["values"][row["metric"]])
