"""Reads pictures of a folder, of a `.zip` or of a data set of the hub, in the layouts that `files.layout` knows."""

import dataclasses
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganarium.data.arrays import MIN_IMAGES, check_count, held_out, note_on_absent
from ganarium.data.dataset import Dataset, Photos
from ganarium.data.files.decode import FORMATS, Header, as_displayed, header, reason
from ganarium.data.files.decode_cache import decode_all
from ganarium.data.files.layout import (
    CLASSES,
    EXTENSIONS,
    LAYOUTS,
    PASSED_OVER,
    Domain,
    Layout,
    find_layout,
    lines_of_left_out,
    summary_of_left_out,
)
from ganarium.data.files.open import open_tree
from ganarium.data.files.tree import FolderTree, Tree, printable, same_form
from ganarium.errors import UserError, nearest

FITS = ("crop", "pad")


def folder(
    path: Path | str,
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    fit: str | None = None,
    layout: str | None = None,
    classes: str | None = None,
    passed_over: float = PASSED_OVER,
) -> tuple[Dataset, Dataset]:
    """The train and the test split of the pictures in a folder or archive; 64x64 unless `size` (h, w) is given.

    `fit` is "crop" (resized to cover the size, cropped at the middle; the default) or "pad" (resized to lie within it,
    black around). Without `channels` they are grey if every file is, else RGB with transparency laid on white. `layout`
    is "images", "pairs" (two pictures side by side in each file) or "patches" (windows of `size` are cut from photos at
    their full resolution). Without it the layout is found from the names, and files that are all twice as wide as high
    are taken for pairs. `classes` says what sub-folders are: see `files.layout.find_layout`. A tenth of each domain is
    held out if there is no test part. Files that cannot be used are named, with the reason, in `skipped` of the train
    split. If they are more than a share `passed_over` of the pictures, this raises `UserError`.
    """
    check_choices(fit, layout, classes)
    return from_tree(
        open_tree(path),
        size=size,
        channels=channels,
        fit=fit or "crop",
        layout=layout,
        classes=classes,
        passed_over=passed_over,
    )


def check_choices(fit: str | None, layout: str | None, classes: str | None) -> None:
    """`UserError` for a fit, a layout or a reading of classes that does not exist."""
    for word, value, known in (("fit", fit, FITS), ("layout", layout, LAYOUTS), ("classes", classes, CLASSES)):
        if value is not None and value not in known:
            raise UserError(f"there is no {word} {value!r}: {nearest(value, known)}")


def from_files(
    name: str,
    train_files: Sequence[Path],
    test_files: Sequence[Path],
    *,
    size: tuple[int, int],
    channels: int,
    source: str = "",
) -> tuple[Dataset, Dataset]:
    """Plain images from two lists of files, cropped to `size` (h, w); memory and errors as in `folder`."""
    root = Path(os.path.commonpath([*train_files, *test_files]))
    train, test = ([file.relative_to(root).as_posix() for file in files] for files in (train_files, test_files))
    tree = FolderTree(root, [*train, *test])
    first, second = _decoded_splits(tree, Layout([Domain(train, test)]), size, channels, "crop")
    return (
        dataclasses.replace(first, name=name, source=source or first.source),
        dataclasses.replace(second, name=name, source=source or second.source),
    )


def from_tree(
    tree: Tree,
    *,
    size: tuple[int, int] | None,
    channels: int | None,
    fit: str,
    layout: str | None,
    classes: str | None = None,
    passed_over: float = PASSED_OVER,
) -> tuple[Dataset, Dataset]:
    """The two splits of a tree of pictures; see `folder`."""
    files = find_layout(tree, layout, classes)
    files.passed_over = passed_over
    for domain in files.domains:
        check_count(tree.location, len(domain.train))
        if not domain.test:
            labels = [files.labels[name] for name in domain.train] if files.labels else None
            train, test = (places.tolist() for places in held_out(len(domain.train), labels))
            domain.train, domain.test = [domain.train[i] for i in train], [domain.train[i] for i in test]
    if files.paired and len(files.domains) == 2:
        _match_pairs(files)
    names = [name for domain in files.domains for name in domain.train + domain.test]
    if channels is None:
        channels = 1 if all(head is None or head.grey for head in headers(tree, names)) else 3
    size = size or (64, 64)
    if layout == "patches":
        return _photos(tree, files, size, channels)
    plain = len(files.domains) == 1 and not files.labels and not files.captions
    side_by_side = layout == "pairs" and plain
    if layout is None and plain:
        side_by_side = all(head is None or head.width == 2 * head.height for head in headers(tree, names))
    return _decoded_splits(tree, files, size, channels, fit, side_by_side)


