"""Checkpoints: a folder of safetensors and one JSON, written aside, synced to the disk and renamed. No pickle.

step-00012000/
  model.safetensors      weights and buffers, by the names of `state_dict`; a shared tensor once
  averages.safetensors   the running averages (models that keep them)
  training.safetensors   optimiser slots, random generators, buffers of each process
  checkpoint.json        the run's whole config, the place in the data, aliases, and size and SHA-256 of every file
"""

import hashlib
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ganarium.errors import Diverged, RunError, UserError
from ganarium.model import Model
from ganarium.runtime.environment import written_by
from ganarium.runtime.files import atomic_write

FORMAT = 1
Files = dict[str, dict[str, Tensor]]  # file name without suffix -> tensors by name


class Broken(UserError):
    """A checkpoint that is not complete or not what was written."""


def restore_model(model: Model, files: Files, meta: dict[str, Any]) -> None:
    """Puts back weights, buffers and averages, in place, so that every tensor keeps its strides."""
    _fill(model, files["model"], meta["aliases"])
    for name, average in model.averages.items():
        own = {k.removeprefix(f"{name}."): v for k, v in files["averages"].items() if k.startswith(f"{name}.")}
        _fill(average, own, state_and_aliases(average)[1])
    model.iteration = meta["step"]


@torch.no_grad()
def _fill(module: nn.Module, tensors: dict[str, Tensor], aliases: dict[str, str]) -> None:
    own = module.state_dict()
    missing = sorted(own.keys() - tensors.keys() - aliases.keys())
    if missing or tensors.keys() - own.keys():
        names = ", ".join([*missing, *sorted(tensors.keys() - own.keys())][:3])
        raise UserError(
            f"the checkpoint does not fit this version of the model (at {names}): use the version that wrote it."
        )
    for name, tensor in tensors.items():
        if own[name].shape != tensor.shape:
            shapes = f"{name} is {tuple(tensor.shape)} in the file and {tuple(own[name].shape)} in the model"
            raise UserError(
                f"the checkpoint does not fit this version of the model ({shapes}): use the version that wrote it."
            )
        own[name].copy_(tensor)


