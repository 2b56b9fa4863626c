"""`ganarium classify`: what pictures show, by a run whose model classifies."""

from typing import Annotated

from cyclopts import Parameter

from ganarium.data.files.tree import printable
from ganarium.errors import UserError


def classify(
    run: str,
    pictures: Annotated[list[str], Parameter(name="FILES", negative=())],
    /,
    *,
    raw: bool = False,
    device: str = "auto",
) -> int:
    """Print the likeliest class of each picture and its probability, by a run whose model classifies.

    Parameters
    ----------
    run
        The folder of a run, or of one of its checkpoints. Its model must classify, as sgan does.
    pictures
        One or more picture files, or folders of them. They are scaled to cover the size that the model was trained
        at, and cropped to it.
    raw
        Use the weights of the last step. Default: their running average, where the model keeps one.
    device
        Where to compute: auto (CUDA if there is a GPU, else the CPU), cpu, cuda or mps.
    """
    from ganarium.data.sources.folder import open_image, picture_files
    from ganarium.runs.loading import load

    model = load(run, raw=raw, device=device)
    if len(model.shape) != 3:
        raise UserError("the model knows points and no pictures: give the run of a model of images.")
    files = picture_files(pictures)
    probabilities = [model.probabilities(open_image(path, model.shape[0])) for path in files]
    names, paths = class_names(run), [printable(str(path)) for path in files]
    name_width, path_width = max(map(len, names)), max(map(len, paths))
    for path, row in zip(paths, probabilities, strict=True):
        print(f"{path:{path_width}}  {names[int(row.argmax())]:{name_width}}  {float(row.max()):.3f}")
    return 0


def class_names(run: str) -> list[str]:
    """The classes of the data that a run was trained on, in the order of their numbers."""
    from ganarium.runs.loading import config_of

    names: list[str] = config_of(run)["data"]["class_names"]
    return names
