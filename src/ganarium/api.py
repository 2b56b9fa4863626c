"""Training to picture in five lines: `train`, `resume`, `load` and `evaluate`."""

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from ganarium import registry
from ganarium.errors import UserError, nearest
from ganarium.evaluation.measures import evaluate_model
from ganarium.evaluation.result import Evaluation
from ganarium.model import Model
from ganarium.runs import checkpoint, options
from ganarium.trainer import PRECISIONS, add_averages, to_channels_last
from ganarium.training.session import Run, data_of, run_folder


def train(model: str, data: str, *, quiet: bool = False, **settings: Any) -> Model:
    """Trains a model on a data set, leaves the run in a folder, and gives the trained model, ready to sample.

    `settings` are the options of `ganarium train` (steps, seed, out, device ...: see `options.Options`) and of the
    model (see `ganarium show MODEL`). Raises `UserError` for bad input, before anything is written, and `RunError` for
    a run that cannot go on. SIGINT and SIGTERM save the run and raise KeyboardInterrupt.
    """
    chosen, model_options = options.from_mapping({"data": str(data), **settings})
    known = {field.name for kind in (options.Options, registry.module(model).Config) for field in fields(kind)}
    for option in model_options:
        if option not in known:
            raise UserError(f"there is no option {option!r} of {model}: {nearest(option, known)}")
    return _trained(Run.new(model, chosen, model_options, quiet=quiet), quiet)


def resume(run: str | Path, *, steps: int | None = None, device: str | None = None, quiet: bool = False) -> Model:
    """Goes on with a run from its newest complete checkpoint; `steps` extends a finished one. Gives the model."""
    return _trained(Run.reopen(run, steps=steps, device=device), quiet)


def load(path: str | Path, *, raw: bool = False, device: str = "cpu") -> Model:
    """The model of a run (at its newest complete checkpoint) or of one checkpoint, from nothing but the path.

    Samples come from the running averages of the weights where the model keeps them; `raw=True` takes the weights
    themselves. Raises `UserError` if there is no run, or none of its checkpoints is complete.
    """
    files, meta = _opened(path)
    config = meta["config"]
    with torch.random.fork_rng(devices=[]):  # for weights that are overwritten at once
        model = registry.create(
            config["model"], tuple(config["data"]["shape"]), config["data"]["num_classes"], **config["model_options"]
        )
    add_averages(model.to(PRECISIONS[config["precision"]]))
    checkpoint.restore_model(model, files, meta)
    if raw:
        model.averages = {}
    return to_channels_last(model.to(options.resolve_device(device))).eval()


def evaluate(
    run: str | Path,
    *,
    n: int | None = None,
    seed: int = 0,
    features: str = "auto",
    raw: bool = False,
    device: str = "auto",
) -> Evaluation:
    """Measures the samples of a run (or of one checkpoint) against its training images.

    `n` samples of `seed` (default 2,000; 2,500 points; 26,000 of stacked MNIST) are compared with as many real ones, or
    with all there are. `features` is a judge (`metrics.judge.list_judges()`), `inception`, or `auto`: the judge of the
    data set, and for data without one `cifar10_subset` for colour and `glyphs` for grey, which say how near two sets
    are and not what is in them. Samples come from the averaged weights, unless `raw`. Images are made and read 64 at a
    time, on `device`: memory grows with the features alone.

    Raises `UserError` for what cannot be measured.
    """
    config = config_of(run)
    model = load(run, raw=raw, device=device)
    train_set, test_set = data_of(config)
    values, protocol = evaluate_model(model, train_set, test_set, n=n, seed=seed, features=features)
    return Evaluation(str(run), config["model"], config["data"]["name"], model.iteration, values, protocol)


def config_of(path: str | Path) -> dict[str, Any]:
    """The config of a run or checkpoint, as `load` finds it; the run's own GANARIUM_DATA is used where none is set."""
    config: dict[str, Any] = _opened(path)[1]["config"]
    if config["data_folder"]:
        os.environ.setdefault("GANARIUM_DATA", config["data_folder"])
    return config


def _opened(path: str | Path) -> tuple[Any, dict[str, Any]]:
    """Files and facts of a checkpoint, or of the newest complete one of a run."""
    path = Path(path)
    if (path / "checkpoint.json").is_file():
        try:
            files, meta = checkpoint.read(path)
        except checkpoint.Broken as error:
            raise UserError(f"{error}: load another checkpoint, or the run for its newest complete one.") from error
    else:
        _, files, meta = checkpoint.newest(run_folder(path))
    return files, meta


def _trained(run: Run, quiet: bool) -> Model:
    if run.train(quiet=quiet):
        raise KeyboardInterrupt(f"stopped and saved at step {run.model.iteration}: `{run.resume_command()}` goes on.")
    return run.model.eval()
