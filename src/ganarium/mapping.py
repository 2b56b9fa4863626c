"""How a model that maps images is asked for it: translate, upscale and inpaint, written once for all such models.

Pictures of any size are mapped whole, or in tiles where a network sees only so far, and come back in the form in which
they came: a PIL image, an array, a tensor, or a `Photo` with its alpha and colour profile.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ganarium.data.files.decode import UnusablePicture
from ganarium.data.files.photo import Photo, array_of, image_of, photo_of, photo_of_array, through
from ganarium.data.holes import mask_of, window_around
from ganarium.data.tiles import STEP, levels_of, map_tiles, reduced_copy, resized, values_of
from ganarium.errors import UserError
from ganarium.layers.inference import faster_on_cpu
from ganarium.layers.normalization import fixed_norms
from ganarium.registry import plain
from ganarium.runtime.device import resolve_precision
from ganarium.streams import CHUNK, undisturbed

FARTHEST = 1.5  # that a pixel of a tensor may lie from 0, since interpolation goes a little beyond [-1, 1]
TILE, WHOLE = 320, 384**2  # pixels: the side of a tile, and the largest picture that is mapped as one


class Mapping(nn.Module):
    """What a model that maps images declares, and the three ways of asking for it."""

    shape: tuple[int, ...]  # (c, h, w) of an image, or (2,) for points
    clock: Tensor  # () int64, on the device of the model
    sample_mode: str = "eval"  # "train" where the paper samples with batch statistics or dropout
    directions: tuple[str, ...] = ()  # of `translate`, for models that map images; the first is the default
    scale: int | None = None  # by how much `upscale` enlarges each side, for models that enlarge
    reach: int | None = None  # pixels around one that `mapped` or `enlarged` sees, a multiple of its stride; None: all
    picture_statistics: bool = False  # whether it also sees statistics of the whole picture, as by instance norm
    inpaints: bool = False  # whether `inpaint` is there
    hole: tuple[int, int, int, int] | None = None  # top, left, bottom, right where a mask must lie; None: anywhere

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
            with faster_on_cpu(self):
                return directed(images)

        def directed(images: Any) -> Any:
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

    def upscale(
        self,
        image: Any,
        *,
        tile: int | None = None,
        precision: str = "fp32",
        progress: Callable[[float], None] | None = None,
    ) -> Any:
        """Enlarges an image by `scale` on each side, and gives back what it was given: PIL image, array (h, w, c) of
        uint8 or uint16, tensor (c, h, w) or (b, c, h, w) in [-1, 1], or a `Photo` of `data.files.photo`. The result is
        clipped to that range.

        The EXIF orientation is applied; grey, 16 bits, alpha (enlarged by bicubic) and colour profile are kept (PIL has
        no colours of 16 bits: they become 8). Large pictures are enlarged in tiles that overlap by what the network
        sees, so that there are no seams; `tile` is their size in pixels of the input, a multiple of 64. `precision` is
        fp32, bf16 (about twice as fast on processors that have it, and some pixels one level off), or auto. `progress`
        is told the share that is done. Raises `UserError` for a model that does not enlarge, a wrong number of channels
        or another precision.
        """
        if not self.scale:
            raise UserError(f"{type(self).__name__} does not enlarge images: use a run of srgan or esrgan.")
        if precision not in ("fp32", "bf16", "auto"):
            raise UserError(f"the precision is fp32, bf16 or auto, not {precision!r}.")
        scale, half = self.scale, resolve_precision(precision, self.device.type) == "bf16"

        def forward(batch: Tensor) -> Tensor:
            batch = batch.to(self.device, self.dtype, memory_format=torch.channels_last)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
                return torch.cat([self.enlarged(part) for part in torch.split(batch, 1)]).float().clamp(-1, 1)

        def apply(images: Any) -> Any:
            size = images.shape[1:3] if isinstance(images, np.ndarray) else images.shape[2:]
            with faster_on_cpu(self):
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
            raise UserError(f"{type(self).__name__} does not fill holes: use a run of context_encoder or ccgan.")
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
        tile = plain(tile)
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
        check_values(batch, name, of_pixels=rank == 3)
        with undisturbed(self, 0, self.sample_mode):
            result = apply(batch)
        return result if image.dim() == rank + 1 else result[0]

    def _check_channels(self, channels: int) -> None:
        if channels != self.shape[0]:
            raise UserError(f"the image has {channels} channels and the model was trained on {self.shape[0]}.")


def check_values(image: Tensor, verb: str, *, of_pixels: bool) -> None:
    """Raises `UserError` for a tensor to `verb` that cannot be an image in [-1, 1]: of whole numbers, not finite, or
    far outside, as pixels from 0 to 255 are. Interpolation may have gone a little beyond. Points may lie anywhere."""
    scaled = ": of pixels from 0 to 255 give image / 127.5 - 1" if of_pixels else ""
    if not image.is_floating_point():
        raise UserError(f"a tensor to {verb} must have values in [-1, 1], not {image.dtype}{scaled}.")
    if not image.isfinite().all():
        raise UserError(f"the tensor to {verb} has values that are not finite.")
    if of_pixels and image.numel():
        least, most = image.min().item(), image.max().item()
        if max(-least, most) > FARTHEST:
            advice = scaled if least >= 0 else ""
            raise UserError(f"a tensor to {verb} must have values in [-1, 1], not from {least:g} to {most:g}{advice}.")
