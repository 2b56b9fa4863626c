"""Starts a training from weights that are there: those of a run, of one checkpoint, or of another program's file."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ganarium import registry
from ganarium.errors import UserError
from ganarium.exporting.weights.importing import read_weights
from ganarium.model import Model
from ganarium.runs.gallery import PREFIX
from ganarium.runs.loading import config_of, load, opened


class Source(NamedTuple):
    """Weights to start from, by their names in the model."""

    place: str
    model: str
    step: int
    options: dict[str, Any]
    tensors: dict[str, Tensor]


def read_source(place: str) -> Source:
    """The weights of a run, a checkpoint, a file of another program or a generator of the package.

    Of a run the averaged weights are taken where it kept some, for those are what it was judged by. Raises `UserError`.
    """
    if place.startswith(PREFIX):
        model, config = load(place), config_of(place)
        return Source(place, config["model"], 0, config["model_options"], dict(model.state_dict()))
    if Path(place).is_file():
        layout, tensors = read_weights(Path(place))
        named = {f"{layout.part}.{name}": tensor for name, tensor in tensors.items()}
        return Source(place, layout.model, 0, layout.options, named)
    files, meta = opened(place)
    tensors = dict(files["model"])
    tensors |= {name: tensors[first] for name, first in meta["aliases"].items()}
    tensors |= files.get("averages", {})
    config = meta["config"]
    return Source(place, config["model"], meta["step"], config["model_options"], tensors)


@torch.no_grad()
def start_from(model: Model, source: Source) -> dict[str, Any]:
    """Puts the weights into the model, by name and shape, and gives a record of it for the run's config.

    A network goes in whole or not at all. One of which the source has nothing, and a D of other sizes, starts anew and
    is named in the record; every other misfit raises `UserError`, before anything is changed. Buffers that are no part
    of a network, such as a pool of images or a balance, start anew as well.
    """
    networks = {name: child for name, child in model.named_children() if any(True for _ in child.parameters())}
    judges = _judges(model)
    fitting: dict[str, nn.Module] = {}
    anew: dict[str, str] = {}
    for name, network in networks.items():
        misfit = _misfit(name, network, source)
        if misfit is None:
            fitting[name] = network
        elif name in judges or not _has(source, name):
            anew[name] = misfit
        else:
            raise UserError(f"{source.place} does not fit: {misfit}{_differences(model, source)}.")
    if not fitting:
        held = registry.title(source.model)
        raise UserError(f"{source.place} has nothing for {type(model).__name__}: it holds a model of {held}.")
    for name, network in fitting.items():
        for key, tensor in network.state_dict().items():
            tensor.copy_(source.tensors.get(f"{name}.{key}", tensor))
    for name, average in model.averages.items():
        average.load_state_dict(getattr(model, name).state_dict())
    parts = {key.split(".")[0] for key in source.tensors if "." in key}
    return {
        "from": source.place,
        "model": registry.title(source.model),
        "step": source.step,
        "loaded": sorted(fitting),
        "anew": anew,
        "left_out": sorted(parts - networks.keys()),
    }


def in_words(record: dict[str, Any]) -> str:
    """What was taken and what starts anew, in a sentence."""
    step = f", step {record['step']}" if record["step"] else ""
    sentence = f"starts from {record['from']} ({record['model']}{step}): {', '.join(record['loaded'])}"
    if record["anew"]:
        why = [f"{name} ({misfit})" for name, misfit in record["anew"].items()]
        sentence += f"; anew: {', '.join(why)}"
    if record["left_out"]:
        sentence += f"; not used: {', '.join(record['left_out'])}"
    return sentence


def _has(source: Source, name: str) -> bool:
    return any(key.startswith(f"{name}.") for key in source.tensors)


def _judges(model: Model) -> set[str]:
    """The networks that the player D moves and no other player does."""
    if "D" not in model.players:
        return set()
    others = {id(p) for name, player in model.players.items() if name != "D" for p in player.parameters()}
    own = {id(p) for p in model.players["D"].parameters()} - others
    return {name for name, child in model.named_children() if {id(p) for p in child.parameters()} & own}


def _misfit(name: str, network: nn.Module, source: Source) -> str | None:
    """The first tensor of a network that the source has not, or in another shape; None if all are there."""
    own = {f"{name}.{key}": tensor for key, tensor in network.state_dict().items()}
    if not _has(source, name):
        return "not in it"
    for key, tensor in own.items():
        other = source.tensors.get(key)
        if other is None and key.endswith("num_batches_tracked"):
            continue  # older files have none, and nothing depends on it
        if other is None:
            return f"{key} is not in it"
        if other.shape != tensor.shape:
            return f"{key} is {tuple(other.shape)} in it and {tuple(tensor.shape)} here"
    extra = sorted(key for key in source.tensors if key.startswith(f"{name}.") and key not in own)
    return f"{extra[0]} has no place here" if extra else None


def _differences(model: Model, source: Source) -> str:
    """The options that can be why, as the source has them."""
    own = dataclasses.asdict(model.config)
    differing = [
        _as_typed(name, value)
        for name, value in source.options.items()
        if name in own and own[name] != value and isinstance(value, int | str) and "step" not in name
    ]
    return f"; it was made with {' '.join(differing[:5])}" if differing else ""


def _as_typed(name: str, value: int | str) -> str:
    """An option on the command line."""
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    return f"--{flag} {value}"
