"""Draws textures: pictures to cut windows from, and coloured glyphs on them as a second domain of `glyphs`.

A picture is a heap of dead leaves (Lee, Mumford and Huang 2001): discs and polygons of many sizes cover one another, so
that there are sharp edges at every scale. Each leaf has two colours and one pattern between them: plain, a grating of
soft or of hard stripes, a chequer, or noise of several grains. Lengths are in pixels, whatever the picture's size.
"""

import math

import matplotlib
import numpy as np
import PIL
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from ganarium.data.arrays import check_memory, held_out
from ganarium.data.dataset import Dataset, Photos
from ganarium.data.sources.glyphs import PER_CLASS, choose, distort, draw_masters
from ganarium.errors import UserError
from ganarium.runtime.cache import cached

VERSION = 1  # counts the changes to the drawing below
NUM_TRAIN, NUM_TEST = 400, 40
SIDE = 160  # of a picture, in pixels, unless the windows need more
MAX_WINDOW = 512  # side in pixels; drawing the pictures for a larger one takes minutes

PATTERNS = ("plain", "soft stripes", "hard stripes", "chequer", "fine noise", "noise", "coarse noise")
GRAINS = (1, 4, 12)  # of the three noises, in pixels
LEAVES = 60  # in 160x160 pixels
RADIUS = (5.0, 56.0)  # of a leaf, in pixels; small ones lie on top
WAVELENGTH = (2.5, 16.0)  # of a pattern, in pixels
OVERSAMPLING = 2  # a picture is drawn this many times as large, and reduced: antialiased edges


def textures(*, size: tuple[int, int] | None = None) -> tuple[Dataset, Dataset]:
    """Draws 400 pictures of textures and 40 held out, RGB, from which windows of `size` (h, w; 64x64 by default) are
    cut.

    The pictures are 160x160 pixels, or a quarter larger than the windows; `images` holds the middle of each.
    """
    size = size or (64, 64)
    _check_window("textures", size)
    images = pictures(size)
    splits = []
    for part in (images[:NUM_TRAIN], images[NUM_TRAIN:]):
        photos = _photos(part, size)
        middles = photos.cut(torch.arange(len(part)))
        splits.append(Dataset("textures", middles, source="drawn by ganarium", photos=photos))
    return splits[0], splits[1]


def glyphs_coloured(*, size: tuple[int, int] | None = None, characters: str | None = None) -> tuple[Dataset, Dataset]:
    """Draws the classes of `glyphs` in another domain, made as MNIST-M is from MNIST: |crop of a texture - glyph|, RGB.

    1,000 images of each character, a tenth of them held out; none is the same as in `glyphs`. `size`, `characters`
    and the order of the classes are as there.
    """
    size, classes = size or (32, 32), choose(characters or "all")
    _check_window("glyphs_coloured", size)
    check_memory("glyphs_coloured", len(classes) * PER_CLASS, size, 3)
    key = (VERSION, matplotlib.__version__, PIL.__version__, torch.__version__, classes, size)
    images = cached("glyphs_coloured", key, lambda: render_coloured(classes, size))
    labels = torch.arange(len(classes)).repeat_interleave(PER_CLASS)
    source = "drawn from matplotlib's fonts on drawn textures"
    train, test = (
        Dataset("glyphs_coloured", images[part], labels[part], tuple(classes), source=source)
        for part in held_out(len(images))
    )
    return train, test


