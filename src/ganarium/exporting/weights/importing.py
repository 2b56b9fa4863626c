"""Turns a file of other people's weights into a folder like that of a run, which `load` and the commands take."""

import dataclasses
import hashlib
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganarium import registry
from ganarium.errors import RunError, UserError
from ganarium.exporting.weights.archive import Archive
from ganarium.exporting.weights.layouts import Layout, recognised, torch_tensors, unwrapped
from ganarium.model import Model
from ganarium.runs import checkpoint
from ganarium.runs.folder import FORMAT, reason_of, write_json
from ganarium.runs.options import Options, parse_size
from ganarium.runs.pretrained import leave_only
from ganarium.runtime.environment import environment


def import_weights(file: str | Path, out: str | Path | None = None, *, size: int | str | None = None) -> Path:
    """Recognises a file of weights from the names of its tensors, and makes a folder that `ganarium.load` and the
    commands `translate`, `upscale` and `train --init-from` take; gives the folder.

    Known are CycleGAN and pix2pix of the authors' PyTorch code (`latest_net_G.pth`), the generators of PyTorch-GAN's
    cyclegan, pix2pix, srgan and esrgan, RRDBNet of ESRGAN, Real-ESRGAN and BSRGAN, and SRResNet of BasicSR, written by
    `torch.save` or as safetensors. Nothing in the file is executed.

    `out` must be new; by default it is `runs/NAME-OF-THE-FILE`. `size` is that of the images the network was trained
    on, in pixels, which a file does not say: `translate` scales pictures to it. By default it is the paper's.

    Raises `UserError` for a file that is not known, does not fit or asks for anything but tensors, before anything is
    written.
    """
    file = Path(file)
    layout, tensors = read_weights(file)
    if size is not None:
        height, width = parse_size(str(size)) or (0, 0)
        layout = dataclasses.replace(layout, shape=(layout.shape[0], height, width))
    folder = _free_folder(file, out)
    model = built(layout, file)
    leave_only(model, [layout.part], layout.directions)
    _fill(model, layout, tensors)
    config = _config(model, layout, file)
    weights, aliases = checkpoint.state_and_aliases(model)
    meta = {"step": 0, "total": 0, "drawn": 0, "aliases": aliases, "config": config}
    try:
        (folder / "checkpoints").mkdir(parents=True)
        checkpoint.write(folder / "checkpoints", {"model": weights}, meta, keep=1)
        write_json(folder, "config.json", config)
    except OSError as error:
        raise RunError(f"{folder} could not be written: {reason_of(error)}.") from error
    return folder


def read_weights(file: Path) -> tuple[Layout, dict[str, Tensor]]:
    """What a file was recognised as, and the tensors of our network by name. Raises `UserError`."""
    archive = Archive(file)
    try:
        stored = unwrapped(archive.content)
        layout = recognised({key: value.size for key, value in stored.items()})
        _check_sizes(layout, {key: value.size for key, value in stored.items()})
        return layout, torch_tensors(layout, lambda key: archive.fetch(stored[key]))
    except UserError as error:
        if str(file) in str(error):
            raise
        raise UserError(f"{file} cannot be used: {error}") from error


def built(layout: Layout, file: Path) -> Model:
    """Our model for a file, with weights that are still to be filled in."""
    try:
        with torch.random.fork_rng(devices=[]):
            return registry.create(layout.model, layout.shape, **layout.options)
    except UserError as error:
        raise UserError(f"{file} cannot be used: it is {layout.name}, and {error}") from error


def _check_sizes(layout: Layout, shapes: dict[str, tuple[int, ...]]) -> None:
    """Holds the sizes of all tensors to those of our network, which is built without memory for it."""
    with torch.device("meta"):
        network = registry.create(layout.model, layout.shape, **layout.options).get_submodule(layout.part)
    for name, tensor in network.state_dict().items():
        if name not in layout.tensors:
            if not name.endswith("num_batches_tracked"):
                raise UserError(f"it looks like {layout.name}, but has nothing for {name}.")
        elif layout.fold is None and tuple(tensor.shape) != shapes[layout.tensors[name]]:
            theirs = layout.tensors[name]
            raise UserError(
                f"it looks like {layout.name}, but {theirs} is {shapes[theirs]} where {tuple(tensor.shape)} belongs."
            )


def _fill(model: Model, layout: Layout, tensors: dict[str, Tensor]) -> None:
    network = model.get_submodule(layout.part)
    network.load_state_dict(network.state_dict() | tensors)
    buffers = dict(model.named_buffers())
    for name, parameter in network.named_parameters():  # the copies that ESRGAN keeps of its first phase
        kept = buffers.get(f"exact_{name.replace('.', '_')}")
        if kept is not None:
            kept.copy_(parameter.detach())


def _config(model: Model, layout: Layout, file: Path) -> dict[str, Any]:
    """The config of a run that never trained: what `load` reads, and where the weights are from."""
    with file.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    data = {"name": "", "source": "", "train": 0, "test": 0, "shape": list(model.shape), "num_classes": None}
    return {
        "format": FORMAT,
        "model": layout.model,
        "model_options": dataclasses.asdict(model.config),
        "options": dataclasses.asdict(Options(data="", steps=None)),
        "device": "cpu",
        "precision": "fp32",
        "data_folder": None,
        **environment(),
        "world": 1,
        "data": data | {"class_names": [], "skipped": [], "notes": [], "sum": ""},
        "imported": {
            "file": str(file.resolve()),
            "sha256": digest,
            "name": layout.name,
            "part": layout.part,
            "directions": list(layout.directions),
            "notes": list(layout.notes),
        },
    }


def _free_folder(file: Path, out: str | Path | None) -> Path:
    """The folder to make. Raises `UserError` where it exists: nothing is overwritten."""
    if out is not None:
        folder = Path(out)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} exists already and nothing is overwritten: give another --out.")
        return folder
    name = re.sub(r"[^\w.-]", "_", file.stem) or "weights"
    number = 1
    while (folder := Path("runs") / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder
