"""Draws docs/images/completion.png: `GANARIUM_DATA=... python tools/completion_picture.py`, four minutes of one core.

Held-out digits of MNIST, one of each kind, stand above what a run of pixelrnn is shown of them, and above four ways in
which it goes on. The run is made where it is not there yet.
"""

from pathlib import Path

import torch
from PIL import Image

import ganarium
from ganarium.data import load_data
from ganarium.data.dataset import decode
from ganarium.pictures.grid import grid
from ganarium.runs import checkpoint

FOLDER = Path(__file__).parents[1] / "docs" / "images"
RUN = Path("runs/completion")
STEPS = 2500
WAYS = 4  # completions of each digit


def completion() -> None:
    """Digits, their upper halves, and completions, in columns."""
    if not checkpoint.exists(RUN):
        ganarium.train(
            "pixelrnn", data="mnist", out=RUN, steps=STEPS, seed=0, precision="bf16", threads=1, evaluate_every=0
        )
    _, test = load_data("mnist")
    assert test.labels is not None
    images = decode(test.images[[int((test.labels == digit).nonzero()[5]) for digit in range(10)]])
    mask = (torch.arange(images.shape[2]) >= images.shape[2] // 2)[:, None].expand(images.shape[2:])
    model = ganarium.load(RUN)
    ways = [model.complete(images, mask, seed=seed).cpu() for seed in range(WAYS)]
    picture = grid(torch.cat([images, images.masked_fill(mask, 0), *ways]), len(images))
    larger = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)
    larger.save(FOLDER / "completion.png", optimize=True)


if __name__ == "__main__":
    completion()
