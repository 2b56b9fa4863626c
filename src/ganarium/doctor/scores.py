"""Statistics of scores and of losses over time.

None depends on a scale, since every paper scales scores and losses in its own way.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganarium.model import FAKE, PENALTY, REAL


class ScoreStatistics(NamedTuple):
    """The scores of one pair of watched tensors in an examination: of reals, then of fakes."""

    separation: float
    means: tuple[float, float]
    spreads: tuple[float, float]
    """Standard deviations within a batch."""
    leap: float
    """Step-to-step change of mean(D(real)) - mean(D(fake)), in spreads; 0 where a sample has many scores."""


def pairs(observed: dict[str, NDArray[Any]]) -> Iterator[tuple[str, str]]:
    """The names of scores on reals and on fakes that belong together: "D/real" and "D/fake", "D/real_a" and ..."""
    for name in observed:
        if REAL in name and (other := name.replace(REAL, FAKE)) in observed:
            yield name, other


def losses(row: dict[str, float]) -> dict[str, float]:
    """The sum of each player's terms in a row of the log, without penalties."""
    sums: dict[str, float] = {}
    for name, value in row.items():
        player, _, term = name.partition("/")
        if term and PENALTY not in term:
            sums[player] = sums.get(player, 0.0) + value
    return sums


def separation(real: NDArray[Any], fake: NDArray[Any]) -> float:
    """The area under the ROC curve of scores, or 1 minus it where that is larger.

    It is the chance that a real has the higher score of a real and a fake: 0.5 where scores tell nothing, 1 where they
    do not overlap.
    """
    ordered = np.sort(fake)
    below, not_above = np.searchsorted(ordered, real, "left"), np.searchsorted(ordered, real, "right")
    chance = float((below + not_above).mean()) / (2 * len(fake))
    return max(chance, 1 - chance)


def jump(values: NDArray[Any]) -> float:
    """The typical change from one value to the next, over the root of 2: independent values give their deviation.

    It is taken from the median, so that single leaps count little. A trend counts little too.
    """
    return float(np.sqrt(np.median(np.square(np.diff(values))) / 0.455 / 2))  # 0.455: the median of chi-square of 1


def wave(values: NDArray[Any]) -> tuple[float, int, float]:
    """How much a series is a wave: a correlation, the period, and the standard deviation in parts of the mean.

    The correlation is the smaller of two: that of the series with itself one period later, and that with itself half a
    period later, negated. The series must hold three periods. Zeros where there is no wave.
    """
    values = np.convolve(values, np.ones(5) / 5, "valid")
    time = np.arange(len(values))
    residual = values - np.polyval(np.polyfit(time, values, 1), time)
    if not residual.std() > 0:
        return 0.0, 0, 0.0
    spectrum = np.abs(np.fft.rfft(residual, 2 * len(residual))) ** 2
    third = len(residual) // 3
    correlation = np.fft.irfft(spectrum)[:third] / np.arange(len(residual), 0, -1)[:third]
    correlation /= correlation[0]
    negative = np.flatnonzero(correlation < 0)
    if not len(negative):
        return 0.0, 0, 0.0
    period = int(negative[0] + correlation[negative[0] :].argmax())
    depth = float(residual.std() / max(abs(values.mean()), 1e-12))
    return float(min(correlation[period], -correlation[:period].min())), period, depth


def growth(values: list[float]) -> float:
    """The largest of the last ten values over the median of those before; 1 where they are too few."""
    if len(values) < 20:
        return 1.0
    return float(max(values[-10:]) / max(np.median(values[:-10]), 1e-12))