def pictures(window: tuple[int, int]) -> Tensor:
    """uint8 (440, h, w, 3): the pictures of `textures` for windows of a size, those held out last."""
    height, width = (max(SIDE, side + side // 4) for side in window)
    key = (VERSION, PIL.__version__, torch.__version__, np.__version__, height, width)
    return cached("textures", key, lambda: render_textures(NUM_TRAIN + NUM_TEST, (height, width)))


def render_textures(count: int, size: tuple[int, int]) -> Tensor:
    """uint8 (count, h, w, 3); a picture depends on its index and on `size`, not on `count`."""
    images = torch.empty(count, *size, 3, dtype=torch.uint8)
    for place, target in enumerate(images):
        target.copy_(_picture(size, np.random.default_rng([place, 3])))
    return images


def render_coloured(characters: str, size: tuple[int, int]) -> Tensor:
    """uint8 (len(characters) * PER_CLASS, h, w, 3), class after class; a class does not depend on the others."""
    photos = _photos(pictures(size), size)
    masters = draw_masters(characters, min(size))
    images = torch.empty(len(characters), PER_CLASS, *size, 3, dtype=torch.uint8)
    for character, master, target in zip(characters, masters, images, strict=True):
        generator = torch.Generator().manual_seed(2**20 + ord(character))  # glyphs has the numbers below
        for part in target.split(max(1, min(PER_CLASS, 2**20 // (size[0] * size[1])))):
            glyph = distort(master, len(part), size, generator)
            crop = photos.cut(torch.randint(len(photos.heights), (len(part),), generator=generator), generator)
            torch.where(crop > glyph, crop - glyph, glyph - crop, out=part)
    return images.flatten(0, 1)


def _check_window(name: str, size: tuple[int, int]) -> None:
    if max(size) > MAX_WINDOW:
        raise UserError(
            f"{name} is drawn in sizes up to {MAX_WINDOW} pixels a side, not {size[0]}x{size[1]}: use a smaller --size."
        )


def _photos(images: Tensor, window: tuple[int, int]) -> Photos:
    count, height, width, channels = images.shape
    heights, widths = (torch.full((count,), side) for side in (height, width))
    return Photos(images.reshape(-1), heights, widths, window, channels)


def _picture(size: tuple[int, int], rng: np.random.Generator) -> Tensor:
    """float (h, w, 3) of whole numbers from 0 to 255."""
    number = max(2, round(LEAVES * size[0] * size[1] / SIDE**2))
    owner = _heap(size, number, rng)  # (h, w) of the large drawing

    def each(low: float, high: float) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, number).astype(np.float32))

    def on_top(values: Tensor) -> Tensor:
        return values[owner]

    pattern = on_top(torch.from_numpy(rng.integers(len(PATTERNS), size=number)))
    angle, phase = on_top(each(0, math.pi)), on_top(each(0, math.tau))
    short, long = (math.log(length) for length in WAVELENGTH)
    frequency = on_top(math.tau / each(short, long).exp())  # radians per pixel
    y, x = ((torch.arange(side * OVERSAMPLING) + 0.5) / OVERSAMPLING for side in size)
    x, y = x.unsqueeze(0), y.unsqueeze(1)
    along = (x * angle.cos() + y * angle.sin()) * frequency + phase
    across = (y * angle.cos() - x * angle.sin()) * frequency
    soft, other = along.sin(), across.sin()
    noise = [_noise(size, cell, rng) for cell in GRAINS]
    values = torch.stack([torch.zeros_like(soft), soft, soft.sign(), (soft * other).sign(), *noise])
    mix = values.gather(0, pattern.unsqueeze(0)).squeeze(0).unsqueeze(2) / 2 + 0.5

    first, second = _colours(number, rng)
    colour = on_top(first) * mix + on_top(second) * (1 - mix)
    reduced = F.avg_pool2d(colour.permute(2, 0, 1), OVERSAMPLING).permute(1, 2, 0)
    return (reduced * 255).round().clamp(0, 255)


def _colours(number: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Two colours (number, 3) in [0, 1] for each leaf, all near one base colour of the picture.

    The base is more often dark or bright than in between, where |colour - 1| would be near the colour itself.
    """
    base = 0.15 + 0.7 * rng.beta(0.5, 0.5) + rng.normal(0, 0.12, 3)
    light, chroma = rng.uniform(0.08, 0.3), rng.uniform(0.04, 0.16)  # how far the colours of leaves are from it
    first = base + rng.normal(0, light, (number, 1)) + rng.normal(0, chroma, (number, 3))
    second = first + rng.normal(0, light, (number, 1)) + rng.normal(0, chroma, (number, 3))
    a, b = (torch.from_numpy(colour.clip(0, 1).astype(np.float32)) for colour in (first, second))
    return a, b


def _heap(size: tuple[int, int], number: int, rng: np.random.Generator) -> Tensor:
    """int64 (h * OVERSAMPLING, w * OVERSAMPLING): the leaf on top, of those that fall one after another on the
    first."""
    height, width = (side * OVERSAMPLING for side in size)
    image = Image.new("I", (width, height), 0)
    draw = ImageDraw.Draw(image)
    large_first = np.sort(rng.uniform(size=number))  # so that small leaves are seen
    for leaf in range(1, number):
        # Uniform in the logarithm: as much to see at every scale.
        radius = OVERSAMPLING * RADIUS[1] * (RADIUS[0] / RADIUS[1]) ** large_first[leaf]
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        corners = int(rng.integers(2, 7))
        if corners == 2:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=leaf)
        else:
            angles = np.sort(rng.uniform(0, math.tau, corners))
            points = zip(x + radius * np.cos(angles), y + radius * np.sin(angles), strict=True)
            draw.polygon(list(points), fill=leaf)
    return torch.from_numpy(np.array(image, dtype=np.int64))


def _noise(size: tuple[int, int], cell: int, rng: np.random.Generator) -> Tensor:
    """(h * OVERSAMPLING, w * OVERSAMPLING) in [-1, 1]: smooth noise whose grains are `cell` pixels."""
    grid = torch.from_numpy(rng.uniform(-1, 1, [side // cell + 3 for side in size]).astype(np.float32))
    grown = F.interpolate(grid[None, None], scale_factor=cell * OVERSAMPLING, mode="bilinear", align_corners=False)
    return grown[0, 0, : size[0] * OVERSAMPLING, : size[1] * OVERSAMPLING]
