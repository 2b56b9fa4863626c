"""Pictures enlarged four times by bicubic and by models, beside the originals, with the PSNR of the whole pictures.

    python tools/enlargement_picture.py SHARP_PHOTOS OUT.png RUN [RUN ...]

takes the first five pictures of a folder, such as Set5, Set14 or your own, makes each a quarter of its size and shows
the middle of what each run makes of it; a run may be `pretrained:upscaler`. tools/model_pictures.py draws the pictures
of srgan's and esrgan's pages by it, of pictures that ganarium draws itself.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from train_upscaler import SIDE, text_picture

import ganarium
from ganarium import metrics
from ganarium.data.augment import cropped, enlarged, reduced
from ganarium.data.dataset import decode
from ganarium.data.sources.scenes import draw_scenes, render

UNSEEN = 100_000  # numbers from here on no training reaches
PART, ZOOM, GAP, LINE = 96, 2, 8, 22  # pixels of the part that is shown; times larger; between parts; of a line of text


def side_by_side(pictures: list[Tensor], models: dict[str, Any]) -> Image.Image:
    """A row a picture (1, 3, h, w) in [-1, 1]: bicubic, each model under its title, the original."""
    rows = []
    for image in pictures:
        low = (reduced(image, 4) * 127.5 + 127.5).round() / 127.5 - 1  # as a file of it would be
        made = [enlarged(low, 4), *(model.upscale(low) for model in models.values())]
        words = [f"{metrics.psnr(one, image, border=4):.1f} dB" for one in made]
        rows.append([(part(one), text) for one, text in zip([*made, image], [*words, ""], strict=True)])
    return sheet(("bicubic", *models, "original"), rows)


def photos(folder: Path, count: int = 5) -> list[Tensor]:
    """The first pictures of a folder, cropped to sides that are multiples of 4."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".bmp"))
    opened = (np.array(Image.open(path).convert("RGB")) for path in files[:count])
    return [cropped(decode(torch.from_numpy(pixels)[None]), 4) for pixels in opened]


def unseen() -> list[Tensor]:
    """Pictures (1, 3, SIDE, SIDE) in [-1, 1] that no training has seen: two of text, one of a scene."""
    scene = render(draw_scenes(1, (SIDE, SIDE), torch.Generator().manual_seed(UNSEEN)), "filled", (SIDE, SIDE))
    texts = [torch.from_numpy(np.array(text_picture(number)))[None] for number in (UNSEEN, UNSEEN + 2)]
    return [cropped(decode(image), 4) for image in (*texts, scene)]


def part(image: Tensor) -> Image.Image:
    """The middle of an image (1, 3, h, w) in [-1, 1], with each pixel ZOOM pixels wide."""
    top, left = (max(0, side - PART) // 2 for side in image.shape[2:])
    pixels = image[0, :, top : top + PART, left : left + PART].permute(1, 2, 0)
    levels = (pixels.clamp(-1, 1) * 127.5 + 127.5).round().byte().numpy()
    return Image.fromarray(levels).resize((ZOOM * PART, ZOOM * PART), Image.Resampling.NEAREST)


def sheet(titles: tuple[str, ...], rows: list[list[tuple[Image.Image, str]]]) -> Image.Image:
    """Parts in a table, with titles above and words below each."""
    font = ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), 13)
    wide, high = ZOOM * PART + GAP, ZOOM * PART + GAP + LINE
    table = Image.new("RGB", (len(titles) * wide + GAP, len(rows) * high + GAP + LINE), "white")
    pen = ImageDraw.Draw(table)
    for column, title in enumerate(titles):
        pen.text((GAP + column * wide, GAP), title, "black", font)
        for row, cells in enumerate(rows):
            picture, words = cells[column]
            place = (GAP + column * wide, GAP + LINE + row * high)
            table.paste(picture, place)
            pen.text((place[0], place[1] + ZOOM * PART + 2), words, "black", font)
    return table


if __name__ == "__main__":
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    folder, out, *runs = sys.argv[1:]
    side_by_side(photos(Path(folder)), {Path(run).name: ganarium.load(run) for run in runs}).save(out, optimize=True)
