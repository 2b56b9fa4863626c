"""`ganarium upscale`: pictures enlarged by a run's model."""

from typing import Annotated, Any

from cyclopts import Parameter

from ganarium.cli.parameters import Count
from ganarium.cli.pictures import each_picture
from ganarium.errors import UserError


def upscale(
    run_and_files: Annotated[list[str], Parameter(name="RUN FILES", negative=())],
    /,
    *,
    pretrained: bool = False,
    tile: Count = None,
    precision: str = "fp32",
    compare: bool = False,
    out: str | None = None,
    device: str = "auto",
) -> int:
    """Enlarge pictures with a run's model, such as srgan, or with the small one that comes with the package.

    `ganarium upscale RUN photo.jpg`, or `ganarium upscale --pretrained photo.jpg`, which enlarges four times. Large
    pictures are enlarged in overlapping tiles, which show no seams. Grey, transparency, 16 bits and the colour profile
    are kept. A file that cannot be read is named and passed over, and the exit code is 2.

    Parameters
    ----------
    run_and_files
        The run's folder, or the folder of one checkpoint; then picture files, or folders of them, one or more.
    pretrained
        Use the generator that comes with the package; all words are pictures then. It is small, and trained on drawn
        pictures alone.
    tile
        Side of the tiles in pixels of the original, a multiple of 64. Smaller ones need less memory and more time.
        Default: 320.
    precision
        fp32, bf16 (about twice as fast on processors that have it, and some pixels one level off), or auto.
    compare
        Also write the middle of each picture twice, side by side: enlarged by bicubic, and by the model.
    out
        Where to write. Default: RUN/upscaled, with --pretrained pretrained-upscaler/upscaled. No file is overwritten.
    device
        auto, cpu, cuda or mps.
    """
    from ganarium.mapping import TILE, WHOLE
    from ganarium.runs.loading import load

    run, *pictures = ["pretrained:upscaler", *run_and_files] if pretrained else run_and_files
    if not pictures:
        raise UserError("name a run and the pictures, as in `ganarium upscale runs/srgan-photos photo.jpg`.")
    model = load(run, device=device)
    if not model.scale:
        raise UserError(f"{run} does not enlarge images: give a run of srgan or esrgan.")

    def apply(photo: Any, progress: Any) -> Any:
        return model.upscale(photo, tile=tile, precision=precision, progress=progress)

    def effort(height: int, width: int) -> float:
        if model.reach is None or (tile is None and height * width <= WHOLE):
            return height * width
        return height * width * (1 + 2 * model.reach / (tile or TILE)) ** 2

    return each_picture(
        run, pictures, apply, effort, folder="upscaled", out=out, ending=f"x{model.scale}", compare=compare
    )
