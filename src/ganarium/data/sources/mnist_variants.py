"""Makes data sets from MNIST, with seeded random numbers: stacked, binarised, tinted, negative, edges, MNIST-M."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ganarium.data.arrays import check_memory, with_channels
from ganarium.data.dataset import Dataset, Photos
from ganarium.data.files.download import places
from ganarium.data.sources.folder import open_image
from ganarium.data.sources.mnist import mnist
from ganarium.errors import UserError

NUM_STACKED = (128_000, 26_000)  # train and test
HUES = {  # full saturation and value: a primary colour or the sum of two
    "red": (1, 0, 0),
    "yellow": (1, 1, 0),
    "green": (0, 1, 0),
    "cyan": (0, 1, 1),
    "blue": (0, 0, 1),
    "magenta": (1, 0, 1),
}

_CHUNK = 4096  # images at a time, so that nothing large is in memory twice


def stacked_mnist(*, size: tuple[int, int] | None = None) -> tuple[Dataset, Dataset]:
    """Makes 128,000 and 26,000 RGB images of three digits, one in each channel, drawn independently and with
    replacement.

    The label is 100 times the digit in red, 10 times that in green and that in blue: 1,000 classes (Metz et al. 2017).
    The digits of the train part are MNIST's train digits, those of the test part its test digits. `size` is as in
    `mnist`.
    """
    size = size or (32, 32)
    check_memory("stacked_mnist", sum(NUM_STACKED), size, 3)
    splits = []
    for place, (digits, count) in enumerate(zip(mnist(size=size), NUM_STACKED, strict=True)):
        indices = torch.randint(len(digits), (count, 3), generator=_generator(place))
        images = torch.empty(count, *size, 3, dtype=torch.uint8)
        for part, target in zip(indices.split(_CHUNK), images.split(_CHUNK), strict=True):
            for channel in range(3):
                target[..., channel] = digits.images[part[:, channel], :, :, 0]
        assert digits.labels is not None
        labels = (digits.labels[indices] * torch.tensor([100, 10, 1])).sum(1)
        names = tuple(f"{label:03}" for label in range(1000))
        splits.append(Dataset("stacked_mnist", images, labels, names, source=f"digits of {digits.source}"))
    return splits[0], splits[1]


def mnist_binarised(*, size: tuple[int, int] | None = None, channels: int | None = None) -> tuple[Dataset, Dataset]:
    """Makes MNIST with every pixel 0 or 255, drawn once with its brightness as the probability of 255.

    The draw is ganarium's own, not that of the files of Larochelle and Murray (2011). `size` is as in `mnist`.
    """
    check_memory("mnist_binarised", 70_000, size or (32, 32), channels or 1)
    splits = []
    for place, digits in enumerate(mnist(size=size)):
        generator = _generator(place)
        for part in digits.images.split(_CHUNK):
            threshold = torch.rand(part.shape, generator=generator)
            part.copy_((threshold * 255 < part).to(torch.uint8) * 255)
        stored = with_channels(digits.images, channels or 1)
        splits.append(replace(digits, name="mnist_binarised", images=stored))
    return splits[0], splits[1]


def mnist_stochastic(*, size: tuple[int, int] | None = None) -> tuple[Dataset, Dataset]:
    """Makes MNIST with every pixel 0 or 255, drawn for every batch (Salakhutdinov and Murray 2008).

    The images stored are the probabilities. `size` is as in `mnist`.
    """
    train, test = (replace(split, name="mnist_stochastic", bernoulli=True) for split in mnist(size=size))
    return train, test


def mnist_tinted(*, size: tuple[int, int] | None = None) -> tuple[Dataset, Dataset]:
    """Makes RGB MNIST, each digit in one of the six saturated `HUES`, on black; the hue is independent of the digit.

    `extra["hue"]` (n,) is the index in `HUES`. `size` is as in `mnist`.
    """
    check_memory("mnist_tinted", 70_000, size or (32, 32), 3)
    colours = torch.tensor(list(HUES.values()), dtype=torch.uint8)
    splits = []
    for place, digits in enumerate(mnist(size=size)):
        hue = torch.randint(len(HUES), (len(digits),), generator=_generator(place))
        images = digits.images * colours[hue].view(-1, 1, 1, 3)
        splits.append(replace(digits, name="mnist_tinted", images=images, extra={"hue": hue}))
    return splits[0], splits[1]


def mnist_negative(*, size: tuple[int, int] | None = None, channels: int | None = None) -> tuple[Dataset, Dataset]:
    """Makes MNIST black on white, the padding too: 255 less each pixel. `size` and `channels` are as in `mnist`."""
    check_memory("mnist_negative", 70_000, size or (32, 32), channels or 1)
    train, test = (
        replace(split, name="mnist_negative", images=with_channels(255 - split.images, channels or 1))
        for split in mnist(size=size)
    )
    return train, test


def mnist_edges(*, size: tuple[int, int] | None = None, channels: int | None = None) -> tuple[Dataset, Dataset]:
    """Makes the outlines of MNIST's digits: the brightest pixel of the 3x3 around each, less the pixel (Liu and Tuzel
    2016 train on such a pair of domains). `size` and `channels` are as in `mnist`."""
    check_memory("mnist_edges", 70_000, size or (32, 32), channels or 1)
    splits = []
    for digits in mnist(size=size):
        for part in digits.images.split(_CHUNK):
            grey = part[..., 0].float()[:, None]
            part.copy_((F.max_pool2d(grey, 3, 1, 1) - grey).to(torch.uint8).permute(0, 2, 3, 1))
        splits.append(replace(digits, name="mnist_edges", images=with_channels(digits.images, channels or 1)))
    return splits[0], splits[1]


def mnist_m(*, size: tuple[int, int] | None = None) -> tuple[Dataset, Dataset]:
    """Makes images as those of MNIST-M (Ganin and Lempitsky 2015): |crop of a photo - digit| in each channel, RGB.

    The photos are the train part of BSDS500 (Arbelaez et al. 2011), for both splits. The digit is fitted to `size` (h,
    w) as in `mnist` and the crop is as large, so that the photo fills the padding too: no frame tells the two sets
    apart. 60,000 and 10,000 images, where the authors' files have 59,001 and 9,001: numbers on these are not
    comparable.
    """
    size = size or (32, 32)
    check_memory("mnist_m", 70_000, size, 3)
    photos, folder = _photos(size)
    splits = []
    for place, digits in enumerate(mnist(size=size)):
        generator = _generator(place)
        indices = torch.randint(len(photos.heights), (len(digits),), generator=generator)
        images = torch.empty(len(digits), *size, 3, dtype=torch.uint8)
        for part, digit, target in zip(*(x.split(_CHUNK) for x in (indices, digits.images, images)), strict=True):
            crop = photos.cut(part, generator)
            torch.where(crop > digit, crop - digit, digit - crop, out=target)
        source = f"digits of {digits.source}, photos of {folder}"
        splits.append(replace(digits, name="mnist_m", images=images, source=source))
    return splits[0], splits[1]


def _photos(size: tuple[int, int]) -> tuple[Photos, Path]:
    """The train photos of BSDS500, for windows of `size`, and their folder."""
    candidates = places("bsds500/images/train", "BSDS500/data/images/train", "BSR/BSDS500/data/images/train")
    folder = next((place for place in candidates if next(place.glob("*.jpg"), None)), None)
    if folder is None:
        raise UserError(
            f"mnist_m needs the train photos of BSDS500, and there are no .jpg files in "
            f"{', '.join(map(str, candidates))}: set GANARIUM_DATA to a folder that has a copy, or use "
            f"--data glyphs_coloured, which needs none."
        )
    pictures = [np.asarray(open_image(file, 3)) for file in sorted(folder.glob("*.jpg"))]
    heights, widths = (torch.tensor([picture.shape[axis] for picture in pictures]) for axis in (0, 1))
    if size[0] > heights.min() or size[1] > widths.min():
        raise UserError(
            f"mnist_m of {size[0]}x{size[1]} pixels is larger than the smallest photo in {folder}, which has "
            f"{heights.min()} rows and {widths.min()} columns at least: use a smaller --size."
        )
    pixels = torch.from_numpy(np.concatenate([picture.reshape(-1) for picture in pictures]))
    return Photos(pixels, heights, widths, size, 3), folder


def _generator(split: int) -> torch.Generator:
    return torch.Generator().manual_seed(split)
