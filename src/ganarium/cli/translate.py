"""`ganarium translate`: pictures mapped by a run's model."""

from typing import Annotated, Any

from cyclopts import Parameter

from ganarium.cli.parameters import Count
from ganarium.cli.pictures import each_picture


def translate(
    run: str,
    pictures: Annotated[list[str], Parameter(name="FILES", negative=())],
    /,
    *,
    direction: str | None = None,
    full_size: bool = False,
    tile: Count = None,
    fixed_statistics: bool = False,
    compare: bool = False,
    out: str | None = None,
    device: str = "auto",
) -> int:
    """Turn pictures into the other kind that a trained run has learned, such as horses into zebras.

    Each picture is first scaled so that its shorter side is that of the training images. Transparency, 16 bits and
    the colour profile are kept. A file that cannot be read is named and passed over, and the exit code is 2.

    Parameters
    ----------
    run
        The folder of a run, or of one of its checkpoints.
    pictures
        One or more picture files, or folders of them.
    direction
        a2b (the first kind into the second) or b2a. Default: a2b, or the only one that the model has learned.
    full_size
        Keep the size of each picture. The model sees things larger than it has learned them.
    tile
        With --full-size: map in tiles of so many pixels, a multiple of 64, to save memory. Only where the model's
        networks allow it without seams.
    fixed_statistics
        With --tile: normalise every tile by the statistics of the reduced picture.
    compare
        Also write the middle of each picture before and after, side by side.
    out
        Folder to write to. Default: RUN/translated. No file is overwritten.
    device
        Where to compute: auto (CUDA if there is a GPU, else the CPU), cpu, cuda or mps.
    """
    from ganarium.runs.loading import load

    model = load(run, device=device)
    options: dict[str, Any] = {"full_size": full_size, "tile": tile, "fixed_statistics": fixed_statistics}

    def apply(photo: Any, progress: Any) -> Any:
        return model.translate(photo, direction=direction, progress=progress, **options)

    def effort(height: int, width: int) -> float:
        return height * width if full_size else max(height, width) / min(height, width)

    ending = direction or (model.directions or ("",))[0]
    return each_picture(run, pictures, apply, effort, folder="translated", out=out, ending=ending, compare=compare)
