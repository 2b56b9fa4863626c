"""`ganarium project`: the codes of pictures, and what a run's model makes of them."""

from typing import Annotated, Literal

from cyclopts import Parameter

from ganarium.cli.classify import class_names
from ganarium.cli.output import output_folder
from ganarium.cli.parameters import Count, Whole
from ganarium.cli.sample import class_number
from ganarium.data.files.tree import printable
from ganarium.errors import UserError


def project(
    run: str,
    pictures: Annotated[list[str], Parameter(name="FILES", negative=())],
    /,
    *,
    by: str | None = None,
    space: Literal["z", "w"] = "z",
    label: str | None = None,
    text: str | None = None,
    starts: Count = None,
    steps: Count = None,
    seed: Whole = 0,
    out: str | None = None,
    raw: bool = False,
    device: str = "auto",
) -> int:
    """Find the code of each picture, so that the model makes the picture again as well as it can.

    Beside each picture what the model makes of its code is written as NAME-projected.png, and the code as
    NAME-projected.npz. The line of a picture tells the mean squared error, in units of [-1, 1], and that of the best of
    1,000 random codes.

    Parameters
    ----------
    run
        The folder of a run, or of one of its checkpoints. Its model must make images from codes, as dcgan does.
    pictures
        One or more picture files, or folders of them. They are scaled to cover the size that the model was trained
        at, and cropped to it.
    by
        encoder, of a model that has one (aae, bigan), or optimisation. Default: encoder where there is one.
    space
        z, the codes, or w, the styles of stylegan and stylegan2, which come nearer; NAME-projected.npz has them as
        style.
    label
        The class of the pictures, by name or number, for a model that takes labels. Default: any.
    text
        The sentence that the pictures are drawn of, for a model that learned from captions, which needs one.
    starts
        Random codes that are improved, the nearest of 1,000. Default: 8.
    steps
        Updates of each code. Default: 300.
    seed
        The same seed gives the same codes.
    out
        The folder to write to. Default: RUN/projected. No file is overwritten.
    raw
        Use the weights of the last step. Default: their running average, where the model keeps one.
    device
        Where to compute: auto (CUDA if there is a GPU, else the CPU), cpu, cuda or mps.
    """
    import numpy as np
    import torch

    from ganarium.data.files.photo import free_name
    from ganarium.data.sources.folder import open_image, picture_files
    from ganarium.pictures.grid import save_grid
    from ganarium.runs.loading import load

    model = load(run, raw=raw, device=device)
    if len(model.shape) != 3:
        raise UserError("the model knows points and no pictures: give the run of a model of images.")
    names = class_names(run) if model.conditional else []
    options = {
        "by": by,
        "space": space,
        "seed": seed,
        "label": None if label is None else class_number(model, run, label),
        "text": text,
    }
    options |= {word: count for word, count in (("starts", starts), ("steps", steps)) if count is not None}
    files = picture_files(pictures)
    folder = output_folder(run, out, "projected")
    for file in files:
        picture = open_image(file, model.shape[0])
        shown, _ = model.fitted(picture, "project")
        made = model.project(picture, **options)
        target = free_name(folder / f"{file.stem}-projected.png")
        save_grid(torch.cat([shown.float().cpu(), made.image.cpu()]), target, columns=2)
        arrays = {"code" if space == "z" else "style": made.code[0].cpu().numpy()}
        kind = ""
        if made.label is not None:
            arrays["label"] = made.label[0].cpu().numpy()
            kind = f", as {names[int(made.label[0])]}"
        np.savez(target.with_suffix(".npz"), **arrays)  # type: ignore[arg-type]
        print(
            f"{printable(str(target))}: error {float(made.error[0]):.4g}, best of the random codes "
            f"{float(made.random_error[0]):.4g}, by {made.by}{kind}, {made.seconds:.1f} s"
        )
    return 0
