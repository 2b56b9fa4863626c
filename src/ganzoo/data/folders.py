"""Folders of images: flat, a sub-folder per class, `train` and `test`, `trainA` and `trainB` for unpaired domains."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ganzoo.data.batches import Dataset
from ganzoo.data.stored import check_count, check_memory, held_out
from ganzoo.errors import UserError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")  # what a file may be, whatever it is called
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
TOLERATED = 20  # one file in so many may be unreadable


class Item(NamedTuple):
    file: Path
    label: str  # the class sub-folder it lies in, "" in a flat folder


class Part(NamedTuple):
    """One domain; `test` is empty where the folder gives no test part."""

    path: Path  # of the train part
    train: list[Item]
    test: list[Item]


def folder(path: Path, *, size: tuple[int, int] | None = None, channels: int | None = None) -> tuple[Dataset, Dataset]:
    """The images of a folder, 64x64 unless `size` (h, w) says otherwise, resized to cover it and cropped at the centre.

    Without `channels` they are grey if every file is, else RGB with transparency laid on white. Images in two or more
    sub-folders are labelled by them. A tenth of each domain is held out where there is no test part. Files that cannot
    be read are named in `skipped` of the train split; more than one in twenty of them is a `UserError`.
    """
    domains = _domains(path)
    files = [item.file for part in domains for item in part.train + part.test]
    images, rows, skipped = _read(path, files, size or (64, 64), channels)
    name, source = path.resolve().name, f"images in {path}"
    splits = [_split(part, rows) for part in domains]

    def stored(items: list[Item]) -> Tensor:
        return images[[rows[item.file] for item in items]]

    if len(splits) == 2:
        a, b = splits
        return (
            Dataset(name, stored(a.train), second=stored(b.train), skipped=skipped, source=source),
            Dataset(name, stored(a.test), second=stored(b.test), source=source),
        )
    (split,) = splits
    classes = sorted({item.label for item in domains[0].train if item.file in rows})  # of the held-out ones too
    if len(classes) == 1:
        return (
            Dataset(name, stored(split.train), skipped=skipped, source=source),
            Dataset(name, stored(split.test), source=source),
        )
    return (
        Dataset(name, stored(split.train), _labels(split.train, classes), tuple(classes), None, skipped, source),
        Dataset(name, stored(split.test), _labels(split.test, classes), tuple(classes), source=source),
    )


def _domains(path: Path) -> list[Part]:
    """The layout of a folder: two parts for unpaired domains, else one."""

    def part(train: str, test: str) -> Part:
        return Part(path / train, _listed(path / train), _listed(path / test) if (path / test).is_dir() else [])

    for pair in (("trainA", "trainB"), ("testA", "testB")):
        there = [name for name in pair if (path / name).is_dir()]
        if len(there) == 1:
            raise UserError(f"{path} has {there[0]} alone: two unpaired domains need both {pair[0]} and {pair[1]}.")
    if (path / "trainA").is_dir():
        return [part("trainA", "testA"), part("trainB", "testB")]
    if (path / "train").is_dir():
        return [part("train", "test")]
    return [Part(path, _listed(path), [])]


def _listed(path: Path) -> list[Item]:
    """The images under a folder, in the order of their names."""
    items = []
    for file in sorted(path.rglob("*"), key=Path.as_posix):
        inner = file.relative_to(path).parts
        hidden = any(part.startswith((".", "__MACOSX")) for part in inner)
        if file.suffix.lower() in EXTENSIONS and not hidden and file.is_file():
            items.append(Item(file, inner[0] if len(inner) > 1 else ""))
    if not items:
        raise UserError(
            f"there are no images in {path}: files ending in {', '.join(EXTENSIONS)} were looked for, "
            f"in it and in its sub-folders."
        )
    labels = {item.label for item in items}
    if "" in labels and len(labels) > 1:
        raise UserError(
            f"{path} has images both directly in it and in sub-folders ({', '.join(sorted(labels)[1:4])}): "
            f"put them all in one place, or all in class sub-folders."
        )
    return items


def _split(part: Part, rows: dict[Path, int]) -> Part:
    """What could be read, with a tenth held out where there is no test part."""
    train, test = ([item for item in items if item.file in rows] for items in (part.train, part.test))
    check_count(str(part.path), len(train))
    if test:
        return Part(part.path, train, test)
    train_rows, test_rows = (places.tolist() for places in held_out(len(train)))
    return Part(part.path, [train[row] for row in train_rows], [train[row] for row in test_rows])


def _labels(items: list[Item], classes: list[str]) -> Tensor:
    unknown = sorted({item.label for item in items} - set(classes))
    if unknown:
        raise UserError(
            f"the test part has the class {unknown[0]!r}, which the train part lacks "
            f"(it has {', '.join(classes[:10])})."
        )
    return torch.tensor([classes.index(item.label) for item in items])


def _read(
    path: Path, files: list[Path], size: tuple[int, int], channels: int | None
) -> tuple[Tensor, dict[Path, int], tuple[str, ...]]:
    """Images uint8 (n, h, w, c), the row of each file that could be read, and the names of those that could not."""
    with warnings.catch_warnings():  # for the whole process, so before the threads start
        warnings.simplefilter("ignore", UserWarning)  # on odd metadata of images that read well
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        channels = channels or (1 if all(map(_is_grey, files)) else 3)
        check_memory(str(path), len(files), size, channels)
        pixels = np.zeros((len(files), *size, channels), np.uint8)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            good = list(pool.map(_decode, files, pixels))
    skipped = tuple(str(file.relative_to(path)) for file, fine in zip(files, good, strict=True) if not fine)
    if len(skipped) > len(files) // TOLERATED:
        more = f" and {len(skipped) - 5} more" if len(skipped) > 5 else ""
        raise UserError(
            f"{len(skipped)} of the {len(files)} images in {path} cannot be read ({', '.join(skipped[:5])}"
            f"{more}): replace or remove them, at most one in {TOLERATED} is passed over."
        )
    rows = {file: row for row, (file, fine) in enumerate(zip(files, good, strict=True)) if fine}
    return torch.from_numpy(pixels), rows, skipped


def _is_grey(file: Path) -> bool:
    """From the header alone. A file that cannot be read has no say."""
    try:
        with Image.open(file, formats=FORMATS) as image:
            return image.mode in ("1", "L", "LA") or image.mode.startswith("I")  # a palette counts as coloured
    except Exception:
        return True


def _decode(file: Path, target: np.ndarray) -> bool:
    """Fills `target`, uint8 (h, w, c); False when the file cannot be read."""
    try:
        with Image.open(file, formats=FORMATS) as image:
            height, width, channels = target.shape
            image.draft(image.mode, (2 * max(height, width),) * 2)  # JPEG decodes faster when made smaller
            upright = _with_channels(ImageOps.exif_transpose(image), channels)
            fitted = ImageOps.fit(upright, (width, height), Image.Resampling.LANCZOS)
            target[:] = np.asarray(fitted).reshape(target.shape)
    except Exception:  # decoders raise errors of all kinds on broken files
        return False
    return True


def open_image(file: Path, channels: int) -> Image.Image:
    """One picture as a person sees it (upright, transparency on white), with so many channels.

    `UserError` if it cannot be read.
    """
    try:
        with Image.open(file, formats=FORMATS) as image:
            return _with_channels(ImageOps.exif_transpose(image), channels)
    except Exception as error:
        raise UserError(f"{file} cannot be read as a picture: give PNG, JPEG, BMP, GIF, WebP or TIFF files.") from error


def _with_channels(image: Image.Image, channels: int) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits, which PIL would clip to 8
        image = Image.fromarray((np.asarray(image).clip(0, 65535) / 257).round().astype(np.uint8))
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    if channels < 4 and image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert(MODES[channels])
