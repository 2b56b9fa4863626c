"""Reads published sets with torchvision: USPS, CIFAR-10, SVHN, CelebA. A set that is not here is downloaded."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganarium.data.arrays import check_memory, cover, pad, resize, with_channels
from ganarium.data.dataset import Dataset
from ganarium.data.files.download import Published, find
from ganarium.data.sources.folder import from_files
from ganarium.errors import UserError

DIGITS = tuple("0123456789")
OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_OWN_COPY = "give your own copy by its path, as a folder with one sub-folder per class or a .npz of images and labels"


def usps(*, size: tuple[int, int] | None = None, channels: int | None = None) -> tuple[Dataset, Dataset]:
    """Loads 7,291 and 2,007 digits from envelopes (Hull 1994), white on black.

    `size` is (h, w), by default the 16x16 of the set; another is resized to the shorter side and padded to the longer.
    """
    size = size or (16, 16)
    check_memory("usps", 9_298, size, channels or 1)
    folder = find(Published("usps", ("usps", "."), ".", ("usps.bz2", "usps.t.bz2"), _fetch_usps))
    splits = []
    for train, file in ((True, "usps.bz2"), (False, "usps.t.bz2")):
        read = _read("USPS", folder / file, root=folder, train=train)
        images, labels = torch.from_numpy(read.data).unsqueeze(3), torch.tensor(read.targets)
        side = min(size)
        stored = with_channels(pad(resize(images, (side, side)), size), channels or 1)
        splits.append(_split("usps", stored, labels, DIGITS, folder / file))
    return splits[0], splits[1]


def cifar10(*, size: tuple[int, int] | None = None, channels: int | None = None) -> tuple[Dataset, Dataset]:
    """Loads 50,000 and 10,000 photos of ten kinds of objects (Krizhevsky 2009).

    `size` is (h, w), by default the 32x32 of the set; another is covered and cropped at the middle.
    """
    size = size or (32, 32)
    check_memory("cifar10", 60_000, size, channels or 3)
    files = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")
    published = Published("cifar10", ("cifar10", "."), "cifar-10-batches-py", files, _fetch_cifar10, _OWN_COPY)
    folder = find(published)
    splits = []
    for train in (True, False):
        read = _read("CIFAR10", folder, root=folder.parent, train=train)
        stored = with_channels(cover(torch.from_numpy(read.data), size), channels or 3)
        splits.append(_split("cifar10", stored, torch.tensor(read.targets), OBJECTS, folder))
    return splits[0], splits[1]


def svhn(*, size: tuple[int, int] | None = None, channels: int | None = None) -> tuple[Dataset, Dataset]:
    """Loads 73,257 and 26,032 house numbers, cut out digit by digit (Netzer et al. 2011); the `extra` part is left out.

    `size` is (h, w), by default the 32x32 of the set; another is covered and cropped at the middle.
    """
    size = size or (32, 32)
    check_memory("svhn", 99_289, size, channels or 3)
    try:
        import scipy.io  # noqa: F401 - torchvision reads the files with it
    except ImportError as error:
        raise UserError("svhn is kept in MATLAB's format, which scipy reads: pip install scipy.") from error
    files = ("train_32x32.mat", "test_32x32.mat")
    folder = find(Published("svhn", ("svhn", "."), ".", files, _fetch_svhn, _OWN_COPY))
    splits = []
    for split, file in zip(("train", "test"), files, strict=True):
        read = _read("SVHN", folder / file, root=folder, split=split)
        images = torch.from_numpy(np.ascontiguousarray(read.data.transpose(0, 2, 3, 1)))
        stored = with_channels(cover(images, size), channels or 3)
        splits.append(_split("svhn", stored, torch.from_numpy(read.labels), DIGITS, folder / file))
    return splits[0], splits[1]


def celeba(*, size: tuple[int, int] | None = None, channels: int | None = None) -> tuple[Dataset, Dataset]:
    """Loads 162,770 and 19,962 aligned faces (Liu et al. 2015), the authors' train and test parts, without their names.

    `size` is (h, w), by default 64x64; the 178x218 pictures are covered and cropped at the middle.
    """
    folder = _celeba_folder()
    train, test = celeba_files(folder)
    source = f"CelebA, read from {folder}"
    return from_files("celeba", train, test, size=size or (64, 64), channels=channels or 3, source=source)


def celeba_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """The train and the test pictures that `list_eval_partition.txt` in `folder` names, in its order.

    Raises `UserError` if the list cannot be read or names pictures that do not exist.
    """
    partition, pictures = folder / "list_eval_partition.txt", folder / "img_align_celeba"
    parts: dict[str, list[Path]] = {"0": [], "1": [], "2": []}  # train, validation, test
    try:
        for line in partition.read_text(encoding="ascii").splitlines():
            name, part = line.split()
            parts[part].append(pictures / name)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{partition} is damaged: each line must be a picture and 0, 1 or 2. Put a whole copy of it in its place."
        ) from error
    train, test = parts["0"], parts["2"]
    if not train or not test:
        raise UserError(f"{partition} names no pictures to {'test' if train else 'train'} on: put a whole copy here.")
    present = set(os.listdir(pictures)) if pictures.is_dir() else set()  # noqa: PTH208 - names alone, of 200,000 files
    absent = [file.name for file in [*train, *test] if file.name not in present]
    if absent:
        raise UserError(
            f"{len(absent):,} of the {len(train) + len(test):,} pictures of celeba are not in {pictures} (such as "
            f"{absent[0]}): unpack img_align_celeba.zip there whole, or use --data {os.path.relpath(pictures)}, which "
            f"takes the pictures that are there."
        )
    return train, test


def _celeba_folder() -> Path:
    advice = "give a folder of pictures by its path; the download needs the network and gdown (pip install gdown)"
    files = ("img_align_celeba", "list_eval_partition.txt")  # the list comes last: with it the set is whole
    return find(Published("celeba", ("celeba", "."), ".", files, _fetch_celeba, advice))


def _read(published: str, folder: Path, **options: Any) -> Any:
    """One split, read by torchvision; `UserError` when the files are not whole."""
    from torchvision import datasets

    try:
        read = getattr(datasets, published)(download=False, **options)
        if len(read) == 0:
            raise ValueError("it is empty")
    except (OSError, EOFError, ValueError, LookupError, RuntimeError, TypeError) as error:
        raise UserError(
            f"{folder} is damaged, cut short or not {published}: put a whole copy of it in its place."
        ) from error
    return read


def _split(name: str, stored: Tensor, labels: Tensor, class_names: tuple[str, ...], folder: Path) -> Dataset:
    if len(labels) != len(stored) or labels.min() < 0 or labels.max() >= len(class_names):
        raise UserError(
            f"{folder} is damaged: its labels do not fit its pictures. Put a whole copy of it in its place."
        )
    return Dataset(name, stored.contiguous(), labels.long(), class_names, source=f"{name}, read from {folder}")


def _fetch_usps(temporary: Path) -> Path:
    from torchvision import datasets

    for train in (True, False):
        datasets.USPS(temporary, train=train, download=True)
    return temporary


def _fetch_cifar10(temporary: Path) -> Path:
    from torchvision import datasets

    datasets.CIFAR10(temporary, download=True)
    return temporary / "cifar-10-batches-py"


def _fetch_svhn(temporary: Path) -> Path:
    from torchvision import datasets

    for split in ("train", "test"):
        datasets.SVHN(temporary, split=split, download=True)
    return temporary


def _fetch_celeba(temporary: Path) -> Path:
    from torchvision import datasets

    try:
        datasets.CelebA(temporary, download=True)
    except Exception as error:  # gdown and its helpers raise many kinds
        raise OSError(str(error)) from error
    return temporary / "celeba"
