"""Models in the layout of the Hugging Face Hub: a folder that `load` takes, from the disk or as hf:owner/name.

config.json          what rebuilds the model: its name, options, shape, classes
model.safetensors    its weights, the averaged ones; the same config is its metadata, so that this file alone is enough
README.md            the model card
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ganarium import registry
from ganarium.errors import UserError
from ganarium.model import Model
from ganarium.runs.checkpoint import state_and_aliases
from ganarium.runs.pretrained import leave_only
from ganarium.runtime.device import resolve_device
from ganarium.trainer import to_channels_last
from ganarium.version import __version__

PREFIX, CONFIG, WEIGHTS, KEY = "hf:", "config.json", "model.safetensors", "ganarium"
FORMAT = 1


def is_hub(path: str | Path) -> bool:
    """Whether a path is hf:owner/name, a folder in the Hub's layout, or its file of weights."""
    path = Path(path)
    if str(path).startswith(PREFIX) or path.suffix == ".safetensors":
        return True
    return (path / WEIGHTS).is_file() and not (path / "checkpoint.json").exists()


def write(folder: Path, model: Model, config: dict[str, Any]) -> None:
    """Writes config and weights to an empty folder. `config` is that of the run, whose paths are left out.

    Raises `UserError` for a run of a model file or an encoder of one's own: who loads the folder would not have it.
    """
    if config["model"].endswith(".py"):
        raise UserError(
            f"{registry.title(config['model'])} is a model file of your own and no part of the library: a folder "
            "of the Hub holds no code. Export it to onnx or html."
        )
    if function := own_function(config):
        raise UserError(f"the model embeds sentences by {function}, and a folder of the Hub holds no code.")
    with model.averaged():
        tensors, aliases = state_and_aliases(model)
        tensors = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    about = {
        "format": FORMAT,
        "model": config["model"],
        "model_options": config["model_options"],
        "data": {key: config["data"].get(key) for key in ("name", "shape", "num_classes", "class_names", "train")},
        "precision": "fp64" if model.dtype == torch.float64 else "fp32",
        "step": model.iteration,
        "aliases": aliases,
        **({"imported": config["imported"]} if "imported" in config else {}),
        **({} if model.players else {"kept": _parts(model)}),
        "versions": {"ganarium": __version__},
    }
    (folder / CONFIG).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    save_file(tensors, folder / WEIGHTS, {"format": "pt", KEY: json.dumps(about)})


def _parts(model: Model) -> dict[str, list[str]]:
    """The networks and directions of a model that came without the rest, such as one of the package's own."""
    parts = [name for name, child in model.named_children() if any(True for _ in child.parameters())]
    return {"parts": parts, "directions": list(model.directions)}


def config_of_hub(path: str | Path) -> dict[str, Any]:
    """The config of a model in the Hub's layout, with the keys that commands read in that of a run."""
    about = _read(_weights(path), tensors=False)[0]
    return {**about, "options": {"data": about["data"]["name"], "size": None, "seed": 0}, "data_folder": None}


def load_hub(path: str | Path, *, device: str = "cpu") -> Model:
    """The model of a folder in the Hub's layout, of its file of weights, or of hf:owner/name, ready to sample.

    Nothing of it is run as code. Raises `UserError` for what is no such file, or where the Hub cannot be reached.
    """
    about, tensors = _read(_weights(path), tensors=True)
    with torch.random.fork_rng(devices=[]):  # for weights that are overwritten at once
        model = registry.create(
            about["model"], tuple(about["data"]["shape"]), about["data"]["num_classes"], **about["model_options"]
        )
    if "imported" in about:
        leave_only(model, [about["imported"]["part"]], about["imported"]["directions"])
    if "kept" in about:
        leave_only(model, about["kept"]["parts"], about["kept"]["directions"])
    model = model.double() if about["precision"] == "fp64" else model
    tensors |= {name: tensors[first] for name, first in about["aliases"].items()}
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(
            f"{path} does not fit this version of {about['model']}: it was written by ganarium "
            f"{about['versions']['ganarium']}; use that version."
        ) from error
    model.iteration = int(about["step"])
    return to_channels_last(model.to(resolve_device(device))).eval()


def hub_package() -> Any:
    """The package huggingface_hub; `UserError` where it is missing."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError("models of the Hub need the package huggingface_hub: pip install huggingface_hub.") from error
    return huggingface_hub


def endpoint() -> str | None:
    """Another address of the Hub, such as a mirror: HF_ENDPOINT."""
    return os.environ.get("HF_ENDPOINT") or None


def answers() -> bool:
    """Whether the Hub can be reached. It is asked once: its package goes on asking for half a minute."""
    package = hub_package()
    try:
        package.get_session().head(endpoint() or package.constants.ENDPOINT, timeout=10)
    except Exception:  # of httpx or of requests, by the version of the package
        return False
    return True


def reason(error: Exception, name: str) -> str:
    """Why the Hub did not answer as it was asked to, in one sentence."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "RepositoryNotFoundError" in kinds:
        return f"the Hub has no model {name}, or it is private: check the name, or log in with `hf auth login`."
    if "EntryNotFoundError" in kinds and "LocalEntryNotFoundError" not in kinds:
        return f"{name} is no model of ganarium: it lacks {CONFIG} or {WEIGHTS}."
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return f"the Hub does not let you do that with {name}: log in with `hf auth login`, and check whose it is."
    if status is not None:
        return f"the Hub refused {name} with status {status}: try again later."
    return f"the Hub could not be reached for {name}: check the network, or give a folder on this machine."


def _weights(path: str | Path) -> Path:
    """The file of weights, fetched from the Hub where the path says so."""
    if str(path).startswith(PREFIX):
        name = str(path).removeprefix(PREFIX)
        if name.count("/") != 1 or not all(name.split("/")):
            raise UserError(f"a model of the Hub is named hf:owner/name, not {path}.")
        package = hub_package()
        known: dict[str, Any] = {"endpoint": endpoint(), "library_name": "ganarium"}
        try:
            return Path(package.hf_hub_download(name, WEIGHTS, local_files_only=not answers(), **known))
        except Exception as error:
            raise UserError(reason(error, name)) from error
    path = Path(path)
    return path if path.suffix == ".safetensors" else path / WEIGHTS


def _read(path: Path, *, tensors: bool) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Config and, if asked for, tensors of a file of weights."""
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})[KEY])
            weights = {key: file.get_tensor(key) for key in file.keys()} if tensors else {}  # noqa: SIM118
        newer = int(about["format"]) > FORMAT
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UserError(
            f"{path} holds no model of ganarium: take one that `ganarium export --to hub` wrote."
        ) from error
    if newer:
        raise UserError(
            f"{path} was written by ganarium {about['versions']['ganarium']}: use that version or a newer one."
        )
    registry.checked(about["model"] if not str(about["model"]).endswith(".py") else "")
    if function := own_function(about):
        raise UserError(f"{path} asks for the function {function}, and nothing that such a file names is called.")
    return about, weights


def own_function(config: dict[str, Any]) -> str:
    """The module:function that the options of a model name, as text_to_image's encoder may; "" if there is none."""
    encoder = str(config["model_options"].get("encoder", ""))
    return encoder if ":" in encoder else ""
