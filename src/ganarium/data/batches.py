"""`Batches` draws typed batches from a data set, in an order that is a function of (seed, items drawn)."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganarium.data.dataset import (
    CaptionedImages,
    Dataset,
    LabelledImages,
    PairedImages,
    PartlyLabelledImages,
    SourceTargetImages,
    UnpairedImages,
    decode,
    seeded_generator,
)
from ganarium.errors import UserError


class Batches:
    """Draws typed batches from a data set that lies on the device, or in a file if it is too large.

    Every epoch is a new permutation, seeded by (seed, epoch). A batch may span two epochs, so every batch is full. The
    number `drawn` of items drawn so far is the whole state: setting it continues the order there, and with it the
    random changes of the images (windows, mirroring, binary pixels). Under `world` processes all share the order, and
    each takes its own slice of every batch.
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
        data = data.suited_to(kind)
        if kind not in data.kinds:
            kinds = " or ".join(own_kind.__name__ for own_kind in data.kinds)
            raise UserError(f"the data set {data.name} gives {kinds}, not {kind.__name__}.")
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
        self.storage = torch.device("cpu") if data.mapped else self.device  # of the images and the order
        self.images = data.images.to(self.storage)
        self.second = None if data.second is None else data.second.to(self.storage)
        self.labels = None if data.labels is None else data.labels.to(self.storage)
        self.labelled = None if data.labelled is None else data.labelled.to(self.storage)
        self.photos = None if data.photos is None else data.photos.to(self.storage)
        self._orders: dict[int, tuple[int, Tensor]] = {}  # stream -> (epoch, permutation)

    def __iter__(self) -> "Batches":
        return self

    def __next__(self) -> Any:
        return self.draw(self.batch_size)

    def draw(self, n: int) -> Any:
        """A batch of `n` items instead of the configured size."""
        start = self.drawn + self.rank * n
        self.drawn += n * self.world
        index = self._index(0, len(self.images), start, n)
        if self.kind is UnpairedImages or self.kind is PairedImages:
            assert self.second is not None
            paired = self.kind is PairedImages
            index_b = index if paired else self._index(1, len(self.second), start, n)
            mirror = self._mirror(start, n)
            mirror_b = mirror if paired else self._mirror(start, n, stream=1)
            return self.kind(self._decode(self.images[index], mirror), self._decode(self.second[index_b], mirror_b))
        if self.kind is SourceTargetImages:
            assert self.second is not None
            assert self.labels is not None
            source = self._decode(self.images[index], self._mirror(start, n))
            other = self._index(1, len(self.second), start, n)
            target = self._decode(self.second[other], self._mirror(start, n, stream=1))
            return SourceTargetImages(source, self.labels[index].to(self.device), target)
        image = self._image(index, start)
        if self.kind is PartlyLabelledImages:
            assert self.labels is not None
            labelled = self._index(2, len(self.images if self.labelled is None else self.labelled), start, n)
            labelled = labelled if self.labelled is None else self.labelled[labelled]
            label = self.labels[labelled].to(self.device)
            return PartlyLabelledImages(self._image(labelled, start, stream=2), label, image)
        if self.kind is LabelledImages:
            assert self.labels is not None
            return LabelledImages(image, self.labels[index].to(self.device))
        if self.kind is CaptionedImages:
            return CaptionedImages(image, self._captions(index, start))
        return self.kind(image)

    def _image(self, index: Tensor, start: int, stream: int = 0) -> Tensor:
        """The images of these indices, with the random changes that the set asks for."""
        if self.photos is not None:
            stored = self.photos.cut(index, self._generator(start, self.storage))
        else:
            stored = self.images[index]
        if self.data.bernoulli:
            generator = self._generator(start, self.storage, 9 + 10 * stream)
            threshold = torch.rand(stored.shape, generator=generator, device=self.storage)
            stored = (threshold * 255 < stored).to(torch.uint8) * 255
        return self._decode(stored, self._mirror(start, len(index), stream))

    def _decode(self, stored: Tensor, mirror: Tensor | None) -> Tensor:
        image = decode(stored.to(self.device)).to(self.dtype)
        return image if mirror is None else torch.where(mirror[:, None, None, None], image.flip(3), image)

    def _mirror(self, start: int, n: int, stream: int = 0) -> Tensor | None:
        """Which of `n` images are mirrored, bool (n,); None if the set is not mirrored."""
        if not self.data.mirror:
            return None
        generator = self._generator(start, self.device, 10 + stream)
        return torch.rand(n, generator=generator, device=self.device) < 0.5

    def _captions(self, index: Tensor, start: int) -> tuple[str, ...]:
        """One caption of each of these images, drawn at random."""
        assert self.data.captions is not None
        rng = np.random.default_rng([self.seed, 20, start])
        choices = [self.data.captions[place] for place in index.tolist()]
        return tuple(sentences[rng.integers(len(sentences))] for sentences in choices)

    def _generator(self, start: int, device: torch.device, stream: int = 9) -> torch.Generator:
        """The random generator of the batch that begins at `start`: a function of the seed and the count of draws."""
        return seeded_generator(device, self.seed, stream, start)

    def _index(self, stream: int, size: int, start: int, n: int) -> Tensor:
        """Indices (n,) of the items start to start + n of a stream of permutations of `size`, on the storage device."""
        parts = []
        while n > 0:
            epoch, first = divmod(start, size)
            part = self._order(stream, size, epoch)[first : first + n]
            parts.append(part)
            start, n = start + len(part), n - len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _order(self, stream: int, size: int, epoch: int) -> Tensor:
        """The permutation of an epoch. The latest of each stream is remembered."""
        cached = self._orders.get(stream)
        if cached is None or cached[0] != epoch:
            generator = seeded_generator(torch.device("cpu"), self.seed, stream, epoch)
            cached = self._orders[stream] = (epoch, torch.randperm(size, generator=generator).to(self.storage))
        return cached[1]
