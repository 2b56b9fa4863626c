"""Draws docs/images/style-mixing.png and style-truncation.png: `python tools/style_pictures.py`, seconds of one core.

Both are of `pretrained:style`, a StyleGAN2 that comes with the package.
"""

from pathlib import Path

import torch
from PIL import Image

import ganarium
from ganarium.pictures.grid import grid
from ganarium.pictures.latents import style_mixing

FOLDER = Path(__file__).parents[1] / "docs" / "images"
SHARES = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)  # psi of the truncation, a row for each


def mixing() -> Image.Image:
    """Columns have the fine styles of the first row, rows the coarse ones of the first column."""
    return style_mixing(ganarium.load("pretrained:style"), seed=2, other_seed=4)


def truncation() -> Image.Image:
    """Rows have less and less of their own styles, down to the average one."""
    model = ganarium.load("pretrained:style")
    return grid(torch.cat([model.sample(10, seed=2, truncation=share, noise_seed=0) for share in SHARES]), 10)


if __name__ == "__main__":
    for name, picture in (("style-mixing", mixing()), ("style-truncation", truncation())):
        larger = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)
        larger.save(FOLDER / f"{name}.png", optimize=True)
