"""Draws docs/images/words.png, words-nlvr.png and words-flowers.png: sentences below the pictures made of them.

    python tools/words_picture.py                                 of `pretrained:words`, seconds
    GANARIUM_DATA=... python tools/words_picture.py nlvr flowers  of runs that are made first, minutes of one core each

NLVR has drawn scenes and sentences by people (Suhr, Lewis, Yeh, Artzi 2017, CC BY 4.0), embedded by MiniLM; the flowers
of Oxford-102 have the names of their kinds alone, so their sentences are templates.
"""

import os
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image, ImageDraw, ImageFont

import ganarium
from ganarium.runs import checkpoint

FOLDER = Path(__file__).parents[1] / "docs" / "images"
SMALL = {"projected": 64, "latent_dim": 16, "lr": 5e-4, "seed": 0, "threads": 1, "evaluate_every": 0}
FLOWERS = ("californian poppy", "common dandelion", "bishop of llandaff", "petunia", "passion flower", "rose")
FLOWERS += ("barbeton daisy", "morning glory", "cyclamen", "bougainvillea", "sword lily", "lotus lotus")


class Sheet(NamedTuple):
    run: str
    sentences: tuple[str, ...]
    columns: int
    size: tuple[int, int]  # of a picture on the sheet, width and height in pixels
    data: str = ""  # a folder in GANARIUM_DATA
    options: dict[str, Any] | None = None


SHEETS = {
    "words": Sheet(
        "pretrained:words",
        (
            "There is a large yellow circle in the middle.",
            "a big blue square in the lower right",
            "I can see a small red circle at the top left.",
            "In the upper right there is a large pink triangle.",
            "a tiny white square on the left side",
            "The picture shows a large purple circle at the bottom.",
            "a big green square in the bottom left corner",
            "There is a large orange triangle at the top.",
        ),
        4,
        (160, 160),
    ),
    "nlvr": Sheet(
        "runs/words-nlvr",
        (
            "There is 1 tower with a blue block at the base",
            "There are 2 black triangles",
            "There is a black tower.",
            "There is a box with items of only one color.",
            "There are 2 blue squares",  # from here on sentences that the run has not read
            "Each tower has at least 1 yellow block",
            "there are yellow items in each box",
            "There are 4 black blocks",
        ),
        2,
        (384, 96),
        "nlvr",
        {"encoder": "minilm", "size": "16x64", "fit": "pad", "batch_size": 32, "steps": 1600}
        | {"width": 16, "lr": 2e-4},
    ),
    "flowers": Sheet(
        "runs/words-flowers",
        tuple(f"a picture of {name}" for name in FLOWERS for _ in range(2)),
        8,
        (96, 96),
        "flowers102",
        {"size": "32", "batch_size": 32, "steps": 2600, "width": 24, "mirror": True}
        | {"num_text_steps": 500, "embedding_dim": 64, "text_width": 32, "text_lr": 4e-3},
    ),
}


def draw(name: str, sheet: Sheet) -> None:
    """Pictures in rows, each above its sentence; the run is made where it is not there yet."""
    if sheet.options and not checkpoint.exists(Path(sheet.run)):
        data = str(Path(os.environ.get("GANARIUM_DATA", "")) / sheet.data)
        ganarium.train("text_to_image", data, out=sheet.run, **SMALL | sheet.options)
    images = ganarium.load(sheet.run).sample(len(sheet.sentences), seed=0, text=list(sheet.sentences)).cpu()
    levels = images.movedim(1, 3).add(1).mul(127.5).round().to(torch.uint8).numpy()
    width, height = sheet.size
    letters = width // 6 - 2  # that fit below a picture
    lines = [textwrap.fill(sentence, letters) for sentence in sheet.sentences]
    room = 10 + 16 * max(text.count("\n") + 1 for text in lines)  # pixels for a sentence
    rows = -(-len(lines) // sheet.columns)
    picture, font = Image.new("RGB", (sheet.columns * (width + 10), rows * (height + room)), "white"), None
    font, pen = ImageFont.load_default(12), ImageDraw.Draw(picture)
    for number, (text, image) in enumerate(zip(lines, levels, strict=True)):
        x, y = number % sheet.columns * (width + 10), number // sheet.columns * (height + room)
        picture.paste(Image.fromarray(image).resize(sheet.size, Image.Resampling.NEAREST), (x, y))
        pen.multiline_text((x, y + height + 4), text, fill="black", font=font)
    picture.save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    for asked in sys.argv[1:] or ["words"]:
        draw("words" if asked == "words" else f"words-{asked}", SHEETS[asked])
