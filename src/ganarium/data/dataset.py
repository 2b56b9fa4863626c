"""One split of a data set as it is stored, and the typed batches that can be drawn from it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

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
    image: Tensor  # (b, c, h, w) in [-1, 1], or points (b, 2), of the images whose labels are known
    label: Tensor  # (b,) int64, of `image`
    unlabelled: Tensor  # as `image`, drawn independently from all images; their labels are not told


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


class SourceTargetImages(NamedTuple):
    source: Tensor  # (b, c, h, w) in [-1, 1], from the domain whose labels are known
    label: Tensor  # (b,) int64, of `source`
    target: Tensor  # (b, c, h, w) in [-1, 1], from the other domain, drawn independently; no labels


@dataclass(frozen=True)
class Photos:
    """Photos of any size in one tensor, from which windows of one size are cut."""

    pixels: Tensor  # uint8, flat: every photo as (height, width, channels)
    heights: Tensor  # (n,) int64
    widths: Tensor  # (n,) int64
    window: tuple[int, int]  # (h, w), not larger than the smallest photo
    channels: int
    starts: Tensor | None = None  # (n,) int64, the pixel at which each begins; None: they follow one another

    def to(self, device: torch.device) -> "Photos":
        """The photos on a device, with `starts` filled in."""
        pixels, heights, widths = self.pixels.to(device), self.heights.to(device), self.widths.to(device)
        starts = heights.mul(widths).cumsum(0) - heights * widths if self.starts is None else self.starts.to(device)
        return Photos(pixels, heights, widths, self.window, self.channels, starts)

    def cut(self, index: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Cuts a window uint8 (b, h, w, c) from each photo of `index` (b,), at a random place, or in its middle."""
        h, w = self.window
        heights, widths = self.heights[index], self.widths[index]
        if generator is None:
            top, left = (heights - h) // 2, (widths - w) // 2
        else:
            place = torch.rand(2, len(index), generator=generator, device=index.device, dtype=torch.float64)
            top, left = (place[0] * (heights - h + 1)).long(), (place[1] * (widths - w + 1)).long()
        starts = self.to(self.pixels.device).starts if self.starts is None else self.starts
        assert starts is not None
        down = torch.arange(h, device=index.device)[:, None]
        across = torch.arange(w, device=index.device)[None, :]
        corner = (starts[index] + top * widths + left)[:, None, None]
        pixel = corner + down * widths[:, None, None] + across  # (b, h, w)
        return self.pixels.view(-1, self.channels)[pixel]


