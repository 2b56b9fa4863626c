"""Draws docs/images/projection.png: `GANARIUM_DATA=... python tools/projection_picture.py`, half a minute of one core.

Held-out garments of Fashion-MNIST stand above what a generator that comes with the package makes of the codes that are
found for them.
"""

from pathlib import Path

import torch
from PIL import Image

import ganarium
from ganarium.data import load_data
from ganarium.data.dataset import decode
from ganarium.pictures.grid import grid

FOLDER = Path(__file__).parents[1] / "docs" / "images"


def projection() -> None:
    """Held-out garments above their projections."""
    _, test = load_data("fashion_mnist")
    images = decode(test.images[:12])
    model = ganarium.load("pretrained:garments")
    made = model.project(images, starts=4, steps=150)
    print(f"mean error {made.error.mean():.4f}, best random {made.random_error.mean():.4f}, {made.seconds:.0f} s")
    picture = grid(torch.cat([images, made.image.cpu()]), 12)
    larger = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)
    larger.save(FOLDER / "projection.png", optimize=True)


if __name__ == "__main__":
    projection()
