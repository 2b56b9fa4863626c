"""`ganarium complete`: the lower part of pictures, drawn anew by a run of a model that draws in raster order."""

from typing import Annotated

from cyclopts import Parameter

from ganarium.cli.output import output_folder
from ganarium.cli.parameters import Whole
from ganarium.errors import UserError

MOST = 32  # pictures, and completions of each


def complete(
    run: str,
    pictures: Annotated[list[str], Parameter(name="FILES", negative=())],
    /,
    *,
    covered: float = 0.5,
    n: Whole = 6,
    seed: Whole = 0,
    out: str | None = None,
    device: str = "auto",
) -> int:
    """Cover the lower part of pictures, and draw it anew several times, with a run's model, such as pixelrnn.

    Parameters
    ----------
    run
        The folder of a run, or of one of its checkpoints. Its model must complete images, as pixelrnn does.
    pictures
        One or more picture files, or folders of them, at most 32. They are scaled to cover the size that the model was
        trained at, and cropped to it.
    covered
        The share of the rows that are covered, from below.
    n
        Number of completions of each picture, at most 32.
    seed
        The same seed gives the same completions.
    out
        Folder to write to. Default: RUN/generated. No file is overwritten.
    device
        Where to compute: auto (CUDA if there is a GPU, else the CPU), cpu, cuda or mps.
    """
    import torch

    from ganarium.data.files.photo import free_name
    from ganarium.data.sources.folder import open_image, picture_files
    from ganarium.pictures.grid import save_grid
    from ganarium.runs.loading import load

    if not 0 < covered <= 1 or not 1 <= n <= MOST:
        raise UserError(f"--covered must be above 0 and at most 1, and --n from 1 to {MOST}, not {covered} and {n}.")
    model = load(run, device=device)
    if not model.completes:
        raise UserError(f"{type(model).__name__} does not complete pictures: use a run of pixelrnn.")
    files = picture_files(pictures)
    if len(files) > MOST:
        raise UserError(f"a page has room for {MOST} pictures, not for {len(files)}: name fewer.")
    height = model.shape[1]
    first = round(height * (1 - covered))  # of the covered rows
    if first == height:
        raise UserError(f"{covered} of {height} rows is less than half a row: use a larger --covered, such as 0.5.")
    pictures_of_size = [model.fitted(open_image(path, model.shape[0]), "complete")[0] for path in files]
    images = torch.cat(pictures_of_size).float().cpu()
    mask = (torch.arange(height) >= first)[:, None].expand(model.shape[1:])
    each = images.repeat_interleave(n, 0)
    completions = model.complete(each, mask, seed=seed).cpu().unflatten(0, (len(images), n))
    rows = torch.cat([images[:, None], images.masked_fill(mask, 0)[:, None], completions], 1)
    target = free_name(output_folder(run, out, "generated") / f"completed-seed{seed}.png")
    print(save_grid(rows.flatten(0, 1), target, columns=n + 2))
    return 0