@dataclass(frozen=True)
class Dataset:
    """One split of a data set as it is stored: images as uint8 (n, h, w, c), points as float32 (n, 2)."""

    name: str
    images: Tensor
    labels: Tensor | None = None  # (n,) int64
    class_names: tuple[str, ...] = ()
    second: Tensor | None = None  # domain B of an unpaired or a paired set, stored as `images`
    skipped: tuple[str, ...] = ()  # everything below the path that is not used, with the reason
    notes: tuple[str, ...] = ()  # what a person should know of how the data were read, in sentences
    source: str = ""  # where the data came from, in words
    extra: dict[str, Tensor] | None = None  # facts about each image of a drawn set, for proofs
    paired: bool = False  # `second` shows the same scenes as `images`, in the same order
    captions: tuple[tuple[str, ...], ...] | None = None  # one or more sentences for each image
    photos: Photos | None = None  # windows are cut from these; `images` holds the middle of each
    bernoulli: bool = False  # pixels are probabilities of 255, and each batch draws its own
    mirror: bool = False  # half of the images drawn are mirrored left to right
    mapped: bool = False  # `images` and `second` lie in a file on disk, from which batches are read
    digest: str = ""  # of the content, if the source knows it; else it is taken from the tensors
    labelled: Tensor | None = None  # (k,) indices of the images whose labels a semi-supervised model knows; None: all
    target_labels: Tensor | None = None  # (m,) int64, of `second`: for evaluation alone, no batch has them

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
            if self.labels is not None and not self.paired:
                return (SourceTargetImages, UnpairedImages)
            return (PairedImages, UnpairedImages) if self.paired else (UnpairedImages,)
        kinds: tuple[type, ...] = (Images,)
        if self.labels is not None:
            kinds += (LabelledImages, PartlyLabelledImages)
        if self.captions is not None:
            kinds += (CaptionedImages,)
        if self.photos is not None:
            kinds += (HighResolutionImages,)
        return kinds

    @property
    def target(self) -> "Dataset | None":
        """The second domain with its labels as a set of its own, for evaluation; None if there are none."""
        if self.second is None or self.target_labels is None:
            return None
        return replace(self, images=self.second, labels=self.target_labels, second=None, target_labels=None)

    def __len__(self) -> int:
        return len(self.images)

    def checksum(self) -> str:
        """SHA-256 of all images, labels and captions, or of the digest that the source knows instead of the images."""
        pixels = self.photos.pixels if self.photos else self.images
        images = [] if self.digest else [part for part in (pixels, self.second) if part is not None]
        if self.digest and self.labels is None and self.captions is None:
            return self.digest
        digest = hashlib.sha256(self.digest.encode())
        for part in [*images, *([] if self.labels is None else [self.labels])]:
            digest.update(part.numpy().tobytes())
        if self.captions is not None:
            digest.update("\0".join(text for texts in self.captions for text in (*texts, "")).encode())
        return digest.hexdigest()

    def with_classes(self, names: Sequence[str]) -> "Dataset":
        """The set with its labels as the places of the classes in `names`, which may have more than these.

        `UserError` if a class of the set is not among them.
        """
        if tuple(names) == self.class_names or not self.class_names or self.labels is None:
            return self
        if unknown := [name for name in self.class_names if name not in names]:
            gone = [name for name in names if name not in self.class_names]
            raise UserError(
                f"{self.name} has the class {unknown[0]!r}, which the run has not learned: it knows "
                f"{', '.join(names[:10])}"
                + (f", of which {gone[0]!r} is gone: give the folder its old name." if gone else ": take it away.")
            )
        places = torch.tensor([names.index(name) for name in self.class_names])
        of_target = None if self.target_labels is None else places[self.target_labels]
        return replace(self, labels=places[self.labels], class_names=tuple(names), target_labels=of_target)

    def suited_to(self, kind: type) -> "Dataset":
        """The set as it is, or, where captions are wanted of a set that has only classes, with one sentence for each
        image: a template with the name of its class, as its notes then say."""
        if kind is not CaptionedImages or self.captions is not None or self.labels is None or not self.class_names:
            return self
        sentences = [("a picture of " + name.replace("_", " "),) for name in self.class_names]
        note = f'nobody has described these images: the sentences are templates with class names ("{sentences[0][0]}")'
        captions = tuple(sentences[label] for label in self.labels.tolist())
        return replace(self, captions=captions, notes=(*self.notes, note))

    def keep_labels(self, per_class: int, seed: int) -> "Dataset":
        """The set with `per_class` images of each class as the labelled ones, chosen by the seed alone.

        The images of a smaller number are among those of a larger one. `UserError` if a class has too few.
        """
        assert self.labels is not None
        counts = torch.bincount(self.labels, minlength=len(self.class_names)).tolist()
        rarest = counts.index(min(counts))
        if counts[rarest] < per_class:
            name = self.class_names[rarest] if self.class_names else rarest
            remedy = f"use --labels-per-class {min(counts)} or fewer" if min(counts) else "leave that class away"
            raise UserError(
                f"{per_class} training images of each class are to keep their label, and class {name} of {self.name} "
                f"has {min(counts)}: {remedy}."
            )
        order = torch.randperm(len(self), generator=seeded_generator(torch.device("cpu"), seed, 3))
        shuffled = self.labels[order]
        labelled = [order[shuffled == label][:per_class] for label in range(len(counts))]
        return replace(self, labelled=torch.cat(labelled))


def seeded_generator(device: torch.device, *numbers: int) -> torch.Generator:
    """A random generator whose numbers are a function of these numbers."""
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