def state_and_aliases(module: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The state dict with every shared tensor once, and {other name: first name}."""
    first: dict[tuple[int, torch.Size, torch.dtype], str] = {}
    tensors, aliases = {}, {}
    for name, tensor in module.state_dict().items():
        key = (tensor.data_ptr(), tensor.shape, tensor.dtype)
        if tensor.numel() and key in first:
            aliases[name] = first[key]
        else:
            first[key] = name
            tensors[name] = tensor
    return tensors, aliases


def write(folder: Path, files: Files, meta: dict[str, Any], keep: int) -> Path:
    """Writes `folder/step-N` whole or not at all, then removes all but the newest `keep` checkpoints and the best one.

    Raises `Diverged` if a tensor is not finite, `RunError` if the disk does not take it; the older ones stay untouched.
    """
    for tensors in files.values():
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                raise Diverged(f"{name} is not finite at step {meta['step']}, so no checkpoint was written")
    target = folder / f"step-{meta['step']:08d}"
    meta, sums = {"format": FORMAT, **meta}, {}
    try:
        with atomic_write(target, sync=True) as temporary:
            temporary.mkdir(parents=True)
            for name, tensors in files.items():
                path = temporary / f"{name}.safetensors"
                _save(path, {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()})
                sums[path.name] = {"bytes": path.stat().st_size, "sha256": _digest(path)}
            (temporary / "checkpoint.json").write_text(json.dumps(meta | {"files": sums}, indent=1))
            if target.exists():  # only ever a torn one, or the same step again
                shutil.rmtree(target)
    except OSError as error:
        raise RunError(
            f"the checkpoint of step {meta['step']} could not be written to {folder}: {error.strerror or error}"
        ) from error
    later = [path for path in by_step(folder) if path > target]  # torn ones, else the run had gone on from them
    best = best_step(folder.parent)
    old = [path for path in by_step(folder)[len(later) + keep :] if path.name != f"step-{best:08d}"]
    for path in later + old:
        shutil.rmtree(path, ignore_errors=True)
    return target


def _save(path: Path, tensors: dict[str, Tensor]) -> None:
    """Writes a file of tensors without a copy of them in memory. Raises `OSError` if the disk does not take it."""
    path.touch()
    mode = path.stat().st_mode
    try:
        save_file(tensors, path)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    path.chmod(mode)  # safetensors takes reading away from others


def best_step(run: Path) -> int:
    """The step of the checkpoint that `best.json` names, which is never removed; -1 if it names none."""
    try:
        return int(json.loads((run / "best.json").read_text())["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return -1


def removable(run: Path) -> tuple[list[str], list[Path]]:
    """The checkpoints that a cleaned run keeps, in words, and those that can go.

    It keeps the last complete one and the best. Raises `UserError` if none is complete: nothing may go then.
    """
    checkpoints = by_step(run / "checkpoints")
    last = next(filter(_complete, checkpoints), None)
    if last is None:
        raise UserError(f"{run} holds no complete checkpoint, so nothing of it is removed.")
    best = run / "checkpoints" / f"step-{best_step(run):08d}"
    kept = {last: f"{last.name} (the last)"}
    if best == last:
        kept[last] = f"{last.name} (the last and the best)"
    elif best in checkpoints and _complete(best):
        kept[best] = f"{best.name} (the best)"
    return list(kept.values()), [path for path in reversed(checkpoints) if path not in kept]


def _complete(path: Path) -> bool:
    try:
        verified(path)
    except Broken:
        return False
    return True


def read(path: Path) -> tuple[Files, dict[str, Any]]:
    """One checkpoint, held against its sums. Raises `Broken` with what is wrong."""
    meta = verified(path)
    return {file.stem: load_file(file) for file in (path / name for name in meta["files"])}, meta


def verified(path: Path) -> dict[str, Any]:
    """The JSON of a checkpoint whose files are what was written; no tensor is loaded. Raises `Broken`."""
    meta = read_meta(path)
    for name, expected in meta["files"].items():
        file = path / name
        if not file.is_file() or file.stat().st_size != expected["bytes"] or _digest(file) != expected["sha256"]:
            raise Broken(f"{file} is missing, cut short or changed since it was written")
    return meta


def read_meta(path: Path) -> dict[str, Any]:
    """The JSON of a checkpoint. Raises `Broken`, or `UserError` naming the version that can read it."""
    try:
        meta: dict[str, Any] = json.loads((path / "checkpoint.json").read_text())
        written, (program, version) = int(meta["format"]), written_by(meta["config"]["versions"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Broken(f"{path} is no complete checkpoint") from error
    if written > FORMAT:
        raise UserError(f"{path} was written by {program} {version}: use that version or a newer one.")
    return meta


def exists(run: Path) -> bool:
    """Whether a run has any checkpoint, complete or not."""
    return bool(by_step(run / "checkpoints"))


def newest(run: Path) -> tuple[Path, Files, dict[str, Any]]:
    """The newest complete checkpoint of a run; a broken one is skipped with a warning. `UserError` if there is none."""
    broken = []
    for path in by_step(run / "checkpoints"):
        try:
            files, meta = read(path)
        except Broken as error:
            broken.append(str(error))
            continue
        for reason in broken:
            warnings.warn(f"skipped a checkpoint: {reason}.", stacklevel=2)
        return path, files, meta
    why = f" ({broken[0]})" if broken else ""
    raise UserError(f"{run} holds no complete checkpoint{why}, so there is nothing to load: train it anew.")


def by_step(folder: Path) -> list[Path]:
    """The checkpoints in a folder, complete or not, the newest first."""
    return sorted(folder.glob("step-*"), reverse=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
