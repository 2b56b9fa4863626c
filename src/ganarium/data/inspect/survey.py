"""The result of examining a data set: what it holds, and what is wrong with it."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from ganarium.data.files.decode_cache import MAX_IN_MEMORY
from ganarium.data.inspect.duplicates import Groups


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What is known about a data set before anything is trained on it.

    Names of files are printable; the images of a set of tensors are called `train/17` or `test/3`.
    """

    name: str
    location: str
    layout: str  # the layout it is taken for and the reason, in words
    kinds: tuple[str, ...]  # names of the batch types that can be drawn from it
    shape: tuple[int, ...]  # (c, h, w) as a model sees the images, or (2,) of points
    fit: str | None  # "crop", "pad" or "patches"; None if nothing is fitted to a size
    num_train: int
    num_test: int
    held_out: bool  # the test part is a tenth of the training images, since the set has none
    num_domains: int  # 2: `num_train` and `num_test` count the pictures of both
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)  # (height, width) in pixels -> files
    lost_share: float = 0.0  # mean share of a picture that "crop" cuts away, or of black that "pad" adds
    num_enlarged: int = 0  # pictures smaller than the size
    formats: Counter[str] = field(default_factory=Counter)  # "JPEG RGB" -> files
    num_grey: int = 0  # pictures stored in colour that show none
    classes: dict[str, tuple[int, int]] = field(default_factory=dict)  # class -> (images in train, in test)
    caption_lengths: list[int] = field(default_factory=list)  # words of each sentence
    num_different_captions: int = 0
    longest_caption: str = ""
    broken: list[tuple[str, str]] = field(default_factory=list)  # (name, reason) of files that cannot be used
    left_out: list[str] = field(default_factory=list)  # what else lies there and is not used, each with the reason
    notes: tuple[str, ...] = ()  # what a person should know of how the data are read
    blank: list[str] = field(default_factory=list)  # pictures of one colour
    exact: Groups = field(default_factory=list)  # pictures with the same content, all in train or all in test
    leaks: Groups = field(default_factory=list)  # pictures with the same content in train and in test
    near: Groups = field(default_factory=list)  # pictures that look the same; of exact duplicates only the first
    near_leaks: Groups = field(default_factory=list)  # the same in train and in test
    note: str = ""  # what was left out of the search for duplicates, or ""
    extent: tuple[float, float] | None = None  # of points: the least and the greatest coordinate
    refusal: str = ""  # the error that training on it would raise, or ""
    grid: Tensor | None = None  # pictures as a model sees them, uint8 (n, h, w, c), or points (n, 2)
    columns: int | None = None  # of the grid
    thumbnail: Callable[[str], np.ndarray] | None = field(default=None, repr=False)  # name -> uint8 (h, w, 3), small

    @property
    def num_files(self) -> int:
        return self.num_train + self.num_test

    def bytes_held(self, shape: tuple[int, ...]) -> int:
        """What the data set itself takes of memory in training, at this shape; 0 where it is mapped from the disk."""
        bytes_each = (4 if len(shape) == 1 else 1) * math.prod(shape)
        in_memory = self.num_files * bytes_each * (2 if "side by side" in self.layout else 1)
        return in_memory if self.fit is None or in_memory <= MAX_IN_MEMORY else 0
