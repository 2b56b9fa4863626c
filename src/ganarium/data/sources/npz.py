"""Reads a `.npz` file of arrays: images, or 2-D points, with or without labels and a test part."""

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganarium.data.arrays import check_count, check_memory, cover, held_out, note_on_absent, with_channels
from ganarium.data.dataset import Dataset
from ganarium.errors import UserError

IMAGES = ("images", "x", "train_images")
LABELS = ("labels", "train_labels")
ROUNDING = 0.01  # by so much a pixel may leave its range
MIN_NEGATIVE = 0.001  # share of pixels below 0 in images that lie in [-1, 1]

Arrays = dict[str, np.ndarray]


def npz(path: Path, *, size: tuple[int, int] | None = None, channels: int | None = None) -> tuple[Dataset, Dataset]:
    """Reads the arrays `images` (or `x`, `train_images`), and `labels` (or `train_labels`) if there are any.

    `test_images` with `test_labels` are the test part, and `class_names` the names of the labels. Images are (n, h, w)
    or (n, h, w, c), uint8 or float in [0, 1] or [-1, 1]; float (n, 2) are points. `size` (h, w) resizes to cover it and
    crops at the centre. A tenth is held out if there are no test images.
    """
    arrays = _read(path)
    images_key = next((key for key in IMAGES if key in arrays), None)
    if images_key is None:
        raise UserError(f"{path} has no array {' or '.join(IMAGES)}, only {', '.join(arrays) or 'nothing'}.")
    labels_key = next((key for key in LABELS if key in arrays), None)
    if "test_images" in arrays and (labels_key is None) != ("test_labels" not in arrays):
        raise UserError(f"{path} has labels for one of its two splits only: give labels and test_labels, or neither.")
    used = {images_key, labels_key, "test_images", "test_labels", "class_names"}
    skipped = tuple(f"the array {key} is not used" for key in arrays if key not in used)
    notes: tuple[str, ...] = ()
    if skipped:
        notes += (f"skipped {len(skipped)} arrays: named in the data of config.json",)
    low = _lowest_level(path, {key: arrays[key] for key in (images_key, "test_images") if key in arrays})
    if low is not None:
        notes += (f"floating-point pixels of {path.name} are taken for [{low}, 1]",)
    train, labels = _images_and_labels(path, arrays, images_key, labels_key, low, size, channels)
    check_count(str(path), len(train))
    if "test_images" in arrays:
        test, test_labels = _images_and_labels(
            path, arrays, "test_images", labels_key and "test_labels", low, size, channels
        )
    else:
        train_places, test_places = held_out(len(train), None if labels is None else labels.tolist())
        test, test_labels = train[test_places], None if labels is None else labels[test_places]
        train, labels = train[train_places], None if labels is None else labels[train_places]
    if train.shape[1:] != test.shape[1:]:
        raise UserError(
            f"{path}: the shape {tuple(test.shape[1:])} of the test images is not that of the others, "
            f"{tuple(train.shape[1:])}."
        )
    names: tuple[str, ...] = ()
    if labels is not None and test_labels is not None:
        names, labels, test_labels = _classes(path, arrays, labels, test_labels)
        counts = torch.bincount(labels, minlength=len(names)).tolist()
        notes += note_on_absent([name for name, count in zip(names, counts, strict=True) if not count])
    return (
        Dataset(path.stem, train, labels, names, skipped=skipped, notes=notes, source=f"arrays in {path}"),
        Dataset(path.stem, test, test_labels, names, source=f"arrays in {path}"),
    )


def _read(path: Path) -> Arrays:
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("it is a single array")
        with file:
            return {key: file[key] for key in file.files}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path} cannot be read as a .npz file of plain arrays ({error}): save it again with numpy.savez."
        ) from error


def _images_and_labels(
    path: Path,
    arrays: Arrays,
    images_key: str,
    labels_key: str | None,
    low: int | None,
    size: tuple[int, int] | None,
    channels: int | None,
) -> tuple[Tensor, Tensor | None]:
    images = _stored(f"{images_key} in {path}", arrays[images_key], low, size, channels)
    labels = None if labels_key is None else _labels(f"{labels_key} in {path}", arrays[labels_key])
    if labels is not None and len(labels) != len(images):
        raise UserError(f"{path} has {len(images)} {images_key} but {len(labels)} {labels_key}: give each one label.")
    return images, labels


