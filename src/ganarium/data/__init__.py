"""Finds and loads data sets by name or path. Listing them needs no torch, which is imported with the first set."""

import dataclasses
import os
import warnings
from contextlib import suppress
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ganarium.data.files.layout import EXTENSIONS
from ganarium.data.files.tree import FolderTree, printable
from ganarium.errors import UserError, nearest

if TYPE_CHECKING:
    from ganarium.data.dataset import Dataset

MAX_SIDE = 8192  # pixels

__all__ = ["list_data", "load_data", "suitable_data"]


class Source(NamedTuple):
    """A function in `sources/` that loads data sets."""

    module: str
    function: str
    description: str
    kinds: tuple[str, ...]  # names of the batch types that can be drawn from it


_PLAIN = ("Images",)
_LABELLED = ("Images", "LabelledImages", "PartlyLabelledImages")
_UNPAIRED = ("UnpairedImages",)
_PAIRED = ("PairedImages", "UnpairedImages")
_CAPTIONED = ("Images", "CaptionedImages")
_PHOTOS = ("Images", "HighResolutionImages")

SOURCES = {
    "mnist": Source("mnist", "mnist", "70,000 handwritten digits, 28 px padded to 32, grey", _LABELLED),
    "fashion_mnist": Source("mnist", "fashion_mnist", "70,000 garments, 28 px padded to 32, grey", _LABELLED),
    "usps": Source("torchvision_sets", "usps", "9,298 handwritten digits from envelopes, 16 px, grey", _LABELLED),
    "cifar10": Source("torchvision_sets", "cifar10", "60,000 photos of ten kinds of objects, 32 px, RGB", _LABELLED),
    "svhn": Source("torchvision_sets", "svhn", "99,289 digits of house numbers, 32 px, RGB", _LABELLED),
    "celeba": Source("torchvision_sets", "celeba", "182,732 aligned faces, 178x218 px cropped to 64, RGB", _PLAIN),
    "stacked_mnist": Source(
        "mnist_variants", "stacked_mnist", "three digits, one in each channel: 1,000 classes, RGB", _LABELLED
    ),
    "mnist_binarised": Source(
        "mnist_variants", "mnist_binarised", "MNIST in black and white, pixels drawn once", _LABELLED
    ),
    "mnist_stochastic": Source(
        "mnist_variants", "mnist_stochastic", "MNIST in black and white, pixels drawn for every batch", _LABELLED
    ),
    "mnist_tinted": Source("mnist_variants", "mnist_tinted", "MNIST, each digit in one of six hues, RGB", _LABELLED),
    "mnist_negative": Source("mnist_variants", "mnist_negative", "MNIST black on white, grey", _LABELLED),
    "mnist_edges": Source("mnist_variants", "mnist_edges", "the outlines of MNIST's digits, grey", _LABELLED),
    "mnist_m": Source("mnist_variants", "mnist_m", "digits on crops of photos, as MNIST-M, RGB", _LABELLED),
    "glyphs": Source("glyphs", "glyphs", "digits and letters drawn from fonts, any size, grey", _LABELLED),
    "glyphs_coloured": Source("textures", "glyphs_coloured", "glyphs on drawn textures, any size, RGB", _LABELLED),
    "scenes_unpaired": Source("scenes", "scenes_unpaired", "drawn shapes in two looks, any size, RGB", _UNPAIRED),
    "scenes_paired": Source(
        "paired_scenes", "scenes_paired", "the same drawn shapes in two looks, any size, RGB", _PAIRED
    ),
    "scenes_captioned": Source(
        "paired_scenes", "scenes_captioned", "drawn shapes with sentences, any size, RGB", _CAPTIONED
    ),
    "textures": Source("textures", "textures", "drawn pictures to cut windows from, any size, RGB", _PHOTOS),
    "ring": Source("points", "ring", "2-D points: eight Gaussians on a circle", _LABELLED),
    "grid": Source("points", "grid", "2-D points: 25 Gaussians on a square grid", _LABELLED),
    "swiss_roll": Source("points", "swiss_roll", "2-D points: a spiral", _PLAIN),
}

TWO_SETS = Source("two_sets", "two_sets", "a source and a target: NAME+NAME", ())
FOLDER = Source("folder", "folder", "a folder or .zip of images, or hf:owner/name", ())
NPZ = Source("npz", "npz", "a .npz file of arrays", ())

