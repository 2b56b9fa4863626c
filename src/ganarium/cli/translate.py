"""`ganarium translate`: pictures mapped by a run's model."""

from typing import Annotated

from cyclopts import Parameter

from ganarium.cli.output import output_folder
from ganarium.errors import UserError


def translate(
    run: str,
    pictures: Annotated[list[str], Parameter(name="FILES", negative=())],
    /,
    *,
    direction: str | None = None,
    out: str | None = None,
    device: str = "auto",
) -> int:
    """Turn pictures into the other kind that a trained run has learned, such as horses into zebras.

    Parameters
    ----------
    run
        The folder of a run, or of one of its checkpoints.
    pictures
        One or more picture files, or folders of them.
    direction
        a2b (the first kind into the second) or b2a. Default: a2b, or the only one that the model has learned.
    out
        Folder to write to. Default: RUN/translated.
    device
        Where to compute: auto (CUDA if there is a GPU, else the CPU), cpu, cuda or mps.
    """
    from ganarium.data.sources.folder import open_image, picture_files
    from ganarium.runs.loading import load

    model = load(run, device=device)
    originals = {path: open_image(path, model.shape[0]) for path in picture_files(pictures)}
    stems = [path.stem for path in originals]
    for stem in stems:
        if stems.count(stem) > 1:
            raise UserError(
                f"two of the pictures are called {stem}: translate them apart, each with an --out of its own."
            )
    results = {path: model.translate(picture, direction=direction) for path, picture in originals.items()}
    folder = output_folder(run, out, "translated")
    for path, mapped in results.items():
        target = folder / f"{path.stem}-{direction or model.directions[0]}.png"
        mapped.save(target)
        print(target)
    return 0
