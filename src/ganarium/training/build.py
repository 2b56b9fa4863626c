"""From the config of a run to its trainer: the data, the model, and whether the two fit each other."""

import dataclasses
import threading
from typing import Any

import numpy as np
import torch
from torch import nn

from ganarium import registry
from ganarium.data import OWN_DATA, SOURCES, suitable_data
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, PartlyLabelledImages
from ganarium.errors import UserError
from ganarium.model import Model
from ganarium.runs.loading import data_of
from ganarium.runs.options import LABELS_PER_CLASS
from ganarium.runtime import distributed
from ganarium.trainer import PRECISIONS, Trainer

DRAWN = ("glyphs", "scenes", "paired_scenes")  # modules of data that need no network: advised first
PATIENCE = 2.0  # seconds before the user is told what is waited for


def build(config: dict[str, Any]) -> tuple[Trainer, Dataset]:
    """The trainer of a config at iteration 0, before `prepare`, and the held-out split of its data.

    Writes into the config what only the data and the model know: the data's facts, the batch size, every model option.
    """
    options, device = config["options"], torch.device(config["device"])
    train, test = data_of(config)
    torch.manual_seed(options["seed"])
    model = registry.create(config["model"], train.shape, train.num_classes, **config["model_options"])
    model.load_features()
    suited = train.suited_to(model.batch_type)
    _check_fit(model, suited, config)
    rank, world = distributed.start(device)
    batches = Batches(
        _labels_kept(model, suited, config),
        model.batch_type,
        options["batch_size"] or model.batch_size,
        seed=options["seed"],
        device=device,
        dtype=PRECISIONS[config["precision"]],
        rank=rank,
        world=world,
    )
    trainer = Trainer(model, batches, options["steps"], precision=config["precision"])
    words = np.random.SeedSequence([options["seed"], 1, rank]).generate_state(2)
    torch.manual_seed((int(words[0]) << 31) ^ int(words[1]))  # the processes' noise must differ
    config["world"] = world
    options["batch_size"], config["model_options"] = batches.batch_size, dataclasses.asdict(model.config)
    config["data"] = {
        "name": train.name,
        "source": train.source,
        "train": len(train),
        "test": len(test),
        "shape": list(train.shape),
        "num_classes": train.num_classes,
        "class_names": list(train.class_names),
        "skipped": list(train.skipped),
        "notes": list(suited.notes),
        "sum": train.checksum(),
    }
    return trainer, test


def _check_fit(model: Model, train: Dataset, config: dict[str, Any]) -> None:
    """Raises `UserError`, which names data that fit, where the model does not learn from such batches."""
    name = registry.title(config["model"])
    if model.batch_type not in train.kinds:
        wants, gives = model.batch_type.__name__, " or ".join(kind.__name__ for kind in train.kinds)
        # Points are left out: the model has been built for images.
        fits = [data for data in suitable_data(wants) if SOURCES[data].module != "points"]
        fits.sort(key=lambda data: SOURCES[data].module not in DRAWN)
        whole = ", or --layout images to read every file as one picture" if train.paired and wants == "Images" else ""
        fits = [*fits[:4], own] if (own := OWN_DATA.get(wants)) else fits
        raise UserError(f"{name} learns from {wants}, and {train.name} gives {gives}: use {' or '.join(fits)}{whole}.")
    alone = any(isinstance(part, nn.BatchNorm1d) for part in model.modules()) or model.min_batch_size > 1
    if config["options"]["batch_size"] == 1 and alone:
        raise UserError(f"{name} has batch norm, which needs more than one image: use --batch-size 2 or more.")


def _labels_kept(model: Model, train: Dataset, config: dict[str, Any]) -> Dataset:
    """The set with the few labels that a semi-supervised model may know; their number is written into the options."""
    options = config["options"]
    asked = options.get("labels_per_class")  # absent from the configs of older runs
    if model.batch_type is PartlyLabelledImages:
        options["labels_per_class"] = asked or LABELS_PER_CLASS
        return train.keep_labels(options["labels_per_class"], options["seed"])
    if asked:
        raise UserError(
            f"--labels-per-class is for models that learn from {PartlyLabelledImages.__name__}, and "
            f"{registry.title(config['model'])} as it is asked for learns from {model.batch_type.__name__}: "
            "leave it away."
        )
    return train


def prepare(trainer: Trainer, *, quiet: bool) -> None:
    """`Trainer.prepare`; if the model takes more than a moment for it, one line says what is waited for."""
    words = "preparing the model on the training data ..."
    timer = threading.Timer(PATIENCE, print, [words], {"flush": True})
    if trainer.batches.rank == 0 and not quiet:
        timer.start()
    try:
        trainer.prepare()
    finally:
        timer.cancel()
