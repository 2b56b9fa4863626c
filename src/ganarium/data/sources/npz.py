"""Reads a `.npz` file of arrays: images, or 2-D points, with or without labels and a test part."""

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganarium.data.arrays import check_count, check_memory, cover, held_out, with_channels
from ganarium.data.dataset import Dataset
from ganarium.errors import UserError

IMAGES = ("images", "x", "train_images")
LABELS = ("labels", "train_labels")

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
    train, labels = _images_and_labels(path, arrays, images_key, labels_key, size, channels)
    check_count(str(path), len(train))
    if "test_images" in arrays:
        test, test_labels = _images_and_labels(
            path, arrays, "test_images", labels_key and "test_labels", size, channels
        )
    else:
        train_places, test_places = held_out(len(train))
        test, test_labels = train[test_places], None if labels is None else labels[test_places]
        train, labels = train[train_places], None if labels is None else labels[train_places]
    if train.shape[1:] != test.shape[1:]:
        raise UserError(
            f"{path}: the shape {tuple(test.shape[1:])} of the test images is not that of the others, "
            f"{tuple(train.shape[1:])}."
        )
    names = _class_names(path, arrays, [part for part in (labels, test_labels) if part is not None])
    return (
        Dataset(path.stem, train, labels, names, source=f"arrays in {path}"),
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
    size: tuple[int, int] | None,
    channels: int | None,
) -> tuple[Tensor, Tensor | None]:
    images = _stored(f"{images_key} in {path}", arrays[images_key], size, channels)
    labels = None if labels_key is None else _labels(f"{labels_key} in {path}", arrays[labels_key])
    if labels is not None and len(labels) != len(images):
        raise UserError(f"{path} has {len(images)} {images_key} but {len(labels)} {labels_key}: give each one label.")
    return images, labels


def _stored(name: str, array: np.ndarray, size: tuple[int, int] | None, channels: int | None) -> Tensor:
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
    return with_channels(cover(torch.from_numpy(_as_bytes(name, array)), size), channels)


def _as_bytes(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    low, high = (array.min(), array.max()) if np.issubdtype(array.dtype, np.floating) else (np.nan, np.nan)
    if not (low >= -1 and high <= 1):
        extent = f", from {low:g} to {high:g}" if np.isfinite(low + high) else ""
        raise UserError(f"{name} must be uint8, or floating-point in [0, 1] or [-1, 1], not {array.dtype}{extent}.")
    unit = array if low >= 0 else (array + 1) / 2
    return (unit * 255).round().astype(np.uint8)


def _labels(name: str, array: np.ndarray) -> Tensor:
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise UserError(f"{name} must be whole numbers of shape (n,), not {array.dtype} of shape {array.shape}.")
    if array.min(initial=0) < 0:
        raise UserError(f"{name} must count from 0, but there is {array.min()} among them.")
    return torch.from_numpy(array.astype(np.int64))


def _class_names(path: Path, arrays: Arrays, labels: list[Tensor]) -> tuple[str, ...]:
    if not labels:
        return ()
    num_classes = 1 + max(int(part.max()) for part in labels)
    if "class_names" not in arrays:
        return tuple(map(str, range(num_classes)))
    names = tuple(map(str, arrays["class_names"].ravel()))
    if len(names) < num_classes:
        raise UserError(f"{path} has {len(names)} class_names, but the label {num_classes - 1}.")
    return names
