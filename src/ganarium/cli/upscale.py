"""`ganarium upscale`: pictures enlarged by a run's model."""

from typing import Annotated, Any

from cyclopts import Parameter

from ganarium.cli.parameters import Count
from ganarium.cli.pictures import each_picture
from ganarium.errors import UserError


def upscale(
    run: str,
    pictures: Annotated[list[str], Parameter(name="FILES", negative=())],
    /,
    *,
    tile: Count = None,
    compare: bool = False,
    out: str | None = None,
    device: str = "auto",
) -> int:
    """Enlarge pictures with a run's model, such as srgan.

    Large pictures are enlarged in overlapping tiles, which show no seams. Grey, transparency, 16 bits and the colour
    profile are kept. A file that cannot be read is named and passed over, and the exit code is 2.

    Parameters
    ----------
    run
        The run's folder, or the folder of one checkpoint.
    pictures
        Picture files, or folders of them, one or more.
    tile
        Side of the tiles in pixels of the original, a multiple of 64. Smaller ones need less memory and more time.
        Default: 320.
    compare
        Also write the middle of each picture twice, side by side: enlarged by bicubic, and by the model.
    out
        Where to write. Default: RUN/upscaled. No file is overwritten.
    device
        auto, cpu, cuda or mps.
    """
    from ganarium.mapping import TILE, WHOLE
    from ganarium.runs.loading import load

    model = load(run, device=device)
    if not model.scale:
        raise UserError(f"{run} does not enlarge images: give a run of srgan or esrgan.")

    def apply(photo: Any, progress: Any) -> Any:
        return model.upscale(photo, tile=tile, progress=progress)

    def effort(height: int, width: int) -> float:
        if model.reach is None or (tile is None and height * width <= WHOLE):
            return height * width
        return height * width * (1 + 2 * model.reach / (tile or TILE)) ** 2

    return each_picture(
        run, pictures, apply, effort, folder="upscaled", out=out, ending=f"x{model.scale}", compare=compare
    )
