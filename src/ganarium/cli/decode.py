"""`ganarium decode`: the pictures that a run's model makes of codes."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ganarium.cli.encode import model_with_encoder
from ganarium.cli.output import output_folder
from ganarium.data.files.tree import printable
from ganarium.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

PART = 64  # codes that are decoded at a time


def decode(
    run: str,
    codes: Annotated[list[str], Parameter(name="CODES", negative=())],
    /,
    *,
    out: str | None = None,
    raw: bool = False,
    device: str = "auto",
) -> int:
    """Write the picture that a run's model makes of each code, as NAME-ROW.png; NAME.png where a file has one code.

    A file that cannot be read, or whose codes are not those of the model, is named and passed over, and the exit
    code is 2.

    Parameters
    ----------
    run
        The folder of a run, or of one of its checkpoints. Its model must have an encoder, as aae and bigan have.
    codes
        One or more .npy files of codes, a row for each, as `ganarium encode` writes them, or of one code; or the
        .npz files of `ganarium project`.
    out
        The folder to write to. Default: RUN/decoded. No file is overwritten.
    raw
        Use the weights of the last step. Default: their running average, where the model keeps one.
    device
        Where to compute: auto (CUDA if there is a GPU, else the CPU), cpu, cuda or mps.
    """
    from ganarium.data.files.photo import free_name
    from ganarium.pictures.grid import to_picture
    from ganarium.runs.loading import load

    model = model_with_encoder(load(run, raw=raw, device=device), run)
    assert model.prior is not None
    bad = 0
    for name in codes:
        try:
            rows = read_codes(Path(name), model.prior.dim)
        except UserError as error:
            print(f"ganarium: {printable(str(error))} It is passed over.", file=sys.stderr, flush=True)
            bad += 1
            continue
        folder, digits = output_folder(run, out, "decoded"), len(str(len(rows) - 1))
        done = 0
        for part in rows.split(PART):
            for image in model.decode(part).cpu():
                row = f"-{done:0{digits}}" if len(rows) > 1 else ""
                target = free_name(folder / f"{Path(name).stem}{row}.png")
                to_picture(image).save(target)
                print(printable(str(target)))
                done += 1
    return 2 if bad else 0


def read_codes(file: Path, dim: int) -> "Tensor":
    """The codes float32 (n, dim) of a file: an .npy of (n, dim) or (dim,), or the array `code` of an .npz. `UserError`
    if it cannot be read, or if the codes are not such."""
    import numpy as np
    import torch

    if not file.is_file():
        raise UserError(f"{file} is not there: give an .npy file of codes.")
    try:
        stored = np.load(file, allow_pickle=False)
        array = stored if isinstance(stored, np.ndarray) else stored["code"]
    except KeyError:
        raise UserError(f"{file} has no array `code`: give an .npy file of codes.") from None
    except Exception as error:  # of numpy and of zip files, of many kinds
        raise UserError(f"{file} is no file of codes: give an .npy file, as `ganarium encode` writes it.") from error
    if array.dtype.kind not in "fiu":
        raise UserError(f"{file} has {array.dtype} in the place of numbers: give an .npy file of codes.")
    if array.ndim not in (1, 2) or array.shape[-1] != dim or not array.size:
        raise UserError(f"{file} has the shape {array.shape}, and the codes of this model are (n, {dim}).")
    codes = torch.from_numpy(array.astype(np.float32)).view(-1, dim)
    if not codes.isfinite().all():
        raise UserError(f"{file} has numbers that are not finite.")
    return codes
