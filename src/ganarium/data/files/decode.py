"""Pictures from files, as a person sees them, fitted to a size. No torch, so that a worker process starts at once.

`python -m ganarium.data.files.decode FOLDER` is such a worker: see `decode_cache`.
"""

import io
import json
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from ganarium.data.files.open import open_tree
from ganarium.data.files.tree import Tree

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")  # what a file may be, whatever it is called
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
SHOWN = 0.25  # a crop that shows less than this share of a picture is not what anyone wants


class Unfit(ValueError):
    """A picture that can be read and not be used; says why."""


class Empty(ValueError):
    """A file of no bytes."""


class Header(NamedTuple):
    """What the first bytes of a file say, with the picture turned upright."""

    height: int
    width: int
    grey: bool
    format: str
    mode: str
    transparent: bool


def header(handle: BinaryIO) -> Header:
    """Raises one of the many errors of `PIL.Image.open` when it is no picture: see `reason`."""
    with Image.open(handle, formats=FORMATS) as image:
        width, height = image.size
        if _orientation(image) in (5, 6, 7, 8):
            width, height = height, width
        grey = image.mode in ("1", "L", "LA") or image.mode.startswith("I")  # a palette counts as coloured
        return Header(height, width, grey, image.format or "", image.mode, image.has_transparency_data)


def decode(handle: BinaryIO, target: np.ndarray, fit: str) -> None:
    """Fills `target`, uint8 (h, w, c); of two pictures side by side, (2, h, w, c).

    `fit` is "crop" (resized until it covers the target, cropped at the middle), "pad" (resized until it lies within,
    black around it) or "exact" (must have the target's size). Raises whatever a broken file makes PIL raise, and
    `Unfit`.
    """
    *_, height, width, channels = target.shape
    with Image.open(handle, formats=FORMATS) as image:
        if fit != "exact" and target.ndim == 3:
            image.draft(image.mode, (2 * max(height, width),) * 2)  # JPEG decodes faster when made smaller
        picture = as_seen(image, channels)
    if target.ndim == 3:
        target[:] = fitted(picture, (height, width), fit).reshape(target.shape)
        return
    middle = picture.width // 2
    for half, left in zip(target, (0, picture.width - middle), strict=True):
        part = picture.crop((left, 0, left + middle, picture.height))
        half[:] = fitted(part, (height, width), fit).reshape(half.shape)


def fitted(picture: Image.Image, size: tuple[int, int], fit: str) -> np.ndarray:
    """uint8 (h, w) or (h, w, c) of `size` (h, w); never stretched. See `decode`."""
    height, width = size
    if fit == "exact":
        if picture.size != (width, height):
            raise Unfit(f"is {picture.height}x{picture.width} and not {height}x{width}")
        return np.asarray(picture)
    if fit == "pad":
        return np.asarray(ImageOps.pad(picture, (width, height), Image.Resampling.LANCZOS))
    shape, wanted = picture.width / picture.height, width / height
    if min(shape / wanted, wanted / shape) < SHOWN:
        raise Unfit(f"is {picture.height}x{picture.width}, of which a crop to {height}x{width} shows almost nothing")
    return np.asarray(ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS))


def as_seen(image: Image.Image, channels: int) -> Image.Image:
    """Upright, with so many channels; transparency that is not kept is laid on white, 16 bits become 8."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits, which PIL would clip to 8
        image = Image.fromarray((np.asarray(image).clip(0, 65535) / 257).round().astype(np.uint8))
    if image.mode == "F":
        raise Unfit("has floating-point pixels, whose range is unknown")
    if image.mode == "CMYK" and image.info.get("icc_profile"):
        with suppress(ImageCms.PyCMSError, OSError):  # a broken profile: the plain conversion below
            inks = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
            seen = ImageCms.profileToProfile(image, inks, ImageCms.createProfile("sRGB"), outputMode="RGB")
            image = seen or image
    if channels < 4 and image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert(MODES[channels])


def reason(error: Exception) -> str:
    """Why a file was passed over, in words that go after its name."""
    if isinstance(error, Unfit):
        return str(error)
    if isinstance(error, Image.DecompressionBombError):
        return f"has more than {2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6} million pixels"
    if isinstance(error, Empty):
        return "is empty"
    if isinstance(error, UnidentifiedImageError):
        return "is no picture that can be read (PNG, JPEG, BMP, GIF, WebP or TIFF)"
    if isinstance(error, PermissionError):
        return "may not be read"
    if isinstance(error, FileNotFoundError):
        return "is gone"
    return "is damaged or cut short"


def decode_file(tree: Tree, name: str, target: np.ndarray, fit: str) -> str:
    """As `decode`, of one file of a tree; gives "" or the reason why it could not."""
    try:
        with tree.open(name) as handle:
            if not handle.read(1):
                raise Empty
            handle.seek(0)
            decode(handle, target, fit)
    except Exception as error:  # decoders raise errors of all kinds on broken files
        target[:] = 0
        return reason(error)
    return ""


def quiet() -> None:
    """No warnings about odd metadata of pictures that read well, nor about large ones that are allowed."""
    warnings.filterwarnings("ignore", module="PIL")
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def _orientation(image: Image.Image) -> int:
    with suppress(Exception):  # broken metadata of a picture that may read well
        return int(image.getexif().get(0x0112, 1))
    return 1


class Plan(NamedTuple):
    """What is decoded where: files of a tree into one flat array of bytes."""

    tree: str
    names: Sequence[str]
    shapes: Sequence[Sequence[int]]  # of the target of each file, or a single one for all
    starts: Sequence[int]  # of each target in the array; empty when all have one shape
    fit: str

    def target(self, pixels: np.ndarray, place: int) -> np.ndarray:
        shape = tuple(self.shapes[place if len(self.shapes) > 1 else 0])
        count = int(np.prod(shape))
        start = self.starts[place] if self.starts else place * count
        return pixels[start : start + count].reshape(shape)


def work(folder: Path) -> None:
    """Decodes the blocks that the standard input names ("first last") and answers each with the reasons of failures."""
    quiet()
    plan = Plan(*json.loads((folder / "plan.json").read_text()))
    pixels = np.memmap(folder / "pixels", np.uint8, "r+")
    tree = open_tree(plan.tree, list(plan.names))
    for line in sys.stdin:
        first, last = map(int, line.split())
        reasons = [decode_file(tree, plan.names[i], plan.target(pixels, i), plan.fit) for i in range(first, last)]
        pixels.flush()
        print(json.dumps([first, last, reasons]), flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt, BrokenPipeError):
        work(Path(sys.argv[1]))
