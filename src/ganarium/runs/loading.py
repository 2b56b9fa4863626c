"""The model, the config and the data of a run, from its path alone. No trainer is built."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from ganarium import registry
from ganarium.data import SOURCES, halves, load_data
from ganarium.data.dataset import Dataset
from ganarium.errors import UserError
from ganarium.model import Model
from ganarium.runs import checkpoint
from ganarium.runs.folder import run_folder
from ganarium.runs.gallery import PREFIX
from ganarium.runs.hub import config_of_hub, is_hub, load_hub
from ganarium.runs.options import Options, parse_size
from ganarium.runs.pretrained import config_of_pretrained, leave_only, load_pretrained
from ganarium.runtime.device import resolve_device
from ganarium.runtime.environment import default_variable
from ganarium.trainer import PRECISIONS, add_averages, to_channels_last

# Options that may change between two parts of one run: learning rates of the model may, too.
CHANGEABLE = ("data", "steps", "save_every", "keep", "sample_every", "evaluate_every", "log_every")


def load(path: str | Path, *, raw: bool = False, device: str = "cpu") -> Model:
    """The model of a run (at its newest complete checkpoint) or of one checkpoint, from nothing but the path.

    A run that started from weights (`init_from`) is loaded at its best checkpoint, so that fine-tuning never ends worse
    than it began; its last step is `RUN/checkpoints/step-N`.

    `pretrained:NAME` is a generator that comes with the package, `hf:owner/name` one of the Hugging Face Hub; a folder
    that `export --to hub` wrote, or its file of weights, are taken too.

    Samples come from the running averages of the weights where the model keeps them; `raw=True` takes the weights
    themselves. Raises `UserError` if there is no run, or none of its checkpoints is complete.
    """
    if str(path).startswith(PREFIX):
        return load_pretrained(str(path).removeprefix(PREFIX), device=device)
    if is_hub(path):
        return load_hub(path, device=device)
    files, meta = opened(path)
    config = meta["config"]
    with torch.random.fork_rng(devices=[]):  # for weights that are overwritten at once
        model = registry.create(
            config["model"], tuple(config["data"]["shape"]), config["data"]["num_classes"], **config["model_options"]
        )
    if "imported" in config:
        leave_only(model, [config["imported"]["part"]], config["imported"]["directions"])
    add_averages(model.to(PRECISIONS[config["precision"]]))
    checkpoint.restore_model(model, files, meta)
    if raw:
        model.averages = {}
    return to_channels_last(model.to(resolve_device(device))).eval()


def config_of(path: str | Path) -> dict[str, Any]:
    """The config of a run or checkpoint, as `load` reads it; the run's own GANARIUM_DATA is used where none is set."""
    if str(path).startswith(PREFIX):
        return config_of_pretrained(str(path).removeprefix(PREFIX))
    if is_hub(path):
        return config_of_hub(path)
    config: dict[str, Any] = opened(path)[1]["config"]
    run = next((place for place in (Path(path), *Path(path).parents[:2]) if (place / "config.json").is_file()), None)
    if run is not None:  # the data may have moved since the checkpoint was written
        with suppress(OSError, ValueError, KeyError, TypeError):
            config["options"]["data"] = json.loads((run / "config.json").read_text())["options"]["data"]
    use_data_folder(config)
    return config


def take_edits(run: Path, written: dict[str, Any], config: dict[str, Any]) -> None:
    """Takes what config.json says into the config of a checkpoint; `UserError` for what cannot change within a run."""
    for group in ("options", "model_options"):
        for name, value in written[group].items():
            before = config[group].get(name, value)
            if value == before:
                continue
            if name not in CHANGEABLE and not (group == "model_options" and "lr" in name.split("_")):
                raise UserError(
                    f"{run / 'config.json'} says {name} {value!r}, and the run has been trained with {before!r}, which "
                    f"cannot change within a run: put it back, or train a new run."
                )
            config[group][name] = value
    for name in ("model", "precision"):
        if written[name] != config[name]:
            raise UserError(
                f"{run / 'config.json'} says {name} {written[name]!r}, and the run has been trained with "
                f"{config[name]!r}: put it back, or train a new run."
            )
    known = {name: config["options"][name] for name in CHANGEABLE if name in config["options"]}
    Options(**known)  # the error of a value that makes no sense


def change_of_data(before: dict[str, Any], count: int, digest: str) -> str:
    """How a training split of `count` images differs from the one that a run's config describes; "" if it does not."""
    if digest == before["sum"]:
        return ""
    if count != before["train"]:
        return f"{before['train']} training images then, {count} now"
    return f"{count} training images then and now, of other content"


def use_data_folder(config: dict[str, Any]) -> None:
    """Has data sets looked for where the run has found them, unless GANARIUM_DATA says otherwise."""
    if config["data_folder"]:
        default_variable("DATA", config["data_folder"])


def data_of(config: dict[str, Any]) -> tuple[Dataset, Dataset]:
    """The two splits of the data that a run's config names; classes keep the numbers that the run gave them."""
    options = config["options"]
    place = options["data"]
    if "imported" in config and not place:
        raise UserError(f"weights from {config['imported']['file']} came without data: name some, as in --data NEW.")
    gone = [part for part in halves(place) or [place] if part not in SOURCES and not part.startswith("hf:")]
    if "data" in config and not all(Path(part).exists() for part in gone):
        raise UserError(
            f"the data of the run are no longer at {place}: if they have moved, name the new place, as in --data NEW."
        )
    train, test = load_data(
        options["data"],
        size=parse_size(options["size"]),
        channels=options["channels"],
        characters=options["characters"],
        fit=options.get("fit"),  # absent from the configs of older runs
        layout=options.get("layout"),
        classes=options.get("classes"),
        passed_over=options.get("passed_over"),
        mirror=options.get("mirror", False),
    )
    names = config.get("data", {}).get("class_names")  # absent from the config of a new run
    return (train.with_classes(names), test.with_classes(names)) if names else (train, test)


def opened(path: str | Path) -> tuple[checkpoint.Files, dict[str, Any]]:
    """The tensors and the JSON of a checkpoint, or of the newest complete one of a run.

    Of a run that started from weights it is the best one, if it was evaluated: that may be the start itself.
    """
    path = Path(path)
    if (path / "checkpoint.json").is_file():
        try:
            return checkpoint.read(path)
        except checkpoint.Broken as error:
            raise UserError(f"{error}: load another checkpoint, or the run for its newest complete one.") from error
    run = run_folder(path)
    _, files, meta = checkpoint.newest(run)
    best = checkpoint.best_step(run)
    if meta["config"]["options"].get("init_from") and 0 <= best < meta["step"]:
        with suppress(checkpoint.Broken):
            return checkpoint.read(run / "checkpoints" / f"step-{best:08d}")
    return files, meta
