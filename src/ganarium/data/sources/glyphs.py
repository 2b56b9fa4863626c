"""Draws digits and letters with the fonts of matplotlib and distorts them a little: labelled images, offline.

Every character is drawn large in each font, at one size and on one baseline per font, so that c and C differ. An image
is such a drawing after a random affine map and a smooth random displacement (Simard et al. 2003).
"""

import math
from pathlib import Path

import matplotlib
import PIL
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ganarium.data.arrays import check_memory, held_out, with_channels
from ganarium.data.dataset import Dataset
from ganarium.errors import UserError
from ganarium.runtime.cache import cached

DIGITS = "0123456789"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"  # without I, l and O: in many fonts 1, 1 and 0
GROUPS = {"digits": DIGITS, "letters": LETTERS, "all": DIGITS + LETTERS}

FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmb10", "cmss10", "cmtt10"),
)

VERSION = 1  # counts the changes to the drawing below
PER_CLASS = 1000

# Lengths are shares of the shorter side of the image.
CAPITAL = 0.54  # height of a capital
BASELINE = 0.74  # from the top: leaves room for descenders

ROTATION, SHEAR = math.radians(14), 0.2  # at most, either way
SCALE = (0.84, 1.1)
ASPECT = 0.08  # logarithm of width to height, at most, either way
SHIFT = 0.05  # at most, either way
BEND, BEND_POINTS = 0.022, 5  # std of the displacement at its 5x5 control points


def glyphs(
    *, size: tuple[int, int] | None = None, channels: int | None = None, characters: str | None = None
) -> tuple[Dataset, Dataset]:
    """Draws 1,000 images of each character, white on black, a tenth of them held out.

    `size` is (h, w), 32x32 by default; `characters` is `digits`, `letters`, `all` (the default) or the characters
    themselves.
    """
    size, classes = size or (32, 32), choose(characters or "all")
    check_memory("glyphs", len(classes) * PER_CLASS, size, channels or 1)
    key = (VERSION, matplotlib.__version__, PIL.__version__, torch.__version__, classes, size)
    images = with_channels(cached("glyphs", key, lambda: render(classes, size)), channels or 1)
    labels = torch.arange(len(classes)).repeat_interleave(PER_CLASS)
    train, test = (
        Dataset("glyphs", images[part], labels[part], tuple(classes), source="drawn from matplotlib's fonts")
        for part in held_out(len(images))
    )
    return train, test


def choose(characters: str) -> str:
    """The characters that a group's name or a string of characters stands for, in the order of their labels."""
    requested = GROUPS.get(characters, characters)
    unknown = sorted(set(requested) - set(GROUPS["all"]))
    if unknown or not requested:
        raise UserError(
            f"glyphs has no characters {''.join(unknown)!r}: give {', '.join(GROUPS)} or some of "
            f"{GROUPS['all']} (I, l and O are left out, they look like 1 and 0)."
        )
    return "".join(character for character in GROUPS["all"] if character in requested)


def render(characters: str, size: tuple[int, int]) -> Tensor:
    """uint8 (len(characters) * PER_CLASS, h, w, 1), class after class; a class does not depend on the others."""
    masters = draw_masters(characters, min(size))
    images = torch.empty(len(characters), PER_CLASS, *size, 1, dtype=torch.uint8)
    for character, master, target in zip(characters, masters, images, strict=True):
        generator = torch.Generator().manual_seed(ord(character))
        chunk = max(1, min(PER_CLASS, 2**20 // (size[0] * size[1])))
        for part in target.split(chunk):
            part.copy_(distort(master, len(part), size, generator))
    return images.flatten(0, 1)


def draw_masters(characters: str, side: int) -> Tensor:
    """float (characters, fonts, 2 * side, 2 * side) in [0, 1].

    They have twice the final resolution, so that one bilinear sample averages over about one final pixel.
    """
    reduction = max(1, 256 // (2 * side))
    large = 2 * side * reduction
    masters = torch.empty(len(characters), len(FONTS), 2 * side, 2 * side)
    for place, name in enumerate(FONTS):
        font = _font(name, CAPITAL * large)
        for character, target in zip(characters, masters, strict=True):
            left, _, right, _ = font.getbbox(character, anchor="ls")
            image = Image.new("L", (large, large))
            start = ((large - left - right) / 2, BASELINE * large)
            ImageDraw.Draw(image).text(start, character, fill=255, font=font, anchor="ls")
            pixels = torch.frombuffer(bytearray(image.reduce(reduction).tobytes()), dtype=torch.uint8)
            target[place] = pixels.view(2 * side, 2 * side) / 255
    return masters


def _font(name: str, capital: float) -> ImageFont.FreeTypeFont:
    """A font at the size at which an H is `capital` pixels high."""
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")
    font = ImageFont.truetype(path, 1000, layout_engine=ImageFont.Layout.BASIC)
    return font.font_variant(size=capital * 1000 / -font.getbbox("H", anchor="ls")[1])


def distort(masters: Tensor, count: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Images uint8 (count, h, w, 1) of one character, from masters (fonts, 2 * side, 2 * side), each font equally
    often."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    # The grid says where each output pixel looks in the master, so this is the inverse of the distortion.
    turn, shear = uniform(-ROTATION, ROTATION), uniform(-SHEAR, SHEAR)
    scale, aspect = uniform(*SCALE), uniform(-ASPECT, ASPECT).exp()
    rows = torch.stack([turn.cos(), turn.sin(), -turn.sin(), turn.cos()], dim=1).view(count, 2, 2)
    slant = torch.eye(2).repeat(count, 1, 1)
    slant[:, 0, 1] = shear
    inverse = slant @ rows / torch.stack([scale * aspect, scale / aspect], dim=1).unsqueeze(2)

    side = min(size)
    y, x = ((torch.arange(n) * 2 + 1 - n) / side for n in size)  # the shorter side spans [-1, 1]
    pixels = torch.stack([x.expand(size), y.unsqueeze(1).expand(size)], dim=2).view(-1, 2)
    shift = torch.stack([uniform(-2 * SHIFT, 2 * SHIFT), uniform(-2 * SHIFT, 2 * SHIFT)], dim=1).unsqueeze(1)
    bend = 2 * BEND * torch.randn(count, 2, BEND_POINTS, BEND_POINTS, generator=generator)
    bend = F.interpolate(bend, size=size, mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    source = ((pixels - shift) @ inverse.transpose(1, 2)).view(count, *size, 2) + bend

    font = torch.randperm(count, generator=generator) % len(masters)
    ink = F.grid_sample(masters[font].unsqueeze(1), source, mode="bilinear", align_corners=False)
    return ink.mul_(255).round_().to(torch.uint8).permute(0, 2, 3, 1)
