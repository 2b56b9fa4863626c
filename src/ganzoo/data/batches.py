"""Typed batches join data to models; `Batches` draws them in an order that is a function of (seed, items drawn)."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganzoo.errors import UserError


class Images(NamedTuple):
    image: Tensor  # (b, c, h, w) in [-1, 1], or points (b, 2)


class LabelledImages(NamedTuple):
    image: Tensor  # (b, c, h, w) in [-1, 1], or points (b, 2)
    label: Tensor  # (b,) int64


class UnpairedImages(NamedTuple):
    a: Tensor  # (b, c, h, w) in [-1, 1], from domain A
    b: Tensor  # (b, c, h, w) in [-1, 1], from domain B, drawn independently of a


@dataclass(frozen=True)
class Dataset:
    """One split of a data set, held as it is stored: images as uint8 (n, h, w, c), points as float32 (n, 2)."""

    name: str
    images: Tensor
    labels: Tensor | None = None  # (n,) int64
    class_names: tuple[str, ...] = ()
    second: Tensor | None = None  # domain B of an unpaired set, stored as `images` is
    skipped: tuple[str, ...] = ()  # files that could not be read
    source: str = ""  # where it came from, in words
    extra: dict[str, Tensor] | None = None  # what a drawn set knows about each of its images (proofs use it)

    @property
    def shape(self) -> tuple[int, ...]:
        """(c, h, w) of an image, or (2,) for points."""
        if self.images.dim() == 2:
            return (self.images.shape[1],)
        height, width, channels = self.images.shape[1:]
        return (channels, height, width)

    @property
    def num_classes(self) -> int | None:
        return len(self.class_names) or None

    @property
    def kinds(self) -> tuple[type, ...]:
        """The batch types that can be drawn from this set."""
        if self.second is not None:
            return (UnpairedImages,)
        return (Images,) if self.labels is None else (Images, LabelledImages)

    def __len__(self) -> int:
        return len(self.images)


class Batches:
    """Draws typed batches from a data set that lives on the device.

    Every epoch is a fresh permutation, seeded by (seed, epoch); a batch may span two epochs, so every batch is full.
    The one number `drawn` is the whole state: setting it continues the order where it was. Under `world` processes all
    share the order and each takes its own slice of every batch.
    """

    def __init__(
        self,
        data: Dataset,
        kind: type,
        batch_size: int,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if kind not in data.kinds:
            have = " or ".join(k.__name__ for k in data.kinds)
            raise UserError(f"the data set {data.name} gives {have}, not {kind.__name__}.")
        smallest = min(len(data), len(data.second) if data.second is not None else len(data))
        if batch_size * world > smallest:
            per_process = f" in each of {world} processes" if world > 1 else ""
            raise UserError(
                f"a batch of {batch_size}{per_process} is more than the {smallest} training images of "
                f"{data.name}: use --batch-size {max(1, smallest // world)} or fewer."
            )
        self.kind, self.batch_size, self.seed, self.dtype = kind, batch_size, seed, dtype
        self.rank, self.world, self.drawn = rank, world, 0
        self.device = torch.device(device)
        self.images = data.images.to(self.device)
        self.second = None if data.second is None else data.second.to(self.device)
        self.labels = None if data.labels is None else data.labels.to(self.device)
        self._orders: dict[int, tuple[int, Tensor]] = {}  # stream -> (epoch, permutation)

    def __iter__(self) -> "Batches":
        return self

    def __next__(self) -> Any:
        return self.draw(self.batch_size)

    def draw(self, n: int) -> Any:
        """A batch of `n` items, whatever the configured size."""
        start = self.drawn + self.rank * n
        self.drawn += n * self.world
        index = self._index(0, len(self.images), start, n)
        if self.kind is UnpairedImages:
            assert self.second is not None
            other = self._index(1, len(self.second), start, n)
            return UnpairedImages(self._decode(self.images[index]), self._decode(self.second[other]))
        if self.kind is LabelledImages:
            assert self.labels is not None
            return LabelledImages(self._decode(self.images[index]), self.labels[index])
        return Images(self._decode(self.images[index]))

    def _decode(self, stored: Tensor) -> Tensor:
        return decode(stored).to(self.dtype)

    def _index(self, stream: int, size: int, start: int, n: int) -> Tensor:
        """Places in the set of the items start..start+n of a stream, on the device."""
        parts = []
        while n > 0:
            epoch, first = divmod(start, size)
            part = self._order(stream, size, epoch)[first : first + n]
            parts.append(part)
            start, n = start + len(part), n - len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _order(self, stream: int, size: int, epoch: int) -> Tensor:
        cached = self._orders.get(stream)
        if cached is None or cached[0] != epoch:
            words = np.random.SeedSequence([self.seed, stream, epoch]).generate_state(2, np.uint32)
            generator = torch.Generator().manual_seed(int(words[0]) << 31 ^ int(words[1]))
            cached = self._orders[stream] = (epoch, torch.randperm(size, generator=generator).to(self.device))
        return cached[1]


def decode(stored: Tensor) -> Tensor:
    """uint8 (n, h, w, c) -> float32 (n, c, h, w) in [-1, 1] with channels_last strides; points pass unchanged."""
    if stored.dtype != torch.uint8:
        return stored
    return stored.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1.0)


def encode(images: Tensor) -> Tensor:
    """float (n, c, h, w) in [-1, 1] -> uint8 (n, h, w, c), rounded to the nearest level."""
    return (
        images.detach().float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    )
