"""People's pictures: read with all that belongs to them (16 bits, transparency, colour profile), and written as PNG."""

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from ganarium.data.files.decode import FORMATS, UnusablePicture, as_displayed
from ganarium.data.files.profile import from_srgb, to_srgb
from ganarium.errors import UserError
from ganarium.runtime.files import atomic_write

BLOCK = 64  # rows that are compressed at a time
# Pillow reads 16 bits of grey; of colours and of grey with alpha it would drop eight.
DEEP = {2: "RGB", 4: "LA", 6: "RGBA"}  # colour types of PNG


class Photo(NamedTuple):
    """A picture, upright."""

    pixels: np.ndarray  # (h, w, 1) or (h, w, 3), uint8 or uint16
    alpha: np.ndarray | None = None  # (h, w), of the same type
    profile: bytes | None = None  # the ICC profile that says which colours the numbers mean

    @property
    def peak(self) -> int:
        """The level of white, and of what is opaque."""
        return int(np.iinfo(self.pixels.dtype).max)

    @property
    def grey(self) -> bool:
        return self.pixels.shape[2] == 1

    def laid_on_white(self) -> np.ndarray:
        """The pixels; those that are wholly transparent are white, whatever colour hides there."""
        if self.alpha is None or self.alpha.all():
            return self.pixels
        return np.where(self.alpha[:, :, None] == 0, np.array(self.peak, self.pixels.dtype), self.pixels)


def read_photo(file: Path) -> Photo:
    """One picture of a file. Raises `UnusablePicture`, or whatever PIL raises of a broken file: `decode.reason`."""
    with Image.open(file, formats=FORMATS) as image:
        if image.format == "PNG" and _bits_and_kind(file) in [(16, kind) for kind in DEEP]:
            return _deep(file)
        return photo_of(image)


def photo_of(image: Image.Image) -> Photo:
    """A PIL image as a photo: turned by its EXIF orientation, 16 bits kept.

    Raises `UnusablePicture` for floating point.
    """
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise UnusablePicture("has floating-point pixels, whose range is unknown")
    if image.mode.startswith("I"):
        return Photo(np.asarray(image).clip(0, 65535).astype(np.uint16)[:, :, None], None, _fitting(profile, 1))
    if image.mode == "CMYK":
        image, profile = as_displayed(image, 3), None
    channels = 1 if image.mode in ("1", "L", "LA") else 3
    profile = _fitting(profile, channels)
    if not image.has_transparency_data:
        pixels = np.array(image.convert("L" if channels == 1 else "RGB"))
        return Photo(pixels.reshape(*pixels.shape[:2], channels), None, profile)
    layers = np.array(image.convert("RGBA"))
    return Photo(layers[:, :, :channels], layers[:, :, 3], profile)


def photo_of_array(array: np.ndarray) -> Photo:
    """An array (h, w), or (h, w, c) with 1, 3 or 4 channels, the fourth of which is alpha. `UserError` for others."""
    if array.dtype not in (np.uint8, np.uint16) or array.ndim not in (2, 3) or array.size == 0:
        raise UserError(f"an array must be uint8 or uint16, (h, w) or (h, w, c), not {array.dtype} {array.shape}.")
    layers = array.reshape(*array.shape[:2], -1)
    if layers.shape[2] not in (1, 3, 4):
        raise UserError(f"an array must have 1, 3 or 4 channels (the fourth is alpha), not {layers.shape[2]}.")
    if layers.shape[2] == 4:
        return Photo(layers[:, :, :3], layers[:, :, 3])
    return Photo(layers)


def array_of(photo: Photo) -> np.ndarray:
    """(h, w, c) with the alpha as its last channel, where there is one."""
    return photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])


def image_of(photo: Photo) -> Image.Image:
    """A photo as PIL has it: 16 bits stay in grey without alpha, and become 8 elsewhere, which PIL knows no other."""
    layers = array_of(photo)
    if layers.dtype == np.uint16 and layers.shape[2] > 1:
        layers = (layers / 257).round().astype(np.uint8)
    image = Image.fromarray(layers[:, :, 0] if layers.shape[2] == 1 else layers)
    if photo.profile:
        image.info["icc_profile"] = photo.profile
    return image


def grey_of(pixels: np.ndarray) -> np.ndarray:
    """(..., 3) -> (..., 1), the luma of ITU-R BT.601, rounded as PIL does, at 8 or 16 bits."""
    if pixels.shape[-1] == 1:
        return pixels
    red, green, blue = (pixels[..., channel].astype(np.uint32) for channel in range(3))
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(pixels.dtype)[..., None]


def through(
    photo: Photo,
    channels: int,
    apply: Callable[[np.ndarray], np.ndarray],
    resize: Callable[[np.ndarray, tuple[int, int]], np.ndarray],
    *,
    keep_grey: bool,
) -> Photo:
    """What a network of so many channels makes of a photo; `apply` maps (n, h, w, channels) to levels of the same type.

    The network sees the colours of sRGB, as in training, and the result has those of the photo's own profile. Pixels
    that it leaves as they are keep their very numbers.

    Alpha goes through the network only if it knows four channels; else `resize(alpha, (h, w))` gives it the size of the
    result. With `keep_grey` a grey photo stays grey, and a network of grey sees the colours one by one; without, the
    result has the colours that the network knows.
    """
    given, alpha = photo.pixels if channels == 4 else photo.laid_on_white(), photo.alpha
    pixels = seen = to_srgb(given, photo.profile)
    if channels == 1:
        images = np.moveaxis(pixels, 2, 0)[..., None] if keep_grey else grey_of(pixels)[None]
        made = apply(images)
        made = np.concatenate(list(made), 2)
    else:
        if photo.grey:
            pixels = np.repeat(pixels, 3, 2)
        if channels == 4:
            opaque = np.full(pixels.shape[:2], photo.peak, pixels.dtype)
            pixels = np.dstack([pixels, opaque if alpha is None else alpha])
        made = apply(pixels[None])[0]
    if alpha is not None:
        alpha = made[:, :, 3] if channels == 4 else resize(alpha, made.shape[:2])
    made = made[:, :, :3]
    if keep_grey and photo.grey:
        made = grey_of(made)
    if seen is not given and made.shape[2] == 3:
        result = from_srgb(made, photo.profile)
        if made.shape == seen.shape:
            result = np.where((made == seen).all(2, keepdims=True), given, result)
        made = result
    return Photo(made, alpha, _fitting(photo.profile, made.shape[2]))


