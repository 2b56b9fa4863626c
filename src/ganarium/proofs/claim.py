"""What a proof is made of: a claim, its thresholds at each scale, and how a set of runs is judged by them.

A file of this folder holds one `CLAIM` and up to three functions:

    measure(trial)      trains the model (or the control, if `trial.control`) from one seed, and measures it
    baselines(trial)    the same numbers of things that need no training, by name: {"untrained": {...}, ...}
"""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from ganarium.errors import UserError, nearest

SCALES = ("quick", "cpu", "gpu")
FOLDER = Path(__file__).parent / "claims"


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What a measured value must be, taken over the seeds."""

    value: str
    """Its name."""
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
        """What is not finite (None) holds nothing."""
        if value is None:
            return False
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        limits = [("at least", self.at_least), ("at most", self.at_most)]
        words = " and ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)
        return f"{self.value} {words}{' (most seeds)' if self.over == 'most' else ''}"


def gain_of(value: str, model: Sequence[Mapping[str, Any]], control: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """By how much the model's runs are above the control's: of each seed, on average, and the wider spread, highest
    less lowest, of the two. The gain holds if its mean is more than that spread, and every seed has one."""
    of_model, of_control = ([run[value] for run in runs] for runs in (model, control))
    if None in (*of_model, *of_control):
        return {"value": value, "holds": False}
    pairs = [one - other for one, other in zip(of_model, of_control, strict=True)]
    mean, spread = sum(pairs) / len(pairs), max(max(runs) - min(runs) for runs in (of_model, of_control))
    return {"value": value, "pairs": pairs, "mean": mean, "spread": spread, "holds": mean > spread and min(pairs) > 0}


def level_of(
    value: str, rival: str, margin: float, model: Sequence[Mapping[str, Any]], control: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """By how much the model's `value` is above the control's `rival`: of each seed and on average. The model is level
    with it if the average is not below minus the margin."""
    of_model, of_rival = [run[value] for run in model], [run[rival] for run in control]
    found = {"value": value, "rival": rival, "margin": margin}
    if None in (*of_model, *of_rival):
        return found | {"holds": False}
    pairs = [one - other for one, other in zip(of_model, of_rival, strict=True)]
    mean = sum(pairs) / len(pairs)
    return found | {"pairs": pairs, "mean": mean, "holds": mean >= -margin}


def gain_in_words(gain: Mapping[str, Any]) -> str:
    """Of a `gain_of`: "+0.09, +0.13, 0.11 on average; spread 0.05"."""
    if "pairs" not in gain:
        return "not finite"
    return f"{_pairs(gain)}; spread {gain['spread']:.3g}"


def level_in_words(level: Mapping[str, Any]) -> str:
    """Of a `level_of`: "+0.002, -0.004, -0.001 on average; margin 0.01"."""
    return f"{_pairs(level)}; margin {level['margin']:g}" if "pairs" in level else "not finite"


def _pairs(found: Mapping[str, Any]) -> str:
    return f"{', '.join(f'{pair:+.3g}' for pair in found['pairs'])}, {found['mean']:.3g} on average"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large a proof is, and what it is held to there."""

    data: str
    """A data set by name, or a folder in GANARIUM_DATA."""
    steps: int
    bounds: tuple[Bound, ...]
    gain: str | None = None
    """A value in which the model must also beat the control by more than the seeds' spread: see `gain_of`."""
    level: tuple[str, str, float] | None = None
    """A value of the model, one of the control, and a margin by which, on average, the first may be below the second:
    see `level_of`."""
    batch_size: int | None = None
    """None: the model's."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the model."""
    data_options: Mapping[str, Any] = field(default_factory=dict)
    """Of `load_data`."""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """What else the claim's file reads, by name."""

    def protocol(self) -> str:
        """In words."""
        own = {**self.data_options, **self.options, **self.numbers}
        words = [self.data, f"{self.steps} steps", f"batches of {self.batch_size}" if self.batch_size else ""]
        return ", ".join([word for word in words if word] + [f"{name} {value}" for name, value in own.items()])


@dataclass(frozen=True, kw_only=True)
class Claim:
    model: str
    text: str
    """What is claimed, in one sentence."""
    source: str
    """Paper and section, or the fact that makes it the model it is."""
    control: str
    """What is changed in the control, which must miss the same thresholds."""
    measure: str
    """What is measured, in words, with the feature network where there is one."""
    scales: Mapping[str, Scale]
    paper: str = ""
    """The paper's own number for the same thing, with its protocol; empty where it prints none."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run of a proof."""

    scale: Scale
    seed: int
    control: bool = False
    device: torch.device = torch.device("cpu")  # noqa: RUF009


class Measured(NamedTuple):
    values: dict[str, float]
    images: Tensor | None = None  # (n, c, h, w) or points (n, 2), for the picture


def list_proofs(model: str | None = None) -> list[str]:
    """The names of the claims, of one model or of all, sorted; read without importing them."""
    names = sorted(path.stem for path in FOLDER.glob("*.py") if "\nCLAIM = Claim(" in path.read_text())
    return [name for name in names if model is None or _model_of(name) == model]


def load_proof(name: str) -> ModuleType:
    """The file of a claim."""
    if name not in list_proofs():
        raise UserError(f"there is no proof {name!r}: {nearest(name, list_proofs())}")
    return import_module(f"ganarium.proofs.claims.{name}")


def _model_of(name: str) -> str:
    for node in ast.walk(ast.parse((FOLDER / f"{name}.py").read_text())):
        if isinstance(node, ast.keyword) and node.arg == "model" and isinstance(node.value, ast.Constant):
            return str(node.value.value)
    raise AssertionError(f"proofs/{name}.py names no model")
