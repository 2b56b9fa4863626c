"""Pictures of a folder, of a `.zip` or of a hub's data set, in any of the layouts that `files.layout` describes."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganarium.data.arrays import FEWEST, check_count, held_out
from ganarium.data.dataset import Dataset, Photos
from ganarium.data.files.decode import FORMATS, Header, as_seen, header, reason
from ganarium.data.files.decode_cache import Decoded, decode_all
from ganarium.data.files.layout import EXTENSIONS, LAYOUTS, Layout, Part, find_layout
from ganarium.data.files.open import open_tree
from ganarium.data.files.tree import FolderTree, Tree, shown
from ganarium.errors import UserError, nearest

FITS = ("crop", "pad")
TOLERATED = 20  # one file in so many may be unreadable


def folder(
    path: Path | str,
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    fit: str | None = None,
    layout: str | None = None,
) -> tuple[Dataset, Dataset]:
    """The pictures of a folder or archive, 64x64 unless `size` (h, w) says otherwise.

    `fit` is "crop" (resized to cover the size, cropped at the middle; the default) or "pad" (resized to lie within it,
    black around). Without `channels` they are grey if every file is, else RGB with transparency laid on white.
    `layout` is "images", "pairs" (two pictures side by side in each file) or "patches" (windows of `size` are cut from
    photos at their full resolution); by default it is found, and files that are all twice as wide as high are taken
    for pairs. A tenth of each domain is held out where there is no test part. Files that cannot be used are named, with
    the reason, in `skipped` of the train split; more than one in twenty of them is a `UserError`.
    """
    check_words(fit, layout)
    return from_tree(open_tree(path), size=size, channels=channels, fit=fit or "crop", layout=layout)


def check_words(fit: str | None, layout: str | None) -> None:
    """`UserError` for a fit or a layout that there is not."""
    for word, value, known in (("fit", fit, FITS), ("layout", layout, LAYOUTS)):
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
    first, second = _built(tree, Layout([Part(train, test)]), size, channels, "crop")
    return (
        dataclasses.replace(first, name=name, source=source or first.source),
        dataclasses.replace(second, name=name, source=source or second.source),
    )


def from_tree(
    tree: Tree, *, size: tuple[int, int] | None, channels: int | None, fit: str, layout: str | None
) -> tuple[Dataset, Dataset]:
    found = find_layout(tree, layout)
    for part in found.parts:
        check_count(tree.where, len(part.train))
        if not part.test:
            train, test = (places.tolist() for places in held_out(len(part.train)))
            part.train, part.test = [part.train[i] for i in train], [part.train[i] for i in test]
    if found.paired and len(found.parts) == 2:
        _matched(found)
    names = [name for part in found.parts for name in part.train + part.test]
    if channels is None:
        channels = 1 if all(head is None or head.grey for head in headers(tree, names)) else 3
    size = size or (64, 64)
    if layout == "patches":
        return _photos(tree, found, size, channels)
    plain = len(found.parts) == 1 and not found.labels and not found.captions
    side_by_side = layout == "pairs" and plain
    if layout is None and plain:
        side_by_side = all(head is None or head.width == 2 * head.height for head in headers(tree, names))
    return _built(tree, found, size, channels, fit, side_by_side)


def _built(
    tree: Tree, found: Layout, size: tuple[int, int], channels: int, fit: str, side_by_side: bool = False
) -> tuple[Dataset, Dataset]:
    """The two splits, decoded in one go."""
    names = [name for part in found.parts for name in part.train + part.test]
    shape = (2, *size, channels) if side_by_side else (*size, channels)
    made = decode_all(tree, names, [shape], fit)
    skipped = passed_over(tree, names, made.reasons, found.unread)
    bad = {name for name, why in zip(names, made.reasons, strict=True) if why}
    if found.paired and len(found.parts) == 2:  # a pair goes whole
        a, b = (part.train + part.test for part in found.parts)
        bad |= {name for pair in zip(a, b, strict=True) if bad & set(pair) for name in pair}
    rows = made.pixels.view(len(names), *shape)
    start, domains = 0, []
    for part in found.parts:
        splits = []
        for own in (part.train, part.test):
            splits.append(_kept(rows[start : start + len(own)], own, bad))
            start += len(own)
        domains.append(splits)
    classes = sorted(
        {found.labels[name] for split in domains[0] for name in split[1]} if found.labels else (),
        key=lambda text: (not text.isdecimal(), int(text) if text.isdecimal() else 0, text),
    )
    what = "pairs side by side" if side_by_side else "pairs" if found.paired else "images"
    result = []
    for place in (0, 1):
        images, kept = domains[0][place]
        if place == 0:
            check_count(tree.where, len(kept), FEWEST - 1)  # one may be held out
        result.append(
            Dataset(
                shown(tree.title),
                images[:, 0] if side_by_side else images,
                _labels(kept, found.labels, classes),
                tuple(map(shown, classes)),
                images[:, 1] if side_by_side else domains[1][place][0] if len(domains) == 2 else None,
                skipped if place == 0 else (),
                f"{what} in {tree.where}",
                paired=side_by_side or found.paired,
                captions=tuple(found.captions[name] for name in kept) if found.captions else None,
                mapped=made.mapped,
                digest=f"{made.digest}-{place}" if made.mapped else "",
            )
        )
    return result[0], result[1]


def _photos(tree: Tree, found: Layout, size: tuple[int, int], channels: int) -> tuple[Dataset, Dataset]:
    """Photos at their full size; those smaller than a window are skipped."""
    if len(found.parts) > 1:
        raise UserError(f"{tree.where} has two domains, and patches are cut from one folder of photos: give one.")
    part = found.parts[0]
    names = part.train + part.test
    heads = list(headers(tree, names))
    small = "is smaller than a window"
    whys = ["" if head is None or (head.height >= size[0] and head.width >= size[1]) else small for head in heads]
    shapes = [
        (head.height, head.width, channels) if head and not why else (0, 0, channels)
        for head, why in zip(heads, whys, strict=True)
    ]
    made = decode_all(tree, names, shapes, "exact")
    pairs = zip(whys, made.reasons, strict=True)
    reasons = [why or late for why, late in pairs]
    made = Decoded(made.pixels, reasons, made.mapped, made.digest)
    skipped = passed_over(tree, names, reasons, found.unread)
    areas = torch.tensor([height * width for height, width, _ in shapes])
    starts = areas.cumsum(0) - areas
    places = [i for i, why in enumerate(reasons) if not why]
    result = []
    for split, own in enumerate(([i for i in places if i < len(part.train)], places)):
        own = own if split == 0 else [i for i in own if i >= len(part.train)]
        if split == 0:
            check_count(tree.where, len(own), FEWEST - 1)
        photos = Photos(
            made.pixels,
            torch.tensor([shapes[i][0] for i in own]),
            torch.tensor([shapes[i][1] for i in own]),
            size,
            channels,
            starts[own],
        )
        middles = photos.cut(torch.arange(len(own)))
        result.append(
            Dataset(
                shown(tree.title),
                middles,
                skipped=skipped if split == 0 else (),
                source=f"photos in {tree.where}",
                photos=photos,
                mapped=made.mapped,
                digest=f"{made.digest}-{split}" if made.mapped else "",
            )
        )
    return result[0], result[1]


def headers(tree: Tree, names: Sequence[str]) -> Iterator[Header | None]:
    """The header of each file in turn, read ahead by threads; None where it is no picture."""

    def read(name: str) -> Header | None:
        try:
            with tree.open(name) as handle:
                return header(handle)
        except Exception:  # it is named when it is decoded
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for first in range(0, len(names), 256):
            yield from pool.map(read, names[first : first + 256])


def picture_files(paths: Sequence[str]) -> list[Path]:
    """Files as they are named, and all pictures of a folder in the order of their names. `UserError` for what is not
    there, and for a folder without pictures."""
    found = []
    for path in map(Path, paths):
        if not path.exists():
            raise UserError(f"{path} is not there: give picture files, or a folder of them.")
        if path.is_dir():
            names = [name for name in open_tree(path).names if name.lower().endswith(EXTENSIONS)]
            if not names:
                raise UserError(f"there are no pictures in {path}: files ending in {', '.join(EXTENSIONS)}.")
            found += [path / name for name in names]
        else:
            found.append(path)
    return found


def open_image(file: Path, channels: int) -> Image.Image:
    """One picture as a person sees it (upright, transparency on white), with so many channels.

    `UserError` if it cannot be read.
    """
    try:
        with Image.open(file, formats=FORMATS) as image:
            return as_seen(image, channels)
    except Exception as error:
        raise UserError(f"{file} {reason(error)}: give PNG, JPEG, BMP, GIF, WebP or TIFF files.") from error


def _matched(found: Layout) -> None:
    """Orders two paired domains alike, and holds out the same scenes."""
    a, b = found.parts

    def by_stem(names: list[str]) -> list[str]:
        return sorted(names, key=lambda name: name.rsplit(".", 1)[0])

    both = [(by_stem(one.train + one.test), len(one.train)) for one in (a, b)]
    train = {both[0][0].index(name) for name in a.train}
    for part, (names, _) in zip((a, b), both, strict=True):
        part.train = [name for place, name in enumerate(names) if place in train]
        part.test = [name for place, name in enumerate(names) if place not in train]


def _kept(rows: Tensor, names: list[str], bad: set[str]) -> tuple[Tensor, list[str]]:
    """The rows and names of the good files. Nothing is copied but the last good rows, into the places of bad ones."""
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


def passed_over(tree: Tree, names: list[str], reasons: list[str], unread: list[str]) -> tuple[str, ...]:
    """What was passed over and why; `UserError` if it is more than one in twenty."""
    skipped = [f"{shown(name)} {why}" for name, why in zip(names, reasons, strict=True) if why]
    skipped.sort()
    if len(skipped) > len(names) // TOLERATED:
        more = f"; and {len(skipped) - 5} more" if len(skipped) > 5 else ""
        crops = np.mean(["shows almost nothing" in line for line in skipped]) > 0.5
        way = "use --fit pad, or a --size of their proportions" if crops else "replace or remove them"
        raise UserError(
            f"{len(skipped)} of the {len(names)} images in {tree.where} cannot be used ({'; '.join(skipped[:5])}"
            f"{more}): {way}; at most one in {TOLERATED} is passed over."
        )
    return tuple(skipped + [f"{shown(name)} is of a format that is not read" for name in unread])
