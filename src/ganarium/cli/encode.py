"""`ganarium encode`: the codes of pictures, by a run whose model has an encoder."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ganarium.cli.output import output_folder
from ganarium.data.files.tree import printable
from ganarium.errors import UserError
from ganarium.runtime.files import atomic_write

if TYPE_CHECKING:
    from ganarium.model import Model

PART = 64  # pictures that are read at a time


def encode(
    run: str,
    pictures: Annotated[list[str], Parameter(name="FILES", negative=())],
    /,
    *,
    out: str | None = None,
    raw: bool = False,
    device: str = "auto",
) -> int:
    """Write the codes that a run's encoder gives pictures, a row for each, for `ganarium decode` or other programs.

    The rows are float32, in an .npy file; a text file of the same name beside it names the picture of each row. A
    file that cannot be read is named and passed over, and the exit code is 2.

    Parameters
    ----------
    run
        The folder of a run, or of one of its checkpoints. Its model must have an encoder, as aae and bigan have.
    pictures
        One or more picture files, or folders of them. They are scaled to cover the size that the model was trained
        at, and cropped to it.
    out
        The .npy file to write. Default: RUN/encoded/codes.npy. No file is overwritten.
    raw
        Use the weights of the last step. Default: their running average, where the model keeps one.
    device
        Where to compute: auto (CUDA if there is a GPU, else the CPU), cpu, cuda or mps.
    """
    import numpy as np
    import torch

    from ganarium.data.files.decode import silence_warnings
    from ganarium.data.sources.folder import open_image, picture_files
    from ganarium.runs.loading import load

    if out is not None and not out.lower().endswith(".npy"):
        raise UserError(f"--out is the .npy file that the codes are written to, such as codes.npy, not {out}.")
    model = model_with_encoder(load(run, raw=raw, device=device), run)
    silence_warnings()
    files = picture_files(pictures)
    names, codes, waiting, bad = [], [], [], 0
    for file in files:
        try:
            waiting.append(model.fitted(open_image(file, model.shape[0]), "encode")[0])
            names.append(file)
        except UserError as error:
            print(f"ganarium: {printable(str(error))} It is passed over.", file=sys.stderr, flush=True)
            bad += 1
        if len(waiting) == PART:
            codes.append(model.encode(torch.cat(waiting)).cpu())
            waiting = []
    if waiting:
        codes.append(model.encode(torch.cat(waiting)).cpu())
    if not codes:
        raise UserError("none of the pictures could be read: there is nothing to encode.")
    rows = torch.cat(codes).numpy()
    folder = output_folder(run, str(Path(out).parent) if out else None, "encoded")
    target = _free(folder / Path(out or "codes.npy").name)
    with atomic_write(target) as temporary, temporary.open("wb") as handle:
        np.save(handle, rows)
    with atomic_write(target.with_suffix(".txt")) as temporary:
        temporary.write_text("".join(f"{printable(str(name))}\n" for name in names), encoding="utf-8")
    pictures_in_words = "1 picture" if len(rows) == 1 else f"{len(rows):,} pictures"
    print(f"{printable(str(target))}: {pictures_in_words}, {rows.shape[1]} numbers each")
    print(f"  their names, row by row: {printable(str(target.with_suffix('.txt')))}")
    return 2 if bad else 0


def model_with_encoder(model: "Model", run: str) -> "Model":
    """The model, if it has an encoder and is one of images; else `UserError`."""
    if not model.encodes:
        raise UserError(
            f"{type(model).__name__} has no encoder: give a run of aae or bigan, or find the codes of pictures with "
            f"`ganarium project {printable(run)} FILES`, if it makes images from codes."
        )
    if len(model.shape) != 3:
        raise UserError("the model knows points and no pictures: give the run of a model of images.")
    return model


def _free(file: Path) -> Path:
    """The file's own name, or NAME-2.npy ... if that name is taken, by codes or by their list of names."""
    candidate, number = file, 1
    while candidate.exists() or candidate.with_suffix(".txt").exists():
        number += 1
        candidate = file.with_name(f"{file.stem}-{number}{file.suffix}")
    return candidate
