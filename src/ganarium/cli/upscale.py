"""`ganarium upscale`: pictures enlarged by a run's model."""

from typing import Annotated

from cyclopts import Parameter

from ganarium.cli.output import output_folder
from ganarium.errors import UserError


def upscale(
    run: str,
    pictures: Annotated[list[str], Parameter(name="FILES", negative=())],
    /,
    *,
    out: str | None = None,
    device: str = "auto",
) -> int:
    """Enlarge pictures with a run's model, such as srgan.

    Parameters
    ----------
    run
        The run's folder, or the folder of one checkpoint.
    pictures
        Picture files, or folders of them, one or more.
    out
        Where to write. Default: RUN/upscaled.
    device
        auto, cpu, cuda or mps.
    """
    from ganarium.data.sources.folder import open_image, picture_files
    from ganarium.runs.loading import load

    model = load(run, device=device)
    if not model.scale:
        raise UserError(f"{run} does not enlarge images: give a run of srgan or esrgan.")
    files = picture_files(pictures)
    stems = [path.stem for path in files]
    for stem in stems:
        if stems.count(stem) > 1:
            raise UserError(
                f"two of the pictures are called {stem}: upscale them apart, each with an --out of its own."
            )
    folder = output_folder(run, out, "upscaled")
    for path in files:
        target = folder / f"{path.stem}-x{model.scale}.png"
        model.upscale(open_image(path, model.shape[0])).save(target)
        print(target)
    return 0
