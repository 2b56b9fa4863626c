"""Colour profiles (ICC): the colours that a picture's numbers mean, as those of sRGB and back, at 8 and at 16 bits.

Profiles of cameras and screens are three primaries and three curves (matrix and TRC), which are computed here: Pillow
has no conversion of 16 bits. Others, such as those of printers, are left to Pillow, at 8 bits.
"""

import io
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

ROWS = 256  # that are converted at a time
POINTS = np.linspace(0, 1, 65536)
SAME = 1 / 2000  # two profiles that differ by less are one: half a level of 8 bits is four times that


class Shaper(NamedTuple):
    """A profile of primaries and curves."""

    matrix: np.ndarray  # (3, 3): linear RGB to XYZ under D50
    curves: np.ndarray  # (3, 65536): of each channel, from its numbers, evenly spaced, to linear light


def to_srgb(pixels: np.ndarray, profile: bytes | None) -> np.ndarray:
    """Pixels (h, w, 3) uint8 or uint16 of a profile, as those of sRGB; colours outside of sRGB are clipped to it.

    Without a profile, or with one that cannot be read, the pixels are those of sRGB already.
    """
    return _converted(pixels, profile, back=False)


def from_srgb(pixels: np.ndarray, profile: bytes | None) -> np.ndarray:
    """The inverse of `to_srgb`."""
    return _converted(pixels, profile, back=True)


def _converted(pixels: np.ndarray, profile: bytes | None, *, back: bool) -> np.ndarray:
    if profile is None or pixels.shape[2] != 3 or profile[16:20] != b"RGB ":
        return pixels
    with suppress(ImageCms.PyCMSError, OSError, struct.error, ValueError, np.linalg.LinAlgError):
        own, screen = shaper(profile), shaper(srgb())
        assert screen is not None
        if own is None:
            return _by_pillow(pixels, profile, back=back)
        if all(np.abs(a - b).max() < SAME for a, b in zip(own, screen, strict=True)):
            return pixels
        change = _by_shapers(*((screen, own) if back else (own, screen)))
        parts = [change(pixels[row : row + ROWS]) for row in range(0, len(pixels), ROWS)]
        return np.concatenate(parts)
    return pixels  # a broken profile says nothing


def _by_shapers(source: Shaper, target: Shaper) -> Callable[[np.ndarray], np.ndarray]:
    """A conversion of pixels (h, w, 3)."""
    matrix = np.linalg.inv(target.matrix) @ source.matrix

    def change(pixels: np.ndarray) -> np.ndarray:
        peak = np.iinfo(pixels.dtype).max
        places = pixels.astype(np.uint32) * (65535 // peak)
        linear = np.stack([source.curves[channel][places[..., channel]] for channel in range(3)], 2)
        linear = (linear @ matrix.T).clip(0, 1)
        numbers = [np.interp(linear[..., channel], target.curves[channel], POINTS) for channel in range(3)]
        return (np.stack(numbers, 2) * peak).round().astype(pixels.dtype)

    return change


def _by_pillow(pixels: np.ndarray, profile: bytes, *, back: bool) -> np.ndarray:
    steps = np.iinfo(pixels.dtype).max // 255
    image = Image.fromarray((pixels // steps).astype(np.uint8))
    ends = [ImageCms.ImageCmsProfile(io.BytesIO(content)) for content in (profile, srgb())]
    source, target = ends[::-1] if back else ends
    made = ImageCms.profileToProfile(image, source, target)
    return (np.asarray(made).astype(np.uint32) * steps).astype(pixels.dtype)


@cache
def srgb() -> bytes:
    """The profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def shaper(profile: bytes) -> Shaper | None:
    """The primaries and curves of a profile, if it is made of these.

    Raises `ValueError` or `struct.error` for one that is damaged.
    """
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = [struct.unpack_from(">4sII", profile, 132 + 12 * place) for place in range(min(count, 200))]
    tags = {name: profile[start : start + size] for name, start, size in entries}
    wanted = [color + kind for kind in (b"XYZ", b"TRC") for color in (b"r", b"g", b"b")]
    if b"A2B0" in tags or not all(name in tags for name in wanted):
        return None
    columns = [np.array(struct.unpack_from(">3i", tags[name], 8)) / 65536 for name in wanted[:3]]
    return Shaper(np.stack(columns, 1), np.stack([_curve(tags[name])(POINTS) for name in wanted[3:]]))


def _curve(tag: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """A tone curve from [0, 1] to [0, 1]: a gamma, a table or one of the five formulas of ICC.1:2022, section 10.18."""
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        values = np.array(struct.unpack_from(f">{count}H", tag, 12), float)
        if count < 2:
            return partial(_power, gamma=values[0] / 256 if count else 1.0)
        return lambda x: np.interp(x, np.linspace(0, 1, count), values / 65535)
    if tag[:4] != b"para":
        raise ValueError("an unknown tone curve")
    (kind,) = struct.unpack_from(">H", tag, 8)
    numbers = [number / 65536 for number in struct.unpack_from(f">{(1, 3, 4, 5, 7)[min(kind, 4)]}i", tag, 12)]
    gamma, a, b, c, d, e, f = numbers + [0.0] * (7 - len(numbers))
    if kind == 0:
        return partial(_power, gamma=gamma)
    if kind in (1, 2):  # (a x + b)^gamma + c from -b / a on, and c below
        return lambda x: _power((a * x + b).clip(0), gamma) + c
    return lambda x: np.where(x >= d, _power((a * x + b).clip(0), gamma) + e, c * x + f).clip(0, 1)


def _power(x: np.ndarray, gamma: float) -> np.ndarray:
    power: np.ndarray = x**gamma
    return power
