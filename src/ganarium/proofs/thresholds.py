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


def at_least(*, over: Literal["every", "most"] = "every", **limits: float) -> dict[str, Bound]:
    """Bounds by the names of values: `at_least(fidelity=0.9, diversity=0.6)`."""
    return {name: Bound(at_least=limit, over=over) for name, limit in limits.items()}


def at_most(**limits: float) -> dict[str, Bound]:
    return {name: Bound(at_most=limit) for name, limit in limits.items()}


def between(**limits: tuple[float, float]) -> dict[str, Bound]:
    return {name: Bound(low, high) for name, (low, high) in limits.items()}


def gain_of(
    value: str, model: Sequence[Values], control: Sequence[Values], least: float | None = None
) -> dict[str, Any]:
    """Tells by how much the model's value is above the control's: for each seed, on average, and the wider spread
    (highest minus lowest) of the two. The gain holds if its mean is more than that spread, and `least` or more, and it
    is positive for every seed."""
    gain = {"value": value, **({} if least is None else {"least": least}), **_difference(model, value, control, value)}
    if "pairs" not in gain:
        return gain | {"holds": False}
    seeds: list[Any] = [[run[value] for run in runs] for runs in (model, control)]
    spread = max(max(values) - min(values) for values in seeds)
    holds = gain["mean"] > spread and min(gain["pairs"]) > 0 and (least is None or gain["mean"] >= least)
    return gain | {"spread": spread, "holds": holds}


def level_of(
    value: str, rival: str, margin: float, model: Sequence[Values], control: Sequence[Values]
) -> dict[str, Any]:
    """Tells by how much the model's `value` is above the control's `rival`, for each seed and on average. The model is
    level with it if the average is not below minus the margin."""
    level = {"value": value, "rival": rival, "margin": margin, **_difference(model, value, control, rival)}
    return level | {"holds": "pairs" in level and level["mean"] >= -margin}


def _difference(model: Sequence[Values], value: str, control: Sequence[Values], rival: str) -> dict[str, Any]:
    """Model minus control, by seed and on average; nothing where a value is not finite."""
    pairs: list[Any] = [(run[value], other[rival]) for run, other in zip(model, control, strict=True)]
    if any(None in pair for pair in pairs):
        return {}
    differences = [own - other for own, other in pairs]
    return {"pairs": differences, "mean": sum(differences) / len(differences)}


def difference_in_words(difference: Mapping[str, Any]) -> str:
    """Writes a gain or a level as "+0.09, +0.13, 0.11 on average; spread 0.05", and the least or the margin of it."""
    if "pairs" not in difference:
        return "not finite"
    limits = {"spread": "spread", "least": "at least", "margin": "margin"}
    words = [f"{word} {difference[key]:.3g}" for key, word in limits.items() if key in difference]
    pairs = ", ".join(f"{pair:+.3g}" for pair in difference["pairs"])
    return "; ".join([f"{pairs}, {difference['mean']:.3g} on average", *words])