def _decoded_splits(
    tree: Tree, files: Layout, size: tuple[int, int], channels: int, fit: str, side_by_side: bool = False
) -> tuple[Dataset, Dataset]:
    """The two splits, with all files decoded in one go."""
    names = [name for domain in files.domains for name in domain.train + domain.test]
    shape = (2, *size, channels) if side_by_side else (*size, channels)
    decoded = decode_all(tree, names, [shape], fit)
    bad = {name for name, reason in zip(names, decoded.reasons, strict=True) if reason}
    if files.paired and len(files.domains) == 2:  # without one picture of a pair the other goes too
        a, b = (domain.train + domain.test for domain in files.domains)
        partners = {name for pair in zip(a, b, strict=True) if bad & set(pair) for name in pair} - bad
        files.left_out += [(name, "is the partner of a picture that cannot be used") for name in sorted(partners)]
        bad |= partners
    skipped, notes = skipped_files(tree, names, decoded.reasons, files)
    rows = decoded.pixels.view(len(names), *shape)
    start, domains = 0, []  # for each domain its two splits, each as images and names
    for domain in files.domains:
        splits = []
        for split in (domain.train, domain.test):
            splits.append(_without_bad(rows[start : start + len(split)], split, bad))
            start += len(split)
        domains.append(splits)
    classes = sorted(
        {files.labels[name] for _, split in domains[0] for name in split} if files.labels else (),
        key=lambda text: (not text.isdecimal(), int(text) if text.isdecimal() else 0, text),
    )
    present = {files.labels[name] for name in domains[0][0][1] if files.labels}
    notes += note_on_absent([printable(name) for name in classes if name not in present])
    what = "pairs side by side" if side_by_side else "pairs" if files.paired else "images"
    result = []
    for place in (0, 1):
        images, split_names = domains[0][place]
        if place == 0:
            check_count(tree.location, len(split_names), MIN_IMAGES - 1)  # one may be held out
        result.append(
            Dataset(
                printable(tree.title),
                images[:, 0] if side_by_side else images,
                _labels(split_names, files.labels, classes),
                tuple(map(printable, classes)),
                images[:, 1] if side_by_side else domains[1][place][0] if len(domains) == 2 else None,
                skipped if place == 0 else (),
                notes if place == 0 else (),
                f"{what} in {tree.location}",
                paired=side_by_side or files.paired,
                captions=tuple(files.captions[name] for name in split_names) if files.captions else None,
                mapped=decoded.mapped,
                digest=f"{decoded.digest}-{place}" if decoded.mapped else "",
            )
        )
    return result[0], result[1]


def _photos(tree: Tree, files: Layout, size: tuple[int, int], channels: int) -> tuple[Dataset, Dataset]:
    """The two splits of photos at their full size. Photos smaller than a window are skipped."""
    if len(files.domains) > 1:
        raise UserError(f"{tree.location} has two domains, and patches are cut from one folder of photos: give one.")
    domain = files.domains[0]
    names = domain.train + domain.test
    heads = list(headers(tree, names))
    small = [head is not None and (head.height < size[0] or head.width < size[1]) for head in heads]
    shapes = [
        (0, 0, channels) if head is None or too_small else (head.height, head.width, channels)
        for head, too_small in zip(heads, small, strict=True)
    ]
    decoded = decode_all(tree, names, shapes, "exact")
    reasons = [
        "is smaller than a window" if too_small else reason
        for too_small, reason in zip(small, decoded.reasons, strict=True)
    ]
    skipped, notes = skipped_files(tree, names, reasons, files)
    areas = torch.tensor([height * width for height, width, _ in shapes])
    starts = areas.cumsum(0) - areas
    good = [i for i, reason in enumerate(reasons) if not reason]
    num_train = len(domain.train)
    train, test = [i for i in good if i < num_train], [i for i in good if i >= num_train]
    check_count(tree.location, len(train), MIN_IMAGES - 1)  # one may be held out
    result = []
    for place, split in enumerate((train, test)):
        photos = Photos(
            decoded.pixels,
            torch.tensor([shapes[i][0] for i in split]),
            torch.tensor([shapes[i][1] for i in split]),
            size,
            channels,
            starts[split],
        )
        middles = photos.cut(torch.arange(len(split)))
        result.append(
            Dataset(
                printable(tree.title),
                middles,
                skipped=skipped if place == 0 else (),
                notes=notes if place == 0 else (),
                source=f"photos in {tree.location}",
                photos=photos,
                mapped=decoded.mapped,
                digest=f"{decoded.digest}-{place}" if decoded.mapped else "",
            )
        )
    return result[0], result[1]


