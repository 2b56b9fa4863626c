"""The generators that come with the package, with their weights: for now a small one that enlarges pictures."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ganarium import registry
from ganarium.errors import UserError, nearest
from ganarium.model import Model
from ganarium.runs.loading import leave_only
from ganarium.runtime.device import resolve_device
from ganarium.runtime.files import atomic_write
from ganarium.trainer import to_channels_last

FOLDER = Path(__file__).parent / "weights"
NAMES = ("upscaler",)


def load_pretrained(name: str = "upscaler", *, device: str = "cpu") -> Model:
    """A generator that comes with the package, ready to use.

    `upscaler` is a small SRResNet (0.23 million parameters) that enlarges pictures four times: `model.upscale(image)`.
    What it was trained on and how good it is says `card`. Raises `UserError` for another name, or where the package has
    come without the weights.
    """
    file = _file(name)
    with safe_open(file, "pt") as opened:
        made = json.loads(opened.metadata()["model"])
    with torch.random.fork_rng(devices=[]):
        model = registry.create(made["model"], tuple(made["shape"]), **made["options"])
    leave_only(model, "generator", ())
    network = model.get_submodule("generator")
    with safe_open(file, "pt") as opened:
        network.load_state_dict({key: opened.get_tensor(key).float() for key in network.state_dict()})
    return to_channels_last(model.to(resolve_device(device))).eval()


def card(name: str = "upscaler") -> dict[str, Any]:
    """What a generator of the package was trained on, and its numbers with their protocol."""
    with safe_open(_file(name), "pt") as opened:
        made: dict[str, Any] = json.loads(opened.metadata()["card"])
    return made


def write(name: str, model: Model, card: dict[str, Any]) -> Path:
    """Writes the generator of a model in float16, with its card, to where `load_pretrained` finds it; gives the path.

    `model` must be one that `registry.create` makes again from its config and shape.
    """
    model_name = type(model).__module__.rpartition(".")[2]
    made = {"model": model_name, "shape": list(model.shape), "options": asdict(model.config)}
    tensors = {
        key: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for key, value in model.get_submodule("generator").state_dict().items()
    }
    path = FOLDER / f"{name}.safetensors"
    path.parent.mkdir(exist_ok=True)
    with atomic_write(path) as temporary:
        save_file(tensors, temporary, {"model": json.dumps(made), "card": json.dumps(card)})
    return path


def _file(name: str) -> Path:
    if name not in NAMES:
        raise UserError(f"there is no pretrained generator {name!r}: {nearest(name, NAMES)}")
    path = FOLDER / f"{name}.safetensors"
    if not path.is_file():
        raise UserError(
            f"this copy of ganarium has come without the weights of its {name}: `python tools/train_{name}.py` in the "
            "repository makes them."
        )
    return path
