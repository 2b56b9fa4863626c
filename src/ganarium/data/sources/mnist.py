"""Reads MNIST (LeCun, Cortes, Burges 1998) and Fashion-MNIST (Xiao, Rasul, Vollgraf 2017) from their IDX files."""

import gzip
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganarium.data.arrays import check_memory, pad, resize, with_channels
from ganarium.data.dataset import Dataset
from ganarium.data.files.download import Published, file_in, find
from ganarium.errors import UserError

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
DIGITS = tuple("0123456789")
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def mnist(*, size: tuple[int, int] | None = None, channels: int | None = None) -> tuple[Dataset, Dataset]:
    """Loads 60,000 and 10,000 digits. `size` is (h, w), by default 32x32; 28x28 is the digits without their padding."""
    return _load("mnist", "MNIST", ("mnist", "."), DIGITS, size or (32, 32), channels or 1)


def fashion_mnist(*, size: tuple[int, int] | None = None, channels: int | None = None) -> tuple[Dataset, Dataset]:
    """Loads 60,000 and 10,000 pictures of clothes, fitted as `mnist` is."""
    folders = ("fashion_mnist", "fashion", ".")
    return _load("fashion_mnist", "FashionMNIST", folders, CLOTHES, size or (32, 32), channels or 1)


def _load(
    name: str,
    published: str,
    folders: tuple[str, ...],
    class_names: tuple[str, ...],
    size: tuple[int, int],
    channels: int,
) -> tuple[Dataset, Dataset]:
    """`published` is the name of torchvision's class and folder; `folders` are tried under each root."""
    check_memory(name, 70_000, size, channels)
    raw = find(Published(name, folders, f"{published}/raw", FILES, _fetch(published)))
    splits = []
    for images_file, labels_file in (FILES[:2], FILES[2:]):
        images, labels = (read_idx(file_in(raw, file) or raw / file) for file in (images_file, labels_file))
        if images.dim() != 3 or images.shape[1:] != (28, 28) or labels.shape != images.shape[:1] or labels.max() > 9:
            raise UserError(f"{raw} does not hold {published}: {images_file} and {labels_file} do not go together.")
        stored = with_channels(_fit(images.unsqueeze(3), size), channels)
        splits.append(Dataset(name, stored, labels.long(), class_names, source=f"{published}, read from {raw}"))
    return splits[0], splits[1]


def _fit(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Brings 28 px to `size`: pads to 32, resizes to the shorter side (28 stays as it is), pads to the longer side."""
    side = min(size)
    if side != 28:
        images = resize(pad(images, (32, 32)), (side, side))
    return pad(images, size)


def read_idx(path: Path) -> Tensor:
    """The uint8 array of an IDX file, gzipped or not; `UserError` when it is not whole."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        kind, num_dims = struct.unpack_from(">xxBB", data)
        shape = struct.unpack_from(f">{num_dims}I", data, 4)
        array = np.frombuffer(data, np.uint8, offset=4 + 4 * num_dims)
        if data[:2] != b"\0\0" or kind != 8 or len(array) == 0 or len(array) != np.prod(shape):
            raise ValueError(f"{len(array)} bytes where the header says {shape}")
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise UserError(f"{path} is damaged or cut short ({error}): put a whole copy of it in its place.") from error
    return torch.from_numpy(array.copy()).view(shape)


def _fetch(published: str) -> Callable[[Path], Path]:
    """The function that downloads one of the two sets; see `Published.fetch`."""

    def fetch(folder: Path) -> Path:
        from torchvision import datasets

        getattr(datasets, published)(folder, download=True)
        return folder / published / "raw"

    return fetch
