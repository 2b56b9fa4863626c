"""What a proof is made of: a claim about a model, what is measured, and the control that must miss the thresholds."""

import hashlib
import json
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from importlib import import_module
from typing import Any

import torch

from ganarium.errors import UserError, nearest
from ganarium.proofs import claims
from ganarium.proofs.changes import (
    Change,
    ChangeModel,
    ChangeOptions,
    OtherModel,
    ReplaceStep,
    ShuffledCaptions,
    ShuffledLabels,
    WeighTerms,
    WithoutPlayer,
)
from ganarium.proofs.experiment import Experiment, Measure, Scale, scale
from ganarium.proofs.thresholds import at_least, at_most, between

__all__ = ["Claim", "Scale", "at_least", "at_most", "between", "list_proofs", "load_claim", "scale"]
__all__ += ["ChangeModel", "ChangeOptions", "OtherModel", "ReplaceStep", "ShuffledCaptions", "ShuffledLabels"]
__all__ += ["WeighTerms", "WithoutPlayer"]
SCALES = ("quick", "cpu")


@dataclass(frozen=True, kw_only=True)
class Claim:
    id: str = ""
    model: str = ""
    """Both are left out in the files of claims: `all_claims` fills in the names of the value and of its file."""
    text: str
    """What is claimed, in one sentence."""
    source: str
    """Paper and section, or the fact that makes it the model it is."""
    paper: str = ""
    """The paper's own number for the same thing, with its protocol; empty where it prints none."""
    control: Change
    """What is changed in the control, which must miss the same thresholds."""
    control_text: str = ""
    """What the control is; left out in the files of claims where the change says it."""
    measure: Measure
    runs_beside: Mapping[str, Change] = field(default_factory=dict)
    """Runs from one seed with other changes, by name; their values are shown with the baselines."""
    beside_text: str = ""
    """What these runs are."""
    quick: Scale | None = None
    cpu: Scale | None = None
    gpu: Scale | None = None
    """Given by benchmarks/gpu_plan.py alone, until a GPU has calibrated it."""

    @property
    def scales(self) -> dict[str, Scale]:
        return {name: getattr(self, name) for name in ("quick", "cpu", "gpu") if getattr(self, name)}

    def experiment(self, scale: str, seed: int, role: str = "model", device: str = "cpu") -> Experiment:
        """A run of the model, of the control, or of one of `runs_beside`, by its name."""
        change = {"model": Change(), "control": self.control, **self.runs_beside}[role]
        own, place = self.scales[scale], torch.device(device)
        train, test = own.splits()
        return Experiment(model=self.model, scale=own, seed=seed, train=train, test=test, change=change, device=place)

    def digest(self, scale: str) -> str:
        """Identifies the values on which a result depends: id and model, the scale with its settings and thresholds,
        the measure and the control. Sentences and source text are no part of it."""
        parts = [self.id, self.model, scale, self.scales[scale], self.measure, self.control]
        return hashlib.sha256(json.dumps(as_values(parts), sort_keys=True).encode()).hexdigest()[:16]


def as_values(thing: Any) -> Any:
    """Writes a thing as JSON that is equal for equal things: a dataclass as its name and fields, a function as its
    name. Empty fields are left out, so that a new field that is empty changes no digest."""
    if is_dataclass(thing):
        own = {item.name: getattr(thing, item.name) for item in fields(thing)}
        own = {name: value for name, value in own.items() if value is not None and value != {} and value != ()}
        return {type(thing).__name__: as_values(own)}
    if isinstance(thing, Mapping):
        return {name: as_values(value) for name, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [as_values(part) for part in thing]
    if isinstance(thing, int) and not isinstance(thing, bool):
        return float(thing)  # 2 and 2.0 are one value
    return thing.__name__ if callable(thing) else thing


def all_claims() -> dict[str, Claim]:
    """Every claim by its id."""
    known = {}
    for module in pkgutil.iter_modules(claims.__path__):
        for name, value in vars(import_module(f"{claims.__name__}.{module.name}")).items():
            if isinstance(value, Claim):
                text = value.control_text or value.control.text
                known[name] = replace(value, id=name, model=module.name, control_text=text)
    return known


def list_proofs(model: str | None = None) -> list[str]:
    """The ids of the claims, of one model or of all, sorted."""
    return sorted(claim.id for claim in all_claims().values() if model in (None, claim.model))


def load_claim(name: str) -> Claim:
    """A claim by its id."""
    known = all_claims()
    if name not in known:
        raise UserError(f"there is no proof {name!r}: {nearest(name, known)}")
    return known[name]