def _stored(
    name: str, array: np.ndarray, low: int | None, size: tuple[int, int] | None, channels: int | None
) -> Tensor:
    """Points as float32 (n, 2); images as uint8 (n, h, w, c) of this size and number of channels."""
    if array.ndim == 2 and array.shape[1] == 2 and np.issubdtype(array.dtype, np.floating):
        if size or channels:
            raise UserError(f"{name} are points, which have no {'size' if size else 'channels'}.")
        if not np.isfinite(array).all():
            raise UserError(f"{name} are points that are not all finite.")
        return torch.from_numpy(array.astype(np.float32))
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[3] not in (1, 3, 4) or 0 in array.shape:
        raise UserError(
            f"{name} must have the shape (n, h, w) or (n, h, w, c) with 1, 3 or 4 channels, or (n, 2) as "
            f"floating-point points, not {array.shape}."
        )
    size, channels = size or (array.shape[1], array.shape[2]), channels or array.shape[3]
    check_memory(name, len(array), size, channels)
    return with_channels(cover(torch.from_numpy(_as_bytes(name, array, low)), size), channels)


def _is_points(array: np.ndarray) -> bool:
    return array.ndim == 2 and array.shape[1] == 2 and np.issubdtype(array.dtype, np.floating)


def _lowest_level(path: Path, images: Arrays) -> int | None:
    """The level of black in floating-point images, 0 or -1, for all of them alike; None where there are none.

    One extreme pixel does not decide: what rounding or an FFT leaves below 0 is black. `UserError` if the pixels
    suit neither range.
    """
    floats = {
        key: array for key, array in images.items() if np.issubdtype(array.dtype, np.floating) and not _is_points(array)
    }
    if not floats:
        return None
    for key, array in floats.items():
        low, high = array.min(initial=0), array.max(initial=0)
        if not (low >= -1 - ROUNDING and high <= 1 + ROUNDING):
            extent = f", from {low:g} to {high:g}" if np.isfinite(low + high) else ""
            raise UserError(
                f"{key} in {path} must be uint8, or floating-point in [0, 1] or [-1, 1], not {array.dtype}{extent}."
            )
    count = sum(array.size for array in floats.values())
    negative = sum(int((array < -ROUNDING).sum()) for array in floats.values())
    if 0 < negative < MIN_NEGATIVE * count:
        raise UserError(
            f"{path} has {negative} of {count} pixels below 0, too few for images in [-1, 1] and too far below for "
            f"images in [0, 1]: give them as uint8."
        )
    return -1 if negative else 0


def _as_bytes(name: str, array: np.ndarray, low: int | None) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if low is None or not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"{name} must be uint8, or floating-point in [0, 1] or [-1, 1], not {array.dtype}.")
    unit = (array - low) / (1 - low)
    return (unit * 255).round().clip(0, 255).astype(np.uint8)


def _labels(name: str, array: np.ndarray) -> Tensor:
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise UserError(f"{name} must be whole numbers of shape (n,), not {array.dtype} of shape {array.shape}.")
    if array.min(initial=0) < 0:
        raise UserError(f"{name} must count from 0, but there is {array.min()} among them.")
    return torch.from_numpy(array.astype(np.int64))


def _classes(path: Path, arrays: Arrays, train: Tensor, test: Tensor) -> tuple[tuple[str, ...], Tensor, Tensor]:
    """The names of the classes, and the labels of both splits as places in them.

    Without names the labels themselves are the names, however far apart they lie.
    """
    if "class_names" in arrays:
        names = tuple(map(str, arrays["class_names"].ravel()))
        largest = max(int(train.max()), int(test.max()))
        if len(names) <= largest:
            raise UserError(f"{path} has {len(names)} class_names, but the label {largest}.")
        return names, train, test
    known = train.unique()
    if len(unknown := test[~torch.isin(test, known)]):
        if "test_labels" in arrays:
            raise UserError(f"{path} has the label {int(unknown[0])} in test_labels, which the training labels lack.")
        known = torch.cat([train, test]).unique()
    return tuple(map(str, known.tolist())), torch.searchsorted(known, train), torch.searchsorted(known, test)
