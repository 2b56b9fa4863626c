"""`ganarium inpaint`: a hole in a picture filled by a run's model."""

from pathlib import Path
from typing import Any

from ganarium.cli.pictures import each_picture
from ganarium.errors import UserError


def inpaint(
    run: str,
    picture: str,
    /,
    *,
    mask: str | None = None,
    box: str | None = None,
    compare: bool = False,
    out: str | None = None,
    device: str = "auto",
) -> int:
    """Fill a hole in a picture with a run's model, such as context_encoder.

    All that is not marked stays as it is, pixel by pixel.

    Parameters
    ----------
    run
        The run's folder, or the folder of one checkpoint.
    picture
        The picture file.
    mask
        A picture of the same size: white where to fill.
    box
        In place of a mask, the rectangle to fill: left,top,width,height in pixels, such as 120,80,40,40.
    compare
        Also write the middle of the picture before and after, side by side.
    out
        Where to write. Default: RUN/inpainted. No file is overwritten.
    device
        auto, cpu, cuda or mps.
    """
    from ganarium.data.sources.folder import open_image
    from ganarium.runs.loading import load

    if (mask is None) == (box is None):
        raise UserError("say what to fill: give either --mask MASK.png or --box left,top,width,height.")
    if not Path(picture).is_file():
        raise UserError(f"{picture} is no picture file: give one.")
    model = load(run, device=device)
    marked = open_image(Path(mask), 4) if mask else None

    def apply(photo: Any, progress: Any) -> Any:
        return model.inpaint(photo, marked or _mask_of_box(str(box), photo.pixels.shape[:2]))

    return each_picture(
        run,
        [picture],
        apply,
        lambda height, width: 0.0,
        folder="inpainted",
        out=out,
        ending="filled",
        compare=compare,
    )


def _mask_of_box(box: str, size: tuple[int, int]) -> Any:
    """bool (h, w), True inside the rectangle."""
    import numpy as np

    try:
        left, top, width, height = (int(number) for number in box.split(","))
    except ValueError as error:
        raise UserError(f"a box is left,top,width,height in pixels, such as 120,80,40,40, not {box!r}.") from error
    if min(left, top) < 0 or min(width, height) < 1 or left + width > size[1] or top + height > size[0]:
        raise UserError(f"the box {box} does not lie in the picture, which is {size[1]} wide and {size[0]} high.")
    mask = np.zeros(size, bool)
    mask[top : top + height, left : left + width] = True
    return mask
