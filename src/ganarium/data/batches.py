"""Typed batches join data to models; `Batches` draws them in an order that is a function of (seed, items drawn)."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganarium.errors import UserError


class Images(NamedTuple):
    image: Tensor  # (b, c, h, w) in [-1, 1], or points (b, 2)


class LabelledImages(NamedTuple):
    image: Tensor  # (b, c, h, w) in [-1, 1], or points (b, 2)
    label: Tensor  # (b,) int64


class PartlyLabelledImages(NamedTuple):
    image: Tensor  # (b, c, h, w) in [-1, 1], or points (b, 2): of the few whose labels are known
    label: Tensor  # (b,) int64, of `image`
    unlabelled: Tensor  # as `image`, of all there are, drawn independently; their labels are told to nobody


class UnpairedImages(NamedTuple):
    a: Tensor  # (b, c, h, w) in [-1, 1], from domain A
    b: Tensor  # (b, c, h, w) in [-1, 1], from domain B, drawn independently of a


class PairedImages(NamedTuple):
    a: Tensor  # (b, c, h, w) in [-1, 1], from domain A
    b: Tensor  # (b, c, h, w) in [-1, 1], the same scenes in domain B


class HighResolutionImages(NamedTuple):
    image: Tensor  # (b, c, h, w) in [-1, 1], windows cut at random from photos at their full resolution


class CaptionedImages(NamedTuple):
    image: Tensor  # (b, c, h, w) in [-1, 1]
    caption: tuple[str, ...]  # b sentences, each one of its image's captions


@dataclass(frozen=True)
class Photos:
    """Photos of any size, one after another, from which windows of one size are cut."""

    pixels: Tensor  # uint8, flat: every photo as (height, width, channels)
    heights: Tensor  # (n,) int64
    widths: Tensor  # (n,) int64
    window: tuple[int, int]  # (h, w) of a window, at most the smallest photo's
    channels: int
    starts: Tensor | None = None  # (n,) int64, where each begins in `pixels`, in pixels; None: one after another

    def to(self, device: torch.device) -> "Photos":
        pixels, heights, widths = self.pixels.to(device), self.heights.to(device), self.widths.to(device)
        starts = heights.mul(widths).cumsum(0) - heights * widths if self.starts is None else self.starts.to(device)
        return Photos(pixels, heights, widths, self.window, self.channels, starts)

    def cut(self, index: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """uint8 (b, h, w, c): a window of each photo of `index` (b,), at a random place, or its middle."""
        h, w = self.window
        heights, widths = self.heights[index], self.widths[index]
        if generator is None:
            top, left = (heights - h) // 2, (widths - w) // 2
        else:
            chance = torch.rand(2, len(index), generator=generator, device=index.device, dtype=torch.float64)
            top, left = (chance[0] * (heights - h + 1)).long(), (chance[1] * (widths - w + 1)).long()
        starts = self.to(self.pixels.device).starts if self.starts is None else self.starts
        assert starts is not None
        down = torch.arange(h, device=index.device)[:, None]
        across = torch.arange(w, device=index.device)[None, :]
        corner = (starts[index] + top * widths + left)[:, None, None]
        places = corner + down * widths[:, None, None] + across  # (b, h, w)
        return self.pixels.view(-1, self.channels)[places]


@dataclass(frozen=True)
class Dataset:
    """One split of a data set, held as it is stored: images as uint8 (n, h, w, c), points as float32 (n, 2)."""

    name: str
    images: Tensor
    labels: Tensor | None = None  # (n,) int64
    class_names: tuple[str, ...] = ()
    second: Tensor | None = None  # domain B of an unpaired or a paired set, stored as `images` is
    skipped: tuple[str, ...] = ()  # files that could not be read
    source: str = ""  # where it came from, in words
    extra: dict[str, Tensor] | None = None  # what a drawn set knows about each of its images (proofs use it)
    paired: bool = False  # `second` shows the same scenes as `images`, in the same order
    captions: tuple[tuple[str, ...], ...] | None = None  # one or more sentences for each image
    photos: Photos | None = None  # windows are cut from these; `images` holds the middle of each
    bernoulli: bool = False  # pixels are probabilities: every draw of an image makes each 0 or 255 anew
    mirror: bool = False  # half of the images drawn are mirrored left to right
    mapped: bool = False  # `images` (and `second`) are a file on disk: they stay there, and batches are read from it
    digest: str = ""  # of the content, where the source knows it; else it is taken from the tensors
    labelled: Tensor | None = None  # (k,) places of the images whose labels a semi-supervised model knows; None: all

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
            return (PairedImages, UnpairedImages) if self.paired else (UnpairedImages,)
        kinds: tuple[type, ...] = (Images,)
        if self.labels is not None:
            kinds += (LabelledImages, PartlyLabelledImages)
        if self.captions is not None:
            kinds += (CaptionedImages,)
        if self.photos is not None:
            kinds += (HighResolutionImages,)
        return kinds

    def __len__(self) -> int:
        return len(self.images)

    def keep_labels(self, per_class: int, seed: int) -> "Dataset":
        """The set with so many images of each class as the labelled ones, chosen by the seed alone.

        Those of a smaller number are among those of a larger. `UserError` if a class has too few.
        """
        assert self.labels is not None
        counts = torch.bincount(self.labels, minlength=len(self.class_names)).tolist()
        rarest = counts.index(min(counts))
        if counts[rarest] < per_class:
            name = self.class_names[rarest] if self.class_names else rarest
            way = f"use --labels-per-class {min(counts)} or fewer" if min(counts) else "leave that class away"
            raise UserError(
                f"{per_class} training images of each class are to keep their label, and class {name} of {self.name} "
                f"has {min(counts)}: {way}."
            )
        order = torch.randperm(len(self), generator=_seeded(torch.device("cpu"), seed, 3))
        shuffled = self.labels[order]
        chosen = [order[shuffled == place][:per_class] for place in range(len(counts))]
        return replace(self, labelled=torch.cat(chosen))


class Batches:
    """Draws typed batches from a data set that lives on the device, or in a file if it is too large.

    Every epoch is a fresh permutation, seeded by (seed, epoch); a batch may span two epochs, so every batch is full.
    The one number `drawn` is the whole state: setting it continues the order where it was, and the random changes of
    the images (windows, mirroring, binary pixels) with it. Under `world` processes all share the order and each takes
    its own slice of every batch.
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
        self.data = data
        self.store = torch.device("cpu") if data.mapped else self.device  # where the images and the order lie
        self.images = data.images.to(self.store)
        self.second = None if data.second is None else data.second.to(self.store)
        self.labels = None if data.labels is None else data.labels.to(self.store)
        self.labelled = None if data.labelled is None else data.labelled.to(self.store)
        self.photos = None if data.photos is None else data.photos.to(self.store)
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
        if self.kind is UnpairedImages or self.kind is PairedImages:
            assert self.second is not None
            other = index if self.kind is PairedImages else self._index(1, len(self.second), start, n)
            flips = self._flips(start, n)
            b_flips = flips if self.kind is PairedImages else self._flips(start, n, stream=1)
            return self.kind(self._decode(self.images[index], flips), self._decode(self.second[other], b_flips))
        image = self._image(index, start)
        if self.kind is PartlyLabelledImages:
            assert self.labels is not None
            known = self._index(2, len(self.images if self.labelled is None else self.labelled), start, n)
            known = known if self.labelled is None else self.labelled[known]
            return PartlyLabelledImages(self._image(known, start, stream=2), self.labels[known].to(self.device), image)
        if self.kind is LabelledImages:
            assert self.labels is not None
            return LabelledImages(image, self.labels[index].to(self.device))
        if self.kind is CaptionedImages:
            return CaptionedImages(image, self._captions(index, start))
        return self.kind(image)

    def _image(self, index: Tensor, start: int, stream: int = 0) -> Tensor:
        """The images of these places, with the random changes that the set asks for."""
        if self.photos is not None:
            stored = self.photos.cut(index, self._generator(start, self.store))
        else:
            stored = self.images[index]
        if self.data.bernoulli:
            generator = self._generator(start, self.store, 9 + 10 * stream)
            chance = torch.rand(stored.shape, generator=generator, device=self.store)
            stored = (chance * 255 < stored).to(torch.uint8) * 255
        return self._decode(stored, self._flips(start, len(index), stream))

    def _decode(self, stored: Tensor, flips: Tensor | None) -> Tensor:
        image = decode(stored.to(self.device)).to(self.dtype)
        return image if flips is None else torch.where(flips[:, None, None, None], image.flip(3), image)

    def _flips(self, start: int, n: int, stream: int = 0) -> Tensor | None:
        if not self.data.mirror:
            return None
        generator = self._generator(start, self.device, 10 + stream)
        return torch.rand(n, generator=generator, device=self.device) < 0.5

    def _captions(self, index: Tensor, start: int) -> tuple[str, ...]:
        assert self.data.captions is not None
        rng = np.random.default_rng([self.seed, 20, start])
        own = [self.data.captions[place] for place in index.tolist()]
        return tuple(sentences[rng.integers(len(sentences))] for sentences in own)

    def _generator(self, start: int, device: torch.device, stream: int = 9) -> torch.Generator:
        """Chance of its own for the batch that begins at `start`: a function of the seed and the count of draws."""
        return _seeded(device, self.seed, stream, start)

    def _index(self, stream: int, size: int, start: int, n: int) -> Tensor:
        """Places in the set of the items start..start+n of a stream, where the images lie."""
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
            generator = _seeded(torch.device("cpu"), self.seed, stream, epoch)
            cached = self._orders[stream] = (epoch, torch.randperm(size, generator=generator).to(self.store))
        return cached[1]


def _seeded(device: torch.device, *numbers: int) -> torch.Generator:
    """A generator whose stream is a function of these numbers."""
    words = np.random.SeedSequence(numbers).generate_state(2, np.uint32)
    return torch.Generator(device).manual_seed(int(words[0]) << 31 ^ int(words[1]))


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
