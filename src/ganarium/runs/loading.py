"""The model, the config and the data of a run, from its path alone. No trainer is built."""

from pathlib import Path
from typing import Any

import torch

from ganarium import registry
from ganarium.data import load_data
from ganarium.data.dataset import Dataset
from ganarium.errors import UserError
from ganarium.model import Model
from ganarium.runs import checkpoint
from ganarium.runs.folder import run_folder
from ganarium.runs.options import parse_size
from ganarium.runtime.device import resolve_device
from ganarium.runtime.environment import default_variable
from ganarium.trainer import PRECISIONS, add_averages, to_channels_last


def load(path: str | Path, *, raw: bool = False, device: str = "cpu") -> Model:
    """The model of a run (at its newest complete checkpoint) or of one checkpoint, from nothing but the path.

    Samples come from the running averages of the weights where the model keeps them; `raw=True` takes the weights
    themselves. Raises `UserError` if there is no run, or none of its checkpoints is complete.
    """
    files, meta = _open(path)
    config = meta["config"]
    with torch.random.fork_rng(devices=[]):  # for weights that are overwritten at once
        model = registry.create(
            config["model"], tuple(config["data"]["shape"]), config["data"]["num_classes"], **config["model_options"]
        )
    add_averages(model.to(PRECISIONS[config["precision"]]))
    checkpoint.restore_model(model, files, meta)
    if raw:
        model.averages = {}
    return to_channels_last(model.to(resolve_device(device))).eval()


def config_of(path: str | Path) -> dict[str, Any]:
    """The config of a run or checkpoint, as `load` reads it; the run's own GANARIUM_DATA is used where none is set."""
    config: dict[str, Any] = _open(path)[1]["config"]
    use_data_folder(config)
    return config


def use_data_folder(config: dict[str, Any]) -> None:
    """Has data sets looked for where the run has found them, unless GANARIUM_DATA says otherwise."""
    if config["data_folder"]:
        default_variable("DATA", config["data_folder"])


def data_of(config: dict[str, Any]) -> tuple[Dataset, Dataset]:
    """The two splits of the data that a run's config names; classes keep the numbers that the run gave them."""
    options = config["options"]
    train, test = load_data(
        options["data"],
        size=parse_size(options["size"]),
        channels=options["channels"],
        characters=options["characters"],
        fit=options.get("fit"),  # absent from the configs of older runs
        layout=options.get("layout"),
        classes=options.get("classes"),
        mirror=options.get("mirror", False),
    )
    names = config.get("data", {}).get("class_names")  # absent from the config of a new run
    return (train.with_classes(names), test.with_classes(names)) if names else (train, test)


def _open(path: str | Path) -> tuple[checkpoint.Files, dict[str, Any]]:
    """The tensors and the JSON of a checkpoint, or of the newest complete one of a run."""
    path = Path(path)
    if (path / "checkpoint.json").is_file():
        try:
            return checkpoint.read(path)
        except checkpoint.Broken as error:
            raise UserError(f"{error}: load another checkpoint, or the run for its newest complete one.") from error
    _, files, meta = checkpoint.newest(run_folder(path))
    return files, meta
