"""How to train, whatever the model: the options of `ganarium train`, which a run keeps in its config.json."""

import dataclasses
import math
import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from ganarium.errors import UserError, nearest, require_positive
from ganarium.registry import checked_values, module, plain, title

DEFAULT_STEPS = 10_000
LABELS_PER_CLASS = 10  # of a semi-supervised model
TRACKERS = ("wandb", "mlflow", "trackio")
PRECISIONS = ("fp32", "bf16", "fp64", "auto")


@dataclass(frozen=True, kw_only=True)
class Options:
    data: str
    """What to train on: the name of a built-in set, a folder or .zip of images, an .npz file, or hf:owner/name."""
    size: str | None = None
    """Image size in pixels: 64, or height x width such as 64x96. Default: the set's own, or 64 for a folder."""
    channels: int | None = None
    """1 for grey, 3 for RGB, 4 for RGBA. Default: as many as the images have."""
    characters: str | None = None
    """For the built-in set glyphs: digits, letters, all, or the characters themselves."""
    fit: str | None = None
    """How images of a folder are brought to the size: crop the middle, or pad with black. Default: crop."""
    layout: str | None = None
    """What a folder holds: images, pairs (two pictures side by side in a file) or patches (windows are cut from
    photos). Default: found from the files."""
    classes: str | None = None
    """What sub-folders are: folders (each is a class, whatever its name), splits (train, test and val are parts of the
    data, and other folders are left out) or none (all images are of one kind). Default: found from the names."""
    passed_over: float | None = None
    """Share of the pictures of a folder that may be broken and are passed over, from 0 to 1. Default: 0.05."""
    mirror: bool = False
    """Mirror half of the training images left to right, chosen at random."""
    labels_per_class: int | None = None
    """For semi-supervised models: how many images of each class keep their label, chosen by the seed. Default: 10."""
    init_from: str | None = None
    """Weights to start from: a run, one of its checkpoints, pretrained:NAME, or a file of another program (see
    `import`). What is better in the end, the start or the result, is measured and said."""
    steps: int | None = None
    """How long to train, in iterations of the paper's algorithm. Default: 10000."""
    minutes: float | None = None
    """How long to train, in minutes instead of steps: a short timing turns them into a number of steps,
    counted again as the run goes on where it was far off."""
    batch_size: int | None = None
    """Images in a batch; under torchrun, in each process. Default: the paper's."""
    seed: int = 0
    """Seed of the weights, the noise and the order of the data."""
    device: str = "auto"
    """Where to compute: auto (CUDA if there is a GPU, else the CPU), cpu, cuda, cuda:1 or mps."""
    precision: str = "fp32"
    """Number format of the computation: fp32, bf16 (mixed precision), fp64, or auto (bf16 where that is faster)."""
    out: str | None = None
    """Folder of the run, which must be new. Default: runs/MODEL-DATA."""
    save_every: int | None = None
    """Steps between checkpoints. Default: one every five minutes, and one at the end."""
    keep: int = 3
    """How many of the newest checkpoints are kept; the best one is kept too."""
    sample_every: int | None = None
    """Steps between pictures of samples. Default: 40 pictures in a run."""
    evaluate_every: int | None = None
    """Steps between evaluations, 0 for none. Default: 20 in a run, fewer where they would take over 5 % of its time."""
    patience: int | None = None
    """Stop once so many evaluations in a row gave a chance below one half that as many steps again improve the best
    number by more than 2 %. Default: never."""
    log_every: int = 50
    """Steps between two lines of metrics.jsonl, the record of the losses."""
    track: str | None = None
    """Also send the numbers of metrics.jsonl to wandb, mlflow or trackio, a package of its own. Default: to none."""
    threads: int | None = None
    """Number of CPU threads. Default: as many as torch chooses."""

    def __post_init__(self) -> None:
        counts = ("steps", "minutes", "batch_size", "save_every", "keep", "sample_every", "log_every", "threads")
        require_positive(self, *counts, "labels_per_class", "patience")
        parse_size(self.size)
        if self.passed_over is not None and not 0 <= self.passed_over < 1:
            raise UserError(f"passed_over is a share of the pictures, from 0 to below 1, not {self.passed_over:g}.")
        if self.evaluate_every is not None and self.evaluate_every < 0:
            raise UserError(f"evaluate_every must be 0 (never) or above, not {self.evaluate_every}.")
        if self.patience and self.evaluate_every == 0:
            raise UserError("patience goes by evaluations, and evaluate_every 0 makes none: leave one of them away.")
        if self.minutes and not math.isfinite(self.minutes):
            raise UserError(f"minutes must be a number above 0, not {self.minutes}.")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"seed must be from 0 to 2**63 - 1, not {self.seed}.")
        if self.steps and self.minutes:
            raise UserError("steps and minutes both say how long to train: give one of them.")
        if self.precision not in PRECISIONS:
            raise UserError(f"there is no precision {self.precision!r}: {nearest(self.precision, PRECISIONS)}")
        if self.track is not None and self.track not in TRACKERS:
            raise UserError(f"there is no tracker {self.track!r}: {nearest(self.track, TRACKERS)}")
        if self.track is not None and find_spec(self.track) is None:
            raise UserError(
                f"the package {self.track} is not installed: pip install {self.track}, or leave --track away."
            )
        if self.channels not in (None, 1, 3, 4):
            raise UserError(f"channels must be 1, 3 or 4, not {self.channels}.")


def parse_size(text: str | None) -> tuple[int, int] | None:
    """ "64" -> (64, 64), "64x96" -> (64, 96): height, width in pixels."""
    if text is None:
        return None
    parts = str(text).lower().split("x")
    if not (1 <= len(parts) <= 2 and all(part.isdecimal() and int(part) > 0 for part in parts)):
        raise UserError(f"a size is a number of pixels such as 64, or height x width such as 64x96, not {text!r}.")
    return int(parts[0]), int(parts[-1])


def check_own_options(model: str) -> None:
    """`UserError` for a model with an option that is called like one of `train`: nobody could give it."""
    for field in dataclasses.fields(module(model).Config):
        if field.name in Options.__dataclass_fields__:
            raise UserError(f"the option {field.name} of {title(model)} is called like one of `train`: rename it.")


def from_mapping(options: dict[str, Any]) -> tuple[Options, dict[str, Any]]:
    """Sorts keyword arguments into the `Options` and what is left for the model; numpy's numbers become Python's."""
    options = {key: plain(value) for key, value in options.items()}
    names = {field.name for field in dataclasses.fields(Options)}
    run_options: dict[str, Any] = {
        key: str(value) if isinstance(value, os.PathLike) or (key == "size" and type(value) is int) else value
        for key, value in options.items()
        if key in names
    }
    parse_size(run_options.get("size"))  # whose own words come before those about types
    checked_values(Options, run_options)
    return Options(**run_options), {key: value for key, value in options.items() if key not in names}
