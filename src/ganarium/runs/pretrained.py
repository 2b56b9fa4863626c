"""The generators that come with the package: one for each thing that models do, small, in half precision.

A file NAME.safetensors holds the networks that samples need and, as its metadata, the config of the run that trained
them and a card: data with their licence, command, numbers. `pretrained:NAME` stands wherever a run does.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ganarium import registry
from ganarium.model import Model
from ganarium.runs import gallery
from ganarium.runtime.device import resolve_device
from ganarium.runtime.files import atomic_write
from ganarium.trainer import to_channels_last


def load_pretrained(name: str = "upscaler", *, device: str = "cpu") -> Model:
    """A generator that comes with the package, ready to use: `load("pretrained:NAME")` is the same.

    What it was trained on and how good it is says `card`. It has what samples need and nothing else, so it cannot be
    trained further. Raises `UserError` for another name, or where the package has come without the weights.
    """
    metadata, tensors = _read(name)
    config = metadata["config"]
    with torch.random.fork_rng(devices=[]):  # for weights that are overwritten at once
        model = registry.create(
            config["model"], tuple(config["data"]["shape"]), config["data"]["num_classes"], **config["model_options"]
        )
    leave_only(model, metadata["parts"], model.directions if metadata["directions"] is None else metadata["directions"])
    model.load_state_dict(tensors, strict=False)
    missing = {key for key, _ in model.named_parameters()} - set(tensors)
    assert not missing, f"{name} lacks {missing}"
    # a growing model draws at the resolution it has reached
    model.iteration = metadata.get("step", metadata["card"]["steps"])
    model.clock.fill_(model.iteration)
    return to_channels_last(model.to(resolve_device(device))).eval()


def config_of_pretrained(name: str) -> dict[str, Any]:
    """The config of the run that trained a generator of the package."""
    config: dict[str, Any] = _read(name)[0]["config"]
    return config


def leave_only(model: Model, parts: Iterable[str], directions: Iterable[str]) -> None:
    """Leaves some networks of a model, for weights that came without the rest: it cannot be trained any more."""
    kept = set(parts)
    for name, child in [*model.named_children()]:
        if name not in kept and any(True for _ in child.parameters()):
            setattr(model, name, None)
    model.players, model.ema, model.directions = {}, {}, tuple(directions)


def write(
    name: str,
    model: Model,
    config: dict[str, Any],
    card: dict[str, Any],
    *,
    parts: Iterable[str] = ("generator",),
    directions: Iterable[str] | None = None,
) -> Path:
    """Writes networks of a model in float16, with its card, to where `load_pretrained` finds them; gives the path.

    `config` is that of the run. Averaged weights are taken where the model keeps them. Of a model that maps images,
    `directions` are those that the `parts` can do; without them it keeps all.
    """
    wanted = tuple(parts)
    with model.averaged():
        tensors = {
            key: (value.half() if value.is_floating_point() else value).detach().cpu().contiguous()
            for key, value in model.state_dict().items()
            if key.split(".")[0] in wanted
        }
    kept = {"model": config["model"], "model_options": config["model_options"]}
    kept["options"] = config["options"] | {"out": None, "data": Path(config["options"]["data"]).name}  # no paths
    kept["data"] = config["data"] | {"source": "", "skipped": [], "notes": []}
    kept |= {"precision": "fp32", "data_folder": None, "device": "cpu"}
    ways = None if directions is None else list(directions)
    metadata: dict[str, Any] = {"config": kept, "card": card, "parts": list(wanted), "directions": ways}
    metadata["step"] = model.iteration
    path = gallery.FOLDER / f"{name}.safetensors"
    path.parent.mkdir(exist_ok=True)
    with atomic_write(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    with atomic_write(path) as temporary:
        save_file(tensors, temporary, {key: json.dumps(value) for key, value in metadata.items()})
    return path


def _read(name: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The metadata and the tensors, in float32, of a generator of the package."""
    with safe_open(gallery.checked(name), "pt") as file:
        metadata = {key: json.loads(value) for key, value in file.metadata().items()}
        tensors = {key: file.get_tensor(key) for key in file.offset_keys()}
    return metadata, {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}
