"""Thresholds: bounds on measured values, a gain over the control, a level that the model may not fall below."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Values = Mapping[str, float | None]  # of one run, by name; None: not finite


@dataclass(frozen=True)
class Bound:
    """The range in which a measured value must lie, over the seeds."""

    at_least: float | None = None
    at_most: float | None = None
    over: Literal["every", "most"] = "every"
    """Whether every seed must hold it, or more than half of them (that is, of an odd number, their median)."""

    def held_by(self, values: Sequence[float | None], *, control: bool = False) -> bool:
        """Whether the seeds' values hold it. A control holds it if a single seed does: it must fail in all of them."""
        held = [self.holds(value) for value in values]
        if self.over == "most":
            return sum(held) > len(held) / 2
        return any(held) if control else all(held)

    def holds(self, value: float | None) -> bool:
        """Whether one value lies in the range. A value that is not finite (None) does not."""
        if value is None:
            return False
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        limits = [("at least", self.at_least), ("at most", self.at_most)]
        words = " and ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)
        return f"{words}{' (most seeds)' if self.over == 'most' else ''}"


def at_least(limit: float, over: Literal["every", "most"] = "every") -> Bound:
    return Bound(at_least=limit, over=over)


def at_most(limit: float) -> Bound:
    return Bound(at_most=limit)


def between(low: float, high: float) -> Bound:
    return Bound(low, high)


def gain_of(
    value: str, model: Sequence[Values], control: Sequence[Values], least: float | None = None
) -> dict[str, Any]:
    """Tells by how much the model's value is above the control's: for each seed, on average, and the wider spread
    (highest minus lowest) of the two. The gain holds if its mean is more than that spread, and `least` or more, and it
    is positive for every seed."""
    gain: dict[str, Any] = {"value": value} | ({} if least is None else {"least": least})
    pairs = _differences(model, value, control, value)
    if pairs is None:
        return gain | {"holds": False}
    mean = sum(pairs) / len(pairs)
    spread = max(_spread([run[value] for run in runs]) for runs in (model, control))
    holds = mean > spread and min(pairs) > 0 and (least is None or mean >= least)
    return gain | {"pairs": pairs, "mean": mean, "spread": spread, "holds": holds}


def level_of(
    value: str, rival: str, margin: float, model: Sequence[Values], control: Sequence[Values]
) -> dict[str, Any]:
    """Tells by how much the model's `value` is above the control's `rival`, for each seed and on average. The model is
    level with it if the average is not below minus the margin."""
    level = {"value": value, "rival": rival, "margin": margin}
    pairs = _differences(model, value, control, rival)
    if pairs is None:
        return level | {"holds": False}
    mean = sum(pairs) / len(pairs)
    return level | {"pairs": pairs, "mean": mean, "holds": mean >= -margin}


def _differences(model: Sequence[Values], value: str, control: Sequence[Values], rival: str) -> list[float] | None:
    """Model minus control, by seed; None if a value is not finite."""
    pairs: list[Any] = [(run[value], other[rival]) for run, other in zip(model, control, strict=True)]
    return None if any(None in pair for pair in pairs) else [a - b for a, b in pairs]


def _spread(values: Sequence[Any]) -> float:
    return float(max(values) - min(values))


def gain_in_words(gain: Mapping[str, Any]) -> str:
    """Writes a gain as "+0.09, +0.13, 0.11 on average; spread 0.05", and the least that is asked for."""
    least = f"; at least {gain['least']:g}" if "least" in gain else ""
    return f"{_pairs(gain)}; spread {gain['spread']:.3g}{least}" if "pairs" in gain else "not finite"


def level_in_words(level: Mapping[str, Any]) -> str:
    """Writes a level as "+0.002, -0.004, -0.001 on average; margin 0.01"."""
    return f"{_pairs(level)}; margin {level['margin']:g}" if "pairs" in level else "not finite"


def _pairs(numbers: Mapping[str, Any]) -> str:
    return f"{', '.join(f'{pair:+.3g}' for pair in numbers['pairs'])}, {numbers['mean']:.3g} on average"
