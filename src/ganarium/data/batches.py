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
    UnpairedImages,
    decode,
    seeded_generator,
)
from ganarium.errors import UserError


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
        return seeded_generator(device, self.seed, stream, start)

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
            generator = seeded_generator(torch.device("cpu"), self.seed, stream, epoch)
            cached = self._orders[stream] = (epoch, torch.randperm(size, generator=generator).to(self.store))
        return cached[1]
