"""How a model is sampled and asked to translate or to classify: written once, for every model.

`Sampling` is the half of `Model` that users call. A model declares what it can do in its fields (prior, labels, code,
directions ...); commands, reports and exports read these fields, and nobody finds out by trying. None of the methods
touches the training: the random generators are forked, buffers and modes are put back.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ganarium.data.augment import cropped, reduced
from ganarium.data.dataset import PairedImages, UnpairedImages, decode
from ganarium.data.files.decode import MODES, UnusablePicture, as_displayed, fit_picture
from ganarium.data.files.photo import Photo, array_of, image_of, photo_of, photo_of_array, through
from ganarium.data.holes import mask_of, window_around
from ganarium.data.tiles import STEP, levels_of, map_tiles, reduced_copy, resized, values_of
from ganarium.errors import UserError
from ganarium.layers.labels import asked_labels, one_hot
from ganarium.layers.normalization import fixed_norms

CHUNK = 64  # samples made in one forward; also the batch whose statistics batch norm sees in the mode "train"
TILE, WHOLE = 320, 384**2  # pixels: the side of a tile, and the largest picture that is mapped as one


@dataclass(frozen=True)
class Prior:
    """The distribution of z: `dim` independent numbers, normal with variance 1, or uniform on [low, high]."""

    dim: int
    kind: Literal["normal", "uniform"] = "normal"
    low: float = -1.0
    high: float = 1.0

    def draw(self, n: int, device: torch.device, dtype: torch.dtype) -> Tensor:
        """`n` codes (n, dim)."""
        z = torch.empty(n, self.dim, device=device, dtype=dtype)
        return z.normal_() if self.kind == "normal" else z.uniform_(self.low, self.high)


@dataclass(frozen=True)
class Code:
    """The part of z that a user can set: a category, one-hot, and behind it continuous numbers, usual in [-1, 1].

    `start` is the column of z at which it begins.
    """

    categories: int
    continuous: int
    start: int


class Sampling(nn.Module):
    """What a model can do, and how it is asked for it. Fields are declared by the class, or in `__init__`."""

    config: Any
    shape: tuple[int, ...]  # (c, h, w) of an image, or (2,) for points
    num_classes: int | None  # of the data
    clock: Tensor
    sample_mode: str = "eval"  # "train" where the paper samples with batch statistics or dropout
    prior: Prior | None = None  # of z, for models that make samples from noise
    conditional: bool = False  # whether `sample` takes `label=`, one of `num_classes`
    code: Code | None = None  # whether `sample` takes `code=`
    directions: tuple[str, ...] = ()  # of `translate`, for models that map images; the first is the default
    scale: int | None = None  # by how much `upscale` enlarges each side, for models that enlarge
    reach: int | None = None  # pixels around one that `mapped` or `enlarged` sees, a multiple of its stride; None: all
    picture_statistics: bool = False  # whether it also sees statistics of the whole picture, as by instance norm
    inpaints: bool = False  # whether `inpaint` is there
    hole: tuple[int, int, int, int] | None = None  # top, left, bottom, right where a mask must lie; None: anywhere
    classifies: bool = False  # whether `classify` is there
    has_likelihood: bool = False  # whether `nll` is there

    def latent(self, n: int) -> Tensor:
        """Draws `n` codes (n, prior.dim) from the prior, on the model's device."""
        if self.prior is None:
            raise UserError(f"{type(self).__name__} has no latent codes.")
        return self.prior.draw(n, self.device, self.dtype)

    def generate(self, n: int, latent: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        """The raw forward used in `step`: (n, *shape) from the prior, or from the given codes (n, prior.dim).

        A conditional model also takes labels (n,), else it draws them, each class with equal chance; its `generator`
        reads them as one-hot rows beside the codes.
        """
        z = self.latent(n) if latent is None else latent
        if not self.conditional:
            return self.generator(z)  # type: ignore[operator, no-any-return]
        label = self.random_labels(n) if label is None else label
        return self.generator(z, one_hot(label, self.num_labels, z.dtype))  # type: ignore[operator, no-any-return]

    def mapped(self, image: Tensor, direction: str) -> Tensor:
        """The raw forward of `translate`: (b, c, h, w) in [-1, 1] to the same."""
        raise NotImplementedError

    def enlarged(self, image: Tensor) -> Tensor:
        """The raw forward of `upscale`: (b, c, h, w) in [-1, 1] to (b, c, scale h, scale w)."""
        raise NotImplementedError

    def filled(self, image: Tensor, mask: Tensor) -> Tensor:
        """The raw forward of `inpaint`: (b, *shape) in [-1, 1], its holes filled; `mask` (b, 1, h, w) shows them."""
        raise NotImplementedError

    def holes(self, n: int) -> Tensor:
        """Masks of `n` images as training has them: bool (n, 1, h, w)."""
        raise NotImplementedError

    def class_logits(self, image: Tensor) -> Tensor:
        """The raw forward of `classify`: (b, *shape) to logits (b, num_classes), for models that classify."""
        raise NotImplementedError

    def nll(self, image: Tensor) -> Tensor:
        """-log p of each image (b, c, h, w) in nats: (b,), for models that have a likelihood."""
        raise NotImplementedError

    def random_labels(self, n: int) -> Tensor:
        """int64 (n,), each class with equal chance."""
        return torch.randint(self.num_labels, (n,), device=self.device)

    def conditions(self, n: int, **given: Any) -> dict[str, Tensor]:
        """What `sample` was asked for, checked, as tensors with one row for each sample; see `sample`."""
        return conditions(self, n, **given)

    @property
    def task(self) -> str:
        """What the model is for, in a few words."""
        if self.directions:
            return "one kind of image into another"
        if self.scale:
            return "larger images"
        if self.inpaints:
            return "holes in images filled"
        if self.conditional:
            return "images by class, and a classifier" if self.classifies else "images by class"
        if self.classifies:
            return "a classifier from few labels"
        if self.code:
            return "images by a code it finds"
        return "images, and how likely they are" if self.has_likelihood else "new images"

    @property
    def num_labels(self) -> int:
        """How many classes the data have: `num_classes`, which a conditional model knows to be there."""
        assert self.num_classes is not None
        return self.num_classes

    @property
    def device(self) -> torch.device:
        return self.clock.device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Averaged weights for as long as the block lasts, where the model keeps them."""
        yield

    def sample(self, n: int, *, seed: int | None = None, **conditions: Any) -> Tensor:
        """`n` samples as float32 (n, c, h, w) in [-1, 1], or points (n, 2), on the model's device.

        Uses the averaged weights where the model keeps them, and the mode in which its paper samples; in the mode
        "train" batch norm sees batches of 64 whatever `n`, so one sample alone is as good as one of many. The same seed
        gives the same samples; without one they differ from call to call. `latent=` (n, latent_dim) fixes the codes of
        a noise model; `label=` and `code=` exist where the model has them. Raises `UserError` (a `ValueError`) for
        anything else.
        """
        return torch.cat(list(samples(self, n, seed=seed, **conditions)))

    def translate(
        self,
        image: Any,
        *,
        direction: str | None = None,
        full_size: bool = False,
        tile: int | None = None,
        fixed_statistics: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> Any:
        """Maps an image, and gives back what it was given: PIL image, array (h, w, c) of uint8 or uint16, tensor
        (c, h, w) or (b, c, h, w) in [-1, 1] (points: (2,) or (b, 2)), or a `Photo` of `data.files.photo`.

        Pictures and arrays are first scaled so that their shorter side is the model's (it was trained to see things at
        that size) and keep their proportions; tensors, and all with `full_size`, are taken as they are. The EXIF
        orientation is applied; 16 bits, alpha and colour profile are kept (PIL has no colours of 16 bits: they become
        8). `direction` is one of `model.directions`.

        With `tile` a picture is mapped in tiles of so many pixels, a multiple of 64. That is exact for networks that
        see only so far. Where they normalise by the statistics of the picture, `fixed_statistics` takes those of a copy
        in the model's size. `progress` is told the share that is done. Raises `UserError` for a model that does not map
        images, an unknown direction, a wrong number of channels, or tiles that would show seams.
        """
        if not self.directions:
            verb = "upscale" if self.scale else "inpaint" if self.inpaints else "sample"
            raise UserError(f"{type(self).__name__} does not map images: use {verb}.")
        chosen = direction or self.directions[0]
        if chosen not in self.directions:
            raise UserError(f"{chosen!r} is no direction of this model: choose one of {', '.join(self.directions)}.")

        def forward(batch: Tensor) -> Tensor:
            batch = batch.to(self.device, self.dtype)
            return torch.cat([self.mapped(part, chosen) for part in torch.split(batch, CHUNK)]).float()

        def apply(images: Any) -> Any:
            picture = isinstance(images, np.ndarray)
            if picture and not full_size:
                if tile is not None:
                    raise UserError("tiles are for pictures in their full size (full_size, --full-size).")
                small = reduced_copy(values_of(images).to(self.device, self.dtype), min(self.shape[1:]))
                return levels_of(forward(small), images.dtype)
            if images.ndim == 2:  # points
                return forward(images)
            side = self._side(images.shape[1:3] if picture else images.shape[2:], tile, fixed_statistics)
            if not fixed_statistics:
                return map_tiles(images, forward, side, self.reach or 0, 1, progress)
            values = values_of(images) if picture else images
            with fixed_norms(self, lambda: forward(reduced_copy(values, min(self.shape[1:])))):
                return map_tiles(images, forward, side, self.reach or 0, 1, progress)

        return self._mapped_alike(image, apply, "translate", keep_grey=False)

    def upscale(self, image: Any, *, tile: int | None = None, progress: Callable[[float], None] | None = None) -> Any:
        """Enlarges an image by `scale` on each side, and gives back what it was given: PIL image, array (h, w, c) of
        uint8 or uint16, tensor (c, h, w) or (b, c, h, w) in [-1, 1], or a `Photo` of `data.files.photo`. The result is
        clipped to that range.

        The EXIF orientation is applied; grey, 16 bits, alpha (enlarged by bicubic) and colour profile are kept (PIL has
        no colours of 16 bits: they become 8). Large pictures are enlarged in tiles that overlap by what the network
        sees, so that there are no seams; `tile` is their size in pixels of the input, a multiple of 64. `progress` is
        told the share that is done. Raises `UserError` for a model that does not enlarge, or a wrong number of
        channels.
        """
        if not self.scale:
            raise UserError(f"{type(self).__name__} does not enlarge images: use a run of srgan or esrgan.")
        scale = self.scale

        def forward(batch: Tensor) -> Tensor:
            batch = batch.to(self.device, self.dtype)
            return torch.cat([self.enlarged(part) for part in torch.split(batch, 1)]).float().clamp(-1, 1)

        def apply(images: Any) -> Any:
            size = images.shape[1:3] if isinstance(images, np.ndarray) else images.shape[2:]
            return map_tiles(images, forward, self._side(size, tile), self.reach or 0, scale, progress)

        return self._mapped_alike(image, apply, "upscale", keep_grey=True)

    def inpaint(self, image: Any, mask: Any) -> Any:
        """Fills a hole of an image, and gives back what it was given: PIL image, array (h, w, c) of uint8 or uint16,
        tensor (c, h, w) or (b, c, h, w) in [-1, 1], or a `Photo` of `data.files.photo`.

        `mask` says where: a PIL image (white) or an array or tensor (h, w), True or above the middle of its range. All
        that is not masked stays exactly as it is. The model fills a window of the image around the hole, which is
        scaled to the size it was trained at. Raises `UserError` for a model that does not fill holes, another size of
        the mask, an empty one, or a place where this model cannot fill.
        """
        if not self.inpaints:
            raise UserError(f"{type(self).__name__} does not fill holes: use a run of context_encoder.")
        where = mask_of(mask)

        def apply(images: Any) -> Any:
            stored = isinstance(images, np.ndarray)
            size = tuple(images.shape[1:3] if stored else images.shape[2:])
            if where.shape != size:
                raise UserError(f"the mask is {where.shape[0]}x{where.shape[1]} and the image {size[0]}x{size[1]}.")
            rows, columns = window_around(where, self.shape[1:], self.hole)
            inside = where[rows, columns]
            part = values_of(images[:, rows, columns]) if stored else images[:, :, rows, columns]
            seen = F.interpolate(part.float(), self.shape[1:], mode="bilinear", antialias=True)
            masked = torch.from_numpy(inside)[None, None].float()
            masked = F.interpolate(masked, self.shape[1:], mode="bilinear", antialias=True) > 0
            masked = masked.to(self.device).expand(len(seen), 1, -1, -1)
            made = self.filled(seen.to(self.device, self.dtype), masked).float()
            made = F.interpolate(made, inside.shape, mode="bilinear", antialias=True).clamp(-1, 1)
            if stored:
                result = images.copy()
                result[:, rows, columns][:, inside] = levels_of(made, images.dtype)[:, inside]
                return result
            result = images.to(self.device, torch.float32).clone()
            place = torch.from_numpy(inside).to(self.device)
            result[:, :, rows, columns] = torch.where(place, made, result[:, :, rows, columns])
            return result

        return self._mapped_alike(image, apply, "inpaint", keep_grey=True)

    def _side(self, size: Any, tile: int | None, fixed_statistics: bool = False) -> int | None:
        """The side of the tiles of a picture (h, w), or None for the whole. `UserError` where tiles show seams."""
        exact = self.reach is not None and (fixed_statistics or not self.picture_statistics)
        if fixed_statistics and not (self.picture_statistics and exact):
            raise UserError(f"the norms of {type(self).__name__} have no statistics to fix: leave that away.")
        if tile is None:
            return TILE if exact and size[0] * size[1] > WHOLE else None
        if not isinstance(tile, int) or tile < STEP or tile % STEP:
            raise UserError(f"tiles must have a side that is a multiple of {STEP} pixels, not {tile!r}.")
        if not exact and self.reach is not None:
            raise UserError(
                f"{type(self).__name__} normalises by the statistics of the whole picture, so that tiles would show "
                "seams: map the whole (leave the tiles away), or fix the statistics to those of a reduced copy "
                "(fixed_statistics, --fixed-statistics)."
            )
        if not exact:
            raise UserError(
                f"every pixel that {type(self).__name__} makes depends on the whole picture, so that tiles would show "
                "seams: map the whole (leave the tiles away)."
            )
        return tile

    def _mapped_alike(self, image: Any, apply: Callable[[Any], Any], name: str, *, keep_grey: bool) -> Any:
        """What `apply` makes of an image, in the form in which the image came; see `photo.through`."""
        rank = len(self.shape)
        if isinstance(image, Image.Image | np.ndarray | Photo):
            if rank != 3:
                raise UserError("the model knows points and no pictures: give tensors (b, 2).")
            try:
                photo = photo_of(image) if isinstance(image, Image.Image) else image
            except UnusablePicture as error:
                raise UserError(f"the picture {error}: give another one.") from error
            photo = photo_of_array(photo) if isinstance(photo, np.ndarray) else photo
            with undisturbed(self, 0, self.sample_mode):
                made = through(photo, self.shape[0], apply, resized, keep_grey=keep_grey)
            if isinstance(image, Photo):
                return made
            if isinstance(image, Image.Image):
                return image_of(made)
            return made.pixels[:, :, 0] if image.ndim == 2 and made.grey else array_of(made)
        if not isinstance(image, Tensor) or image.dim() not in (rank, rank + 1):
            raise UserError(
                f"{name} takes a PIL image, an array (h, w, c) of uint8 or uint16, or a tensor (b, c, h, w) in [-1, 1]."
            )
        batch = image if image.dim() == rank + 1 else image[None]
        self._check_channels(batch.shape[1])
        with undisturbed(self, 0, self.sample_mode):
            result = apply(batch)
        return result if image.dim() == rank + 1 else result[0]

    def _check_channels(self, channels: int) -> None:
        if channels != self.shape[0]:
            raise UserError(f"the image has {channels} channels and the model was trained on {self.shape[0]}.")

    def classify(self, image: Any) -> Tensor:
        """The class that each image most likely belongs to: int64 (b,), or () of one image; see `probabilities`."""
        return self.probabilities(image).argmax(-1)

    def probabilities(self, image: Any) -> Tensor:
        """How likely an image belongs to each class: float32 (num_classes,), or (b, num_classes) of a batch, on the
        model's device; each row sums to 1.

        `image` is a PIL image, a uint8 array (h, w, c), or a tensor (c, h, w) or (b, c, h, w) in [-1, 1] (points: (2,)
        or (b, 2)). Pictures and arrays are scaled to cover the model's size and cropped at the middle; tensors must
        have that size. Averaged weights, no dropout. Raises `UserError` for a model that does not classify, or another
        image.
        """
        if not self.classifies:
            raise UserError(
                f"{type(self).__name__} as it was trained does not classify: use a run of a model that learns to, "
                "such as a semi-supervised one."
            )
        if isinstance(image, np.ndarray):
            image = _picture(image)
        if isinstance(image, Image.Image) and len(self.shape) == 3:
            image = _covering(image, self.shape)
        batched = isinstance(image, Tensor) and image.dim() == len(self.shape) + 1
        if not isinstance(image, Tensor) or image.shape[batched:] != self.shape:
            wanted = ", ".join(map(str, self.shape))
            raise UserError(
                f"a tensor to classify must be ({wanted}) or (b, {wanted}), as the model was trained; a picture or a "
                "uint8 array (h, w, c) is fitted to that."
            )
        if not image.is_floating_point():
            raise UserError(f"a tensor to classify must have values in [-1, 1], not {image.dtype}.")
        if not image.isfinite().all():
            raise UserError("the tensor to classify has values that are not finite.")
        batch = (image if batched else image[None]).to(self.device, self.dtype)
        with undisturbed(self, 0, "eval"):
            logits = torch.cat([self.class_logits(part) for part in torch.split(batch, CHUNK)])
        found = logits.float().softmax(1)
        return found if batched else found[0]

    def preview(self, held_out: Any, *, seed: int = 0) -> Tensor:
        """64 images (2,000 points) for the sample grid of a run: samples, or for models that map images the columns of
        `preview_row`, image after image; of points those of the first direction alone. `held_out` is a typed batch the
        model was not trained on."""
        if self.directions and len(self.shape) == 1:
            return self.translate(source_of(held_out, self.directions[0]).float())  # type: ignore[no-any-return]
        if self.directions:
            columns = []
            for direction in self.directions:
                source = source_of(held_out, direction)
                columns += [source.float(), self.translate(source, direction=direction)]
        elif self.scale:
            original = cropped(held_out.image.float(), self.scale)
            low = reduced(original, self.scale)
            plain = F.interpolate(low, scale_factor=self.scale, mode="bicubic", align_corners=False).clamp(-1, 1)
            columns = [plain, self.upscale(low), original]
        elif self.inpaints:
            original = held_out.image[:16].float().to(self.device)
            with undisturbed(self, seed, self.sample_mode):
                masks = self.holes(len(original))
                filled = self.filled(original.to(self.dtype), masks).float().clamp(-1, 1)
            columns = [original.masked_fill(masks, 0), torch.where(masks, filled, original), original]
        else:
            return self.sample(CHUNK if len(self.shape) == 3 else 2000, seed=seed)
        return torch.stack([column[:16] for column in columns], 1).flatten(0, 1)

    @property
    def preview_row(self) -> tuple[str, ...]:
        """What the columns of `preview` are that belong to one image; empty where it shows samples; of points the first
        direction alone."""
        if self.directions and len(self.shape) == 1:
            return self.directions[:1]
        if self.directions:
            return tuple(name for direction in self.directions for name in (f"input {direction}", direction))
        if self.inpaints:
            return ("hole", "filled", "original")
        return ("bicubic", "upscaled", "original") if self.scale else ()


def source_of(batch: Any, direction: str) -> Tensor:
    """The images of a typed batch that a direction of `translate` starts from."""
    if isinstance(batch, UnpairedImages | PairedImages):
        return batch.b if direction == "b2a" else batch.a
    image: Tensor = batch.image
    return image


def target_of(batch: Any, direction: str) -> Tensor:
    """The images of a typed batch that a direction of `translate` leads to; of pairs, the true ones."""
    image: Tensor = batch.a if direction == "b2a" else batch.b
    return image


class StreamState:
    """Where a stream of samples was left: random generators, and the buffers that sampling moves. Empty at first."""

    def __init__(self) -> None:
        self.random: list[Tensor] = []
        self.buffers: list[Tensor] = []


@contextmanager
def undisturbed(model: Sampling, seed: int | None, mode: str, state: StreamState | None = None) -> Iterator[None]:
    """Averaged weights, no gradient, a random stream of its own; afterwards all is as it was.

    With a `state` the stream goes on from where the last block with that state has left it.
    """
    seed = checked_seed(seed)
    kind = model.device.type
    devices = {"devices": [model.device], "device_type": kind} if kind in ("cuda", "mps") else {"devices": []}
    with torch.random.fork_rng(**devices), torch.no_grad(), model.averaged():
        torch.manual_seed(seed)
        training = {module: module.training for module in model.modules()}
        moved = list(model.buffers()) if mode == "train" else []
        before = [buffer.clone() for buffer in moved]
        model.train(mode == "train")
        if state and state.random:
            _set_random(model, state.random)
            _copy(state.buffers, moved)
        try:
            yield
            if state:
                state.random, state.buffers = _random(model), [buffer.clone() for buffer in moved]
        finally:
            for module, was in training.items():
                module.training = was
            _copy(before, moved)


def checked_seed(seed: int | None) -> int:
    """The seed, or a new one for None. Raises `UserError` for what is no seed."""
    if seed is None:
        return int.from_bytes(os.urandom(7), "little")
    if not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise UserError(f"the seed must be a whole number from 0 to 2**63 - 1, not {seed!r}.")
    return seed


def _random(model: Sampling) -> list[Tensor]:
    """The states of the CPU's generator and of the model's device."""
    if model.device.type == "cuda":
        return [torch.get_rng_state(), torch.cuda.get_rng_state(model.device)]
    return [torch.get_rng_state(), *([torch.mps.get_rng_state()] if model.device.type == "mps" else [])]


def _set_random(model: Sampling, states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if model.device.type == "cuda":
        torch.cuda.set_rng_state(states[1], model.device)
    elif model.device.type == "mps":
        torch.mps.set_rng_state(states[1])


def _copy(values: list[Tensor], into: list[Tensor]) -> None:
    for value, buffer in zip(values, into, strict=True):
        buffer.copy_(value)


def samples(model: Sampling, n: int, *, seed: int | None = None, **conditions: Any) -> Iterator[Tensor]:
    """The samples that `model.sample` gives for the same seed, in parts of at most 64, each made when it is asked for:
    any number of them in the memory of one part, and of the `n` codes where codes are asked for.

    Nothing is disturbed between two parts. What is wrong is raised at once, as by `model.sample`.
    """
    return _parts(model, n, *_begun(model, n, seed, conditions))


def traced(model: Sampling, n: int, count: int, *, seed: int, **conditions: Any) -> tuple[Tensor, Tensor]:
    """The first `count` of the `n` samples of a seed, and the codes (count, latent_dim) that they were made from.

    Raises `UserError` for a model without codes, or one that draws more than one code for a sample.
    """
    if model.prior is None:
        raise UserError(f"{type(model).__name__} has no latent codes.")
    begun = _begun(model, n, seed, conditions)
    given, own, drawn, parts = begun[2], model.latent, [], []

    def latent(n: int) -> Tensor:
        drawn.append(own(n))
        return drawn[-1]

    vars(model)["latent"] = latent  # what `generate` draws is seen nowhere else
    try:
        for part in _parts(model, n, *begun):
            parts.append(part)
            if sum(map(len, parts)) >= count:
                break
    finally:
        del vars(model)["latent"]
    if "latent" not in given and len(drawn) != len(parts):
        raise UserError(f"{type(model).__name__} does not make a sample from one code, so none can be told.")
    codes = given["latent"] if "latent" in given else torch.cat(drawn)
    return torch.cat(parts)[:count], codes[:count]


def classes(model: Sampling) -> tuple[str, int]:
    """By what a model is told which class to make, and how many there are: ("label", 10), or ("code", 10) for the
    categories of a code. Raises `UserError` for a model that is told neither."""
    if model.conditional:
        return "label", model.num_labels
    if model.code:
        return "code", model.code.categories
    raise UserError(f"{type(model).__name__} takes no class and no code with categories, so it has no rows of classes.")


def conditions(
    model: Sampling, n: int, *, latent: Any = None, label: Any = None, code: Any = None, **unknown: Any
) -> dict[str, Tensor]:
    """What a model was asked for, by what it declares: tensors with one row for each of the `n` samples.

    `latent` (n, prior.dim) are the codes of a model with a prior. `label` is a class for all samples, or (n,) one for
    each. `code` is a category, or (category, numbers in [-1, 1] ...), for all samples, or (n, ...) a row for each.
    """
    name = type(model).__name__
    asked = {"label": label is not None and not model.conditional, "code": code is not None and model.code is None}
    wrong = sorted([word for word, refused in asked.items() if refused] + list(unknown))
    if latent is not None and model.prior is None:
        wrong.append("latent")
    if wrong:
        raise UserError(f"{name} is told no {' and no '.join(wrong)}: sample it without.")
    if code is not None:
        if latent is not None:
            raise UserError(f"the latent holds a code: give {name} code= or latent=, not both.")
        latent = _with_code(model, n, code)
    checked = {}
    if latent is not None:
        assert model.prior is not None
        wanted = (n, model.prior.dim)
        if not isinstance(latent, Tensor) or latent.shape != wanted:
            got = tuple(latent.shape) if isinstance(latent, Tensor) else type(latent).__name__
            raise UserError(f"latent must be a tensor of shape {wanted}, one code for each sample, not {got}.")
        checked["latent"] = latent.to(model.device, model.dtype)
    if label is not None:
        checked["label"] = asked_labels(label, n, model.num_labels, model.device)
    return checked


def _with_code(model: Sampling, n: int, code: Any) -> Tensor:
    """Codes (n, prior.dim) from the prior in which the part that can be set is `code`."""
    assert model.code is not None
    K, continuous, start = model.code.categories, model.code.continuous, model.code.start
    try:
        rows = torch.as_tensor(code, dtype=model.dtype, device=model.device)
        rows = rows.view(1, -1) if rows.dim() < 2 else rows
    except (TypeError, ValueError, OverflowError, RuntimeError):
        rows = torch.empty(0)
    fits = rows.dim() == 2 and len(rows) in (1, n) and 1 <= rows.shape[1] <= 1 + continuous
    if not fits or not rows.isfinite().all():
        wanted = f"code must be a category and at most {continuous} finite numbers"
        raise UserError(f"{wanted}, for all {n} samples, or a list of {n} such lists.")
    if not bool(((rows[:, 0] >= 0) & (rows[:, 0] < K) & (rows[:, 0] % 1 == 0)).all()):
        bad = ", ".join(f"{value:g}" for value in sorted(set(rows[:, 0].tolist())))
        raise UserError(f"the category of a code must be a whole number from 0 to {K - 1}, not {bad}.")
    latent = model.latent(n)
    latent[:, start : start + K] = one_hot(rows[:, 0], K, model.dtype)
    latent[:, start + K : start + K + rows.shape[1] - 1] = rows[:, 1:]
    return latent


def _begun(
    model: Sampling, n: int, seed: int | None, asked: dict[str, Any]
) -> tuple[int, StreamState, dict[str, Tensor]]:
    """Seed and state of a stream of samples, and what was asked for, checked."""
    if model.directions or model.scale or model.inpaints:
        verb = "translate" if model.directions else "upscale" if model.scale else "inpaint"
        raise UserError(f"{type(model).__name__} maps images to images: use {verb}.")
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise UserError(f"the number of samples must be a whole number of at least 1, not {n!r}.")
    seed, state = checked_seed(seed), StreamState()
    with undisturbed(model, seed, model.sample_mode, state):
        given = model.conditions(n, **asked)
    return seed, state, given


def _parts(model: Sampling, n: int, seed: int, state: StreamState, given: dict[str, Tensor]) -> Iterator[Tensor]:
    batch_statistics = model.sample_mode == "train"
    # codes that were asked for may be alike (a walk); half of the batch from the prior keeps its statistics usual
    part = CHUNK // 2 if batch_statistics and "latent" in given else CHUNK
    for start in range(0, n, part):
        take = min(part, n - start)
        with undisturbed(model, seed, model.sample_mode, state):
            rows = {name: value[start : start + part] for name, value in given.items()}
            if batch_statistics and take < CHUNK:
                rows = {name: _filled(model, name, value) for name, value in rows.items()}
                made = model.generate(CHUNK, **rows)[:take].float()
            else:
                made = model.generate(take, **rows).float()
        # some papers' generators have no bounded output
        yield made.clamp(-1, 1) if len(model.shape) == 3 else made


def _filled(model: Sampling, name: str, rows: Tensor) -> Tensor:
    """Rows made up to a whole chunk: with codes from the prior, or by repeating."""
    missing = CHUNK - len(rows)
    fill = model.latent(missing) if name == "latent" else rows.repeat(missing // len(rows) + 1, *[1] * (rows.dim() - 1))
    return torch.cat([rows, fill[:missing].to(rows)])


def _covering(image: Image.Image, shape: tuple[int, ...]) -> Tensor:
    """A picture as training has pictures of a folder: (c, h, w) in [-1, 1], scaled to cover that and cropped."""
    channels, height, width = shape
    try:
        pixels = np.array(fit_picture(as_displayed(image, channels), (height, width), "crop"))
    except UnusablePicture as error:
        raise UserError(f"the picture {error}: give another part of it.") from error
    return decode(torch.from_numpy(pixels.reshape(1, height, width, channels)))[0]


def _picture(array: np.ndarray) -> Image.Image:
    """A uint8 array (h, w) or (h, w, c) as PIL has it."""
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in MODES):
        raise UserError(f"an array must be uint8 (h, w, c) with 1, 3 or 4 channels, not {array.dtype} {array.shape}.")
    return Image.fromarray(_squeezed(array) if array.ndim == 3 else array)


def _squeezed(picture: np.ndarray) -> np.ndarray:
    return picture[:, :, 0] if picture.shape[2] == 1 else picture
