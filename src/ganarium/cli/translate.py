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
    """Map pictures with a run's model, such as horses to zebras.

    Parameters
    ----------
    run
        The run's folder, or the folder of one checkpoint.
    pictures
        Picture files, or folders of them, one or more.
    direction
        Such as a2b or b2a. Default: the model's first.
    out
        Where to write. Default: RUN/translated.
    device
        auto, cpu, cuda or mps.
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
