"""Draws docs/images/words.png: sentences below the pictures that `pretrained:words` makes of them.

python tools/words_picture.py
"""

import textwrap
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

import ganarium

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "words.png"
SENTENCES = (
    "There is a large yellow circle in the middle.",
    "a big blue square in the lower right",
    "I can see a small red circle at the top left.",
    "In the upper right there is a large pink triangle.",
    "a tiny white square on the left side",
    "The picture shows a large purple circle at the bottom.",
    "a big green square in the bottom left corner",
    "There is a large orange triangle at the top.",
)
COLUMNS, SIDE, ROOM = 4, 160, 58  # pictures in a row; pixels of a picture, and of the sentence below it


def main() -> None:
    """Pictures in rows, each above its sentence."""
    images = ganarium.load("pretrained:words").sample(len(SENTENCES), seed=0, text=list(SENTENCES)).cpu()
    levels = images.movedim(1, 3).add(1).mul(127.5).round().to(torch.uint8).numpy()
    size = (COLUMNS * (SIDE + 10), len(SENTENCES) // COLUMNS * (SIDE + ROOM))
    picture, font = Image.new("RGB", size, "white"), ImageFont.load_default(12)
    pen = ImageDraw.Draw(picture)
    for number, (sentence, image) in enumerate(zip(SENTENCES, levels, strict=True)):
        x, y = number % COLUMNS * (SIDE + 10), number // COLUMNS * (SIDE + ROOM)
        picture.paste(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.NEAREST), (x, y))
        pen.multiline_text((x, y + SIDE + 4), textwrap.fill(sentence, 27), fill="black", font=font)
    picture.save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
