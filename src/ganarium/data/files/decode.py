"""Decodes picture files as a person sees them and fits them to a size. No torch, so that a worker starts at once.

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
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

from ganarium.data.files.open import open_tree
from ganarium.data.files.tree import Tree

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # that are read; the name of a file does not matter
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
MIN_CROP = 0.25  # a crop that shows a smaller share of a picture is refused
# Generators of images write their whole workflow into a PNG; Pillow would refuse more than 1 MiB of it.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 256 * 2**20


class UnusablePicture(ValueError):
    """A picture that can be read but not used; the message says why."""


class EmptyFile(ValueError):
    """A file without bytes."""


class Header(NamedTuple):
    """What the first bytes of a file say, with the picture turned upright."""

    height: int
    width: int
    grey: bool
    format: str
    mode: str
    transparent: bool


def header(handle: BinaryIO) -> Header:
    """The header of a picture. Raises one of the many errors of `PIL.Image.open` if it is no picture: see `reason`."""
    with Image.open(handle, formats=FORMATS) as image:
        width, height = image.size
        if _orientation(image) in (5, 6, 7, 8) and not _is_turned(image):
            width, height = height, width
        grey = image.mode in ("1", "L", "LA") or image.mode.startswith("I")  # a palette counts as coloured
        return Header(height, width, grey, image.format or "", image.mode, image.has_transparency_data)


def decode(handle: BinaryIO, target: np.ndarray, fit: str) -> None:
    """Decodes one picture into `target`, uint8 (h, w, c), or two that lie side by side in it into (2, h, w, c).

    `fit` is "crop" (resized until it covers the target, cropped at the middle), "pad" (resized until it lies within,
    black around it) or "exact" (must have the target's size). Raises whatever a broken file makes PIL raise, and
    `UnusablePicture`.
    """
    *_, height, width, channels = target.shape
    with Image.open(handle, formats=FORMATS) as image:
        if fit != "exact" and target.ndim == 3:
            image.draft(image.mode, (2 * max(height, width),) * 2)  # JPEG decodes faster when made smaller
        picture = as_displayed(image, channels)
    if target.ndim == 3:
        target[:] = fit_picture(picture, (height, width), fit).reshape(target.shape)
        return
    middle = picture.width // 2
    for half, left in zip(target, (0, picture.width - middle), strict=True):
        part = picture.crop((left, 0, left + middle, picture.height))
        half[:] = fit_picture(part, (height, width), fit).reshape(half.shape)


def fit_picture(picture: Image.Image, size: tuple[int, int], fit: str) -> np.ndarray:
    """The picture as uint8 (h, w) or (h, w, c) of `size` (h, w), never stretched; `fit` as in `decode`."""
    height, width = size
    if fit == "exact":
        if picture.size != (width, height):
            raise UnusablePicture(f"is {picture.height}x{picture.width} and not {height}x{width}")
        return np.asarray(picture)
    if fit == "pad":
        return np.asarray(ImageOps.pad(picture, (width, height), Image.Resampling.LANCZOS))
    aspect, target_aspect = picture.width / picture.height, width / height
    if min(aspect / target_aspect, target_aspect / aspect) < MIN_CROP:
        raise UnusablePicture(
            f"is {picture.height}x{picture.width}, of which a crop to {height}x{width} shows almost nothing"
        )
    return np.asarray(ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS))


def as_displayed(image: Image.Image, channels: int) -> Image.Image:
    """The picture upright, with this number of channels. Transparency is laid on white, 16 bits become 8."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits, which PIL would clip to 8
        image = Image.fromarray((np.asarray(image).clip(0, 65535) / 257).round().astype(np.uint8))
    if image.mode == "F":
        raise UnusablePicture("has floating-point pixels, whose range is unknown")
    if image.mode in ("CMYK", "RGB", "RGBA") and image.info.get("icc_profile"):
        with suppress(ImageCms.PyCMSError, OSError):  # a broken profile: the plain conversion below
            image = _in_srgb(image)
    if channels < 4 and image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert(MODES[channels])


def _in_srgb(image: Image.Image) -> Image.Image:
    """The colours that the picture's own profile means, as those of sRGB, which a screen is taken to have."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    if image.mode != "CMYK" and "srgb" in ImageCms.getProfileDescription(profile).casefold():
        return image
    if image.mode == "RGB" and image.has_transparency_data:
        image = image.convert("RGBA")
    mode = "RGB" if image.mode == "CMYK" else image.mode
    return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode=mode) or image


def reason(error: Exception) -> str:
    """Why a file cannot be used, in words that follow its name in a sentence."""
    if isinstance(error, UnusablePicture):
        return str(error)
    if isinstance(error, Image.DecompressionBombError):
        return f"has more than {2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6} million pixels"
    if isinstance(error, EmptyFile):
        return "is empty"
    if isinstance(error, UnidentifiedImageError):
        return "is no picture that can be read (PNG, JPEG, BMP, GIF, WebP or TIFF)"
    if isinstance(error, PermissionError):
        return "may not be read"
    if isinstance(error, FileNotFoundError):
        return "is gone"
    return "is damaged or cut short"


def decode_file(tree: Tree, name: str, target: np.ndarray, fit: str) -> str:
    """Decodes one file of a tree as `decode` does; gives "", or the reason why it could not."""
    try:
        with tree.open(name) as handle:
            if not handle.read(1):
                raise EmptyFile
            handle.seek(0)
            decode(handle, target, fit)
    except Exception as error:  # decoders raise errors of all kinds on broken files
        target[:] = 0
        return reason(error)
    return ""


def silence_warnings() -> None:
    """Turns off warnings about odd metadata of pictures that decode well, and about large pictures that are allowed."""
    warnings.filterwarnings("ignore", module="PIL")
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def _orientation(image: Image.Image) -> int:
    with suppress(Exception):  # broken metadata of a picture that may read well
        return int(image.getexif().get(0x0112, 1))
    return 1


def _is_turned(image: Image.Image) -> bool:
    """Whether Pillow has turned the picture upright itself, as it does with TIFF files."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    return bool(
        image.size != (image.tag_v2.get(TiffImagePlugin.IMAGEWIDTH), image.tag_v2.get(TiffImagePlugin.IMAGELENGTH))
    )


class Plan(NamedTuple):
    """Says which files of a tree are decoded to which places of one flat array of bytes."""

    tree: str  # its location
    names: Sequence[str]
    shapes: Sequence[Sequence[int]]  # of the target of each file, or one shape for all
    starts: Sequence[int]  # of each target in the array; empty if all have one shape
    fit: str

    def target(self, pixels: np.ndarray, place: int) -> np.ndarray:
        """The part of the array for the file with this place in `names`."""
        shape = tuple(self.shapes[place if len(self.shapes) > 1 else 0])
        count = int(np.prod(shape))
        start = self.starts[place] if self.starts else place * count
        return pixels[start : start + count].reshape(shape)


def work(folder: Path) -> None:
    """The worker: decodes the blocks of files ("first last") that standard input names, and prints which failed."""
    silence_warnings()
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