# A file or folder that each published set has. A folder with one of them is read by the name of the set.
_PUBLISHED = {
    "MNIST/raw/train-images-idx3-ubyte": "mnist",
    "FashionMNIST/raw/train-images-idx3-ubyte": "fashion_mnist",
    "usps.bz2": "usps",
    "cifar-10-batches-py": "cifar10",
    "train_32x32.mat": "svhn",
    "img_align_celeba": "celeba",
}

# What a user's own data must look like, for each batch type.
OWN_DATA = {
    "Images": "a folder of images",
    "LabelledImages": "a folder with one sub-folder per class",
    "PartlyLabelledImages": "a folder with one sub-folder per class",
    "UnpairedImages": "a folder with trainA and trainB",
    "PairedImages": "a folder of pairs side by side, or with the same names in A and B",
    "HighResolutionImages": "a folder of photos with --layout patches",
    "CaptionedImages": "a folder with captions in metadata.jsonl",
    "SourceTargetImages": "two sets joined by a +, of which the first has labels (my_labelled+my_other)",
}


def list_data() -> dict[str, str]:
    """The built-in data sets, each with a description of one line."""
    return {name: source.description for name, source in SOURCES.items()}


def suitable_data(kind: str) -> list[str]:
    """The built-in data sets from which batches of this type can be drawn, such as `"LabelledImages"`."""
    return [name for name, source in SOURCES.items() if kind in source.kinds]


def load_data(
    name_or_path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    characters: str | None = None,
    fit: str | None = None,
    layout: str | None = None,
    classes: str | None = None,
    passed_over: float | None = None,
    mirror: bool = False,
    kind: type | None = None,
) -> "tuple[Dataset, Dataset]":
    """Loads the train and test split of a built-in set, a folder or `.zip` of images, `hf:owner/name` or a `.npz`.

    Two of these joined by a +, such as `mnist+usps`, are a source domain and a target: see `sources.two_sets`.

    `size` is (height, width) in pixels and `channels` 1, 3 or 4; each source has its own default. `characters` is for
    `glyphs`: `digits`, `letters`, `all` or the characters themselves. `fit` (`crop` or `pad`) and `layout` (`images`,
    `pairs` or `patches`) are for folders: see `sources.folder`; so is `classes`, which says what sub-folders are:
    `folders`, `splits` or `none` (see `files.layout`), and `passed_over`, the share of pictures that may be broken.
    With `mirror`, half of the training images drawn are mirrored left to right. `kind` is the batch type that will be
    drawn.
    Raises `UserError` if the data do not exist, cannot be read, have no such option or do not give `kind`.
    """
    check_options(size, channels, passed_over, characters=characters, fit=fit, layout=layout, classes=classes)
    name_or_path = as_name(name_or_path)
    source, arguments = find_source(name_or_path)
    if kind is not None and source.kinds:
        _check_kind(name_or_path, source.kinds, kind)
    function = function_of(source)
    parameters = signature(function).parameters.items()
    known = [name for name, parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    options: dict[str, Any] = {"size": size, "channels": channels, "characters": characters, "fit": fit}
    options |= {"layout": layout, "classes": classes, "passed_over": passed_over}
    for option, value in options.items():
        if value is not None and option not in known:
            takes = f"it takes {' and '.join(known)}" if known else "it takes none"
            raise UserError(f"the data set {name_or_path} has no option {option!r}: {takes}.")
        if value is not None:
            arguments[option] = value
    train, test = function(**arguments)
    if mirror and len(train.shape) != 3:
        raise UserError(f"the data set {name_or_path} has points, which cannot be mirrored: leave mirror away.")
    if mirror:
        train = dataclasses.replace(train, mirror=True)
    if kind is not None:
        _check_kind(name_or_path, tuple(own_kind.__name__ for own_kind in train.kinds), kind)
    return train, test


def function_of(source: Source) -> Any:
    """The function that loads a source."""
    return getattr(import_module(f"ganarium.data.sources.{source.module}"), source.function)


def halves(name_or_path: str) -> tuple[str, str] | None:
    """The two sets of a name such as `mnist+usps`; None for one set, also one whose path has a +."""
    first, plus, second = name_or_path.partition("+")
    if not plus or name_or_path.startswith("hf:") or Path(name_or_path).exists():
        return None
    if not first or not second or "+" in second:
        raise UserError(f"{name_or_path!r} is no pair of sets: join two names or paths by one +, as in mnist+usps.")
    return first, second


def as_name(name_or_path: str | os.PathLike[str]) -> str:
    """The name or path of a data set as text; `UserError` for nothing and for what is neither."""
    name = os.fspath(name_or_path) if isinstance(name_or_path, os.PathLike) else name_or_path
    if not isinstance(name, str) or not name:
        raise UserError(
            f'data must be a set that `ganarium list` names, or the path of a folder, as in "my_photos", not {name!r}.'
        )
    return name


def check_options(
    size: tuple[int, int] | None, channels: int | None, passed_over: float | None, **words: str | None
) -> None:
    """`UserError` unless the size is two positive whole numbers, the number of channels 1, 3 or 4, and `passed_over` a
    share; the other options by their names are words. None says that an option is not given."""
    if size is not None and not (
        isinstance(size, (tuple, list)) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)
    ):
        raise UserError(f"size must be a height and a width of at least 1 pixel, not {size!r}.")
    if size is not None and max(size) > MAX_SIDE:
        raise UserError(
            f"size must be at most {MAX_SIDE} pixels a side, not {size[0]}x{size[1]}: use a smaller --size."
        )
    if channels is not None and (type(channels) is not int or channels not in (1, 3, 4)):
        raise UserError(f"channels must be 1 (grey), 3 (RGB) or 4 (RGBA), not {channels!r}.")
    if passed_over is not None and (type(passed_over) not in (int, float) or not 0 <= passed_over < 1):
        raise UserError(f"passed_over is a share of the pictures, from 0 to below 1, not {passed_over!r}.")
    for option, word in words.items():
        if word is not None and not isinstance(word, str):
            raise UserError(f"{option} must be a word, not {word!r}.")