def in_srgb(photo: Photo) -> Photo:
    """The photo in the colours of sRGB, without a profile."""
    return photo._replace(pixels=to_srgb(photo.pixels, photo.profile), profile=None)


def write_png(file: Path, photo: Photo) -> None:
    """A PNG of 8 or 16 bits with alpha and profile. Written aside and renamed, in little more memory than the photo."""
    height, width, channels = photo.pixels.shape
    bits, kind = 8 * photo.pixels.dtype.itemsize, (0 if channels == 1 else 2) + (0 if photo.alpha is None else 4)

    def chunks() -> Iterator[bytes]:
        yield b"\x89PNG\r\n\x1a\n"
        yield _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
        if photo.profile:
            yield _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(photo.profile))
        packer = zlib.compressobj(6)
        for rows in _filtered(photo):
            yield _chunk(b"IDAT", packer.compress(rows))
        yield _chunk(b"IDAT", packer.flush())
        yield _chunk(b"IEND", b"")

    with atomic_write(file) as path, path.open("wb") as handle:
        handle.writelines(chunks())


def free_name(file: Path) -> Path:
    """The file's own name, or NAME-2, NAME-3 ... if there is such a file already."""
    candidate, number = file, 1
    while candidate.exists():
        number += 1
        candidate = file.with_name(f"{file.stem}-{number}{file.suffix}")
    return candidate


def _filtered(photo: Photo) -> Iterator[bytes]:
    """Rows in blocks, each row as it is or as differences to its left or upper neighbours, whichever is smallest."""
    above = None
    for start in range(0, len(photo.pixels), BLOCK):
        part = photo._replace(
            pixels=photo.pixels[start : start + BLOCK],
            alpha=None if photo.alpha is None else photo.alpha[start : start + BLOCK],
        )
        layers = array_of(part)
        pixel = layers.shape[2] * layers.dtype.itemsize  # bytes
        rows = np.ascontiguousarray(layers.astype(layers.dtype.newbyteorder(">"))).view(np.uint8)
        rows = rows.reshape(len(layers), -1)
        above = np.zeros_like(rows[0]) if above is None else above
        left, up = rows.copy(), rows - np.concatenate([above[None], rows[:-1]])
        left[:, pixel:] -= rows[:, :-pixel]
        forms = np.stack([rows, left, up])
        cheapest = np.minimum(forms, -forms).sum(2, dtype=np.int64).argmin(0)  # a byte counts as signed
        above = rows[-1]
        chosen = forms[cheapest, np.arange(len(rows))]
        yield np.concatenate([cheapest.astype(np.uint8)[:, None], chosen], 1).tobytes()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _bits_and_kind(file: Path) -> tuple[int, int]:
    """Bits of a channel and colour type, from the header of a PNG."""
    with file.open("rb") as handle:
        start = handle.read(26)
    return (start[24], start[25]) if len(start) == 26 else (0, 0)


def _deep(file: Path) -> Photo:
    """A PNG of 16 bits with more than one channel.

    Pillow has no such images, but its decoder can be told which of the two bytes to keep: it is asked for both.
    """
    halves = []
    for order in ("B", "L"):  # "L" takes the second byte of each pair for the higher one
        with Image.open(file, formats=["PNG"]) as image:
            kind, box, offset, raw = image.tile[0]
            grey = str(raw).startswith("LA")  # the four bytes of a pixel pass for one of RGBA at 8 bits
            image.tile = [type(image.tile[0])(kind, box, offset, "RGBA" if grey else f"{image.mode};16{order}")]
            image.load()
            halves.append(np.asarray(image).astype(np.uint16))
            orientation, profile = image.getexif().get(0x0112), image.info.get("icc_profile")
    high, low = halves
    layers = high[:, :, ::2] * 256 + high[:, :, 1::2] if grey else high * 256 + low
    layers = _turned(layers, orientation)
    channels = 1 if layers.shape[2] < 3 else 3
    alpha = layers[:, :, channels] if layers.shape[2] > channels else None
    return Photo(layers[:, :, :channels], alpha, _fitting(profile, channels))


def _turned(layers: np.ndarray, orientation: int | None) -> np.ndarray:
    """(h, w, c) upright, by the EXIF orientation."""
    if orientation in (5, 6, 7, 8):
        layers = layers.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        layers = layers[::-1]
    if orientation in (2, 3, 6, 7):
        layers = layers[:, ::-1]
    return layers


def _fitting(profile: bytes | None, channels: int) -> bytes | None:
    """The profile, if it is one of so many channels."""
    return profile if profile and profile[16:20] == (b"GRAY" if channels == 1 else b"RGB ") else None