def headers(tree: Tree, names: Sequence[str]) -> Iterator[Header | None]:
    """The header of each file in turn, read ahead by threads; None for a file that is no picture."""

    def read(name: str) -> Header | None:
        try:
            with tree.open(name) as handle:
                return header(handle)
        except Exception:  # decoding will name the file and the reason
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for first in range(0, len(names), 256):
            yield from pool.map(read, names[first : first + 256])


def picture_files(paths: Sequence[str]) -> list[Path]:
    """These files, and of a folder all pictures in the order of their names.

    Raises `UserError` for a path that does not exist, and for a folder without pictures.
    """
    files = []
    for path in map(Path, paths):
        if not path.exists():
            raise UserError(f"{path} is not there: give picture files, or a folder of them.")
        if path.is_dir():
            names = [name for name in open_tree(path).names if name.lower().endswith(EXTENSIONS)]
            if not names:
                raise UserError(f"there are no pictures in {path}: files ending in {', '.join(EXTENSIONS)}.")
            files += [path / name for name in names]
        else:
            files.append(path)
    return files


def open_image(file: Path, channels: int) -> Image.Image:
    """One picture as a person sees it (upright, transparency on white), with this number of channels.

    Raises `UserError` if it cannot be read.
    """
    try:
        with Image.open(file, formats=FORMATS) as image:
            return as_displayed(image, channels)
    except Exception as error:
        raise UserError(f"{file} {reason(error)}: give PNG, JPEG, BMP, GIF, WebP or TIFF files.") from error


def _match_pairs(files: Layout) -> None:
    """Brings two paired domains into the same order, with the same scenes held out."""
    a, b = files.domains

    def by_stem(names: list[str]) -> list[str]:
        return sorted(names, key=lambda name: same_form(name.rsplit(".", 1)[0]))

    names_a, names_b = by_stem(a.train + a.test), by_stem(b.train + b.test)
    train = {names_a.index(name) for name in a.train}
    for domain, names in ((a, names_a), (b, names_b)):
        domain.train = [name for place, name in enumerate(names) if place in train]
        domain.test = [name for place, name in enumerate(names) if place not in train]


def _without_bad(rows: Tensor, names: list[str], bad: set[str]) -> tuple[Tensor, list[str]]:
    """The rows and the names of the good files.

    The rows may be too large to be copied: the last good ones are moved into the places of bad ones.
    """
    names = list(names)
    for place in reversed(range(len(names))):
        if names[place] in bad:
            last = names.pop()
            if place < len(names):
                rows[place] = rows[len(names)]
                names[place] = last
    return rows[: len(names)], names


def _labels(names: list[str], labels: dict[str, str], classes: list[str]) -> Tensor | None:
    if not labels:
        return None
    places = {label: place for place, label in enumerate(classes)}
    return torch.tensor([places[labels[name]] for name in names])


def skipped_files(
    tree: Tree, names: list[str], reasons: list[str], files: Layout
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All that is not used, each entry with the reason, and a note of how much that is.

    `UserError` if more than a share `files.passed_over` of the pictures cannot be used.
    """
    skipped = [f"{printable(name)} {reason}" for name, reason in zip(names, reasons, strict=True) if reason]
    skipped.sort()
    if len(skipped) > int(files.passed_over * len(names)):
        more = f"; and {len(skipped) - 5} more" if len(skipped) > 5 else ""
        crops = np.mean(["shows almost nothing" in line for line in skipped]) > 0.5
        remedy = "use --fit pad, or a --size of their proportions" if crops else "replace or remove them"
        raise UserError(
            f"{len(skipped)} of the {len(names)} images in {tree.location} cannot be used ({'; '.join(skipped[:5])}"
            f"{more}): {remedy}; at most {files.passed_over:.0%} are passed over, unless --passed-over "
            f"{math.ceil(100 * len(skipped) / len(names)) / 100:g} allows more."
        )
    summary = summary_of_left_out(len(skipped), files.left_out)
    notes = (f"skipped {summary}: named in the data of config.json",) if summary else ()
    return (*skipped, *lines_of_left_out(files.left_out)), notes
