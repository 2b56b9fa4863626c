"""Examines a data set that is held as tensors."""

import hashlib
from collections import Counter
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.dataset import Dataset
from ganarium.data.inspect.duplicates import Pictures, difference_hash, find_duplicates
from ganarium.data.inspect.file import BLANK_RANGE, SIDE
from ganarium.data.inspect.survey import Survey

NUM_SHOWN, NUM_POINTS_SHOWN = 64, 2000  # images and points in the grid


def survey_of_tensors(train: Dataset, test: Dataset) -> Survey:
    """Examines the two splits of a set."""
    facts: dict[str, Any] = {
        "name": train.name,
        "location": train.source,
        "layout": _layout_in_words(train),
        "kinds": tuple(kind.__name__ for kind in train.kinds),
        "shape": train.shape,
        "fit": None,
        "num_train": _num_images(train),
        "num_test": _num_images(test),
        "held_out": False,
        "num_domains": 1 if train.second is None else 2,
        "classes": _classes(train, test),
        "left_out": list(train.skipped),
        "notes": train.notes,
    }
    sentences = [text for split in (train, test) for texts in split.captions or () for text in texts]
    facts["caption_lengths"] = [len(text.split()) for text in sentences]
    facts["num_different_captions"] = len(set(sentences))
    facts["longest_caption"] = max(sentences, key=len, default="")

    stored = _tensors(train, test)
    names = [f"{prefix}{index}" for prefix, images in stored.items() for index in range(len(images))]
    tensors = list(stored.values())
    starts = np.cumsum([0, *map(len, tensors)])

    def image(index: int) -> Tensor:
        place = int(np.searchsorted(starts, index, "right")) - 1
        return tensors[place][index - int(starts[place])]

    def pixels(indices: list[int]) -> np.ndarray:
        """As `file.comparable_pixels`."""
        batch = torch.stack([image(index)[..., :3] for index in indices]).permute(0, 3, 1, 2).float()
        small = F.adaptive_avg_pool2d(batch, (SIDE, SIDE)).flatten(1)
        return F.normalize(small - small.mean(1, keepdim=True), dim=1).numpy()

    hashes, blank = zip(*map(_hashes_and_blank, tensors), strict=True)
    pictures = Pictures(
        names,
        np.array([name.startswith("train/") for name in names]),
        np.concatenate([_digests(images) for images in tensors]),
        np.concatenate(hashes),
        np.concatenate(blank),
        pixels,
    )
    facts |= find_duplicates(pictures, split=True)._asdict()
    facts["blank"] = [names[index] for index in np.flatnonzero(pictures.blank)]
    if len(train.shape) == 1:
        facts["extent"] = float(train.images.min()), float(train.images.max())
        return Survey(**facts, grid=train.images[:NUM_POINTS_SHOWN])
    channels, height, width = train.shape
    facts["sizes"] = Counter({(height, width): len(names)})
    facts["formats"] = Counter({{1: "grey", 3: "RGB", 4: "RGBA"}[channels]: len(names)})
    indices = dict(zip(names, range(len(names)), strict=True))
    grid, columns = _grid(train)
    return Survey(**facts, grid=grid, columns=columns, thumbnail=lambda name: _in_colour(image(indices[name])))


def _num_images(data: Dataset) -> int:
    return len(data) + (0 if data.second is None else len(data.second))


def _layout_in_words(data: Dataset) -> str:
    if len(data.shape) == 1:
        return "points" + ", with the component that each was drawn from" * (data.labels is not None)
    if data.second is not None:
        if data.labels is not None and not data.paired:
            return "a source of images with classes, and a target"
        return "pairs of images" if data.paired else "two unpaired domains of images"
    extras = [word for word, value in (("classes", data.labels), ("captions", data.captions)) if value is not None]
    return "images" + (f" with {' and '.join(extras)}" if extras else "")


def _classes(train: Dataset, test: Dataset) -> dict[str, tuple[int, int]]:
    """Each class with its counts in train and test, in the order of the labels."""
    if train.labels is None or test.labels is None:
        return {}
    last = int(torch.cat([train.labels, test.labels]).max())
    names = train.class_names or tuple(map(str, range(1 + last)))
    counts = (torch.bincount(labels, minlength=len(names)).tolist() for labels in (train.labels, test.labels))
    return {name: (a, b) for name, a, b in zip(names, *counts, strict=True)}


def _tensors(train: Dataset, test: Dataset) -> dict[str, Tensor]:
    """The images of both splits, and of both domains, by the beginning of their names: train/, test/ or train/a/ ..."""
    result = {}
    for word, split in (("train", train), ("test", test)):
        if split.second is None:
            result[f"{word}/"] = split.images
        else:
            result |= {f"{word}/a/": split.images, f"{word}/b/": split.second}
    return result


def _hashes_and_blank(images: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The difference hash of each image, uint64 (n,), and whether it is of one colour, bool (n,); zeros for points."""
    if images.dim() == 2:
        return np.zeros(len(images), np.uint64), np.zeros(len(images), bool)
    hashes, blank = [], []
    for part in images.split(4096):
        grey = part[..., :3].float().mean(3)
        cells = F.adaptive_avg_pool2d(grey[:, None], (8, 9))[:, 0].round().to(torch.uint8)
        hashes.append(difference_hash(cells.numpy()))
        flat = part.flatten(1, 2)
        blank.append(((flat.amax(1).int() - flat.amin(1).int()) < BLANK_RANGE).all(1).numpy())
    return np.concatenate(hashes), np.concatenate(blank)


def _digests(images: Tensor) -> np.ndarray:
    """A digest of every item's bytes, S16 (n,)."""
    rows = images.contiguous().view(len(images), -1).numpy()
    return np.array([hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows], "S16")


def _grid(train: Dataset) -> tuple[Tensor, int | None]:
    """Training images drawn for the grid, A beside B of two domains, and the number of columns."""
    count = min(len(train), NUM_SHOWN // (1 if train.second is None else 2))
    indices = np.sort(np.random.default_rng(0).choice(len(train), count, replace=False))
    grid = train.images[indices]
    if train.second is None:
        return grid, None
    other = train.second[indices % len(train.second)]
    return torch.stack([grid, other], 1).flatten(0, 1), 8


def _in_colour(image: Tensor) -> np.ndarray:
    return image[..., :3].expand(-1, -1, 3).numpy()
