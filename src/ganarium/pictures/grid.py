"""Draws images as grids and points as scatter plots, and saves pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganarium.data.dataset import encode
from ganarium.errors import UserError
from ganarium.runtime.files import atomic_write

GAP = 2  # pixels between images


def to_picture(image: Tensor) -> Image.Image:
    """(c, h, w) in [-1, 1] with 1, 3 or 4 channels -> a PIL picture (L, RGB or RGBA)."""
    return _as_picture(encode(image[None].cpu())[0].numpy())


def save_grid(images: Tensor, path: str | Path, *, columns: int | None = None, real: Tensor | None = None) -> Path:
    """Saves images (n, c, h, w) in [-1, 1] side by side, 2 pixels apart, or points (n, 2) as a scatter plot.

    `columns` is the number of images in a row (default: a square). Small images are enlarged by a whole factor so that
    a person can see them. `real` (n, 2) is drawn under points. Gives the path. Raises `UserError` for another shape.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if images.dim() == 2 and images.shape[1] == 2:
        _scatter(images, real, path)
        return path
    if images.dim() != 4 or images.shape[1] not in (1, 3, 4) or len(images) == 0:
        raise UserError(f"a grid needs images (n, 1 or 3 or 4, h, w) or points (n, 2), not {tuple(images.shape)}.")
    return save_picture(grid(images, columns), path)


def save_picture(picture: Image.Image, path: Path) -> Path:
    """Saves a PIL picture, whole or not at all; gives the path."""
    with atomic_write(path) as temporary:
        picture.save(temporary)
    return path


def grid(images: Tensor, columns: int | None = None) -> Image.Image:
    """The picture of `save_grid` for images (n, c, h, w)."""
    n, channels, height, width = images.shape
    columns = min(n, columns or _columns(n, height, width))
    rows = -(-n // columns)
    sheet = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, channels), 255, np.uint8)
    for place, pixels in enumerate(encode(images.cpu()).numpy()):
        y, x = (place // columns) * (height + GAP) + GAP, (place % columns) * (width + GAP) + GAP
        sheet[y : y + height, x : x + width] = pixels
    return enlarged(sheet)


def tiles(path: Path, n: int, shape: tuple[int, ...]) -> Tensor:
    """Reads the `n` images of shape (c, h, w) in a square grid that `save_grid` wrote: uint8 (n, h, w, c)."""
    channels, height, width = shape
    columns = _columns(n, height, width)
    with Image.open(path) as picture:
        factor = picture.width // (columns * (width + GAP) + GAP)
        small = picture.resize((picture.width // factor, picture.height // factor), Image.Resampling.NEAREST)
    cells = np.asarray(small).reshape(small.height, small.width, channels)[GAP:, GAP:]
    rows = cells.reshape(-1, height + GAP, columns, width + GAP, channels)[:, :height, :, :width]
    return torch.from_numpy(rows.swapaxes(1, 2).reshape(-1, height, width, channels)[:n].copy())


def enlarged(sheet: NDArray[np.uint8]) -> Image.Image:
    """A sheet of pixels (h, w, c) as a picture, enlarged by the largest whole factor that keeps to 640 pixels."""
    picture = _as_picture(sheet)
    factor = max(1, 640 // max(picture.size))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def _as_picture(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _columns(n: int, height: int, width: int) -> int:
    """The columns of a grid that is about square."""
    return max(1, round((n * height / width) ** 0.5))


def _scatter(points: Tensor, real: Tensor | None, path: Path) -> None:
    figure, (panel,) = figure_of_panels(1, 5.0, 5.0)
    if real is not None:
        panel.scatter(*real[:2000].cpu().numpy().T, s=4, color="0.75", label="data")
    panel.scatter(*points.cpu().numpy().T, s=4, color="tab:red", alpha=0.6, label="samples")
    panel.set_aspect("equal")
    if real is not None:
        limit = 1.4 * float(real.abs().max())
        panel.set(xlim=(-limit, limit), ylim=(-limit, limit))
        panel.legend(loc="upper right", fontsize=8)
    save_figure(figure, path)


def figure_of_panels(panels: int, width: float, height: float, columns: int = 1) -> tuple[Any, Any]:
    """A figure with `panels` rows of `columns` panels, and the panels row by row. Sizes are in inches.

    It is made without pyplot, so that it needs no display and no global state.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(panels, columns, squeeze=False).ravel()


def save_figure(figure: Any, path: Path) -> None:
    """Saves a matplotlib figure, whole or not at all."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=110)