def find_source(name_or_path: str) -> tuple[Source, dict[str, Any]]:
    """The source of a name or path, and the arguments of its function."""
    if name_or_path in SOURCES:
        same = Path(name_or_path)
        if same.is_dir() and any(same.iterdir()) and not (same / "config.json").exists():  # nothing, or a run
            warnings.warn(
                f"{name_or_path} is the built-in set; the folder of that name is --data ./{name_or_path}.", stacklevel=2
            )
        return SOURCES[name_or_path], {}
    if both := halves(name_or_path):
        return TWO_SETS, {"source": both[0], "target": both[1]}
    if name_or_path.startswith("hf:"):
        return FOLDER, {"path": name_or_path}
    try:
        name_or_path.encode()
    except UnicodeEncodeError:
        raise UserError(
            f"the path {printable(name_or_path)} is no UTF-8 text, in which a run would be written down: rename it."
        ) from None
    path = Path(name_or_path)
    with suppress(RuntimeError):  # ~ without a home, or of a user who does not exist
        path = path.expanduser()
    if path.is_dir():
        for file, name in _PUBLISHED.items():
            if (path / file).exists() or (path / f"{file}.gz").exists():
                raise UserError(
                    f"{path} is a published set that has a name: use --data {name} with "
                    f"GANARIUM_DATA={os.path.relpath(path.parent)}."
                )
        arrays = list(path.glob("*.npz"))
        if len(arrays) == 1 and not any(name.lower().endswith(EXTENSIONS) for name in FolderTree(path).names):
            return NPZ, {"path": arrays[0]}
        return FOLDER, {"path": path}
    if path.is_file() and path.suffix.lower() == ".npz":
        return NPZ, {"path": path}
    if path.is_file() and path.suffix.lower() == ".zip":
        return FOLDER, {"path": path}
    if path.exists():
        raise UserError(
            f"{path} is neither a folder of images nor a .zip or .npz file: data is one of these, "
            f"or a name among {', '.join(sorted(SOURCES))}."
        )
    raise UserError(
        f"there is no data set {name_or_path!r}, nor a folder of images, .zip or .npz file at that path: "
        f"{nearest(name_or_path, SOURCES)}"
    )


def _check_kind(name: str, kinds: tuple[str, ...], kind: type) -> None:
    """`UserError` with data that would do, unless `kind` is among the batch types of the set."""
    if kind.__name__ not in kinds:
        remedies = [*suitable_data(kind.__name__), OWN_DATA.get(kind.__name__, "")]
        remedies = remedies if len(remedies) > 1 else ["mnist+usps", *remedies]
        raise UserError(
            f"the data set {name} gives {' or '.join(kinds)}, not {kind.__name__}: "
            f"use {', '.join(filter(None, remedies[:-1]))} or {remedies[-1]}."
        )
