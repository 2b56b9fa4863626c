"""Draws docs/images/hidden-map.png: `GANARIUM_DATA=... python tools/hidden_map_picture.py`, ten minutes of one core.

CycleGAN learns a map that nobody shows it. One folder holds grey garments of Fashion-MNIST; the other holds other
garments, painted from cream over orange and magenta to navy, the darker the brighter they were. No garment is in both.
Rows: held-out grey garments, what G makes of them, and the map itself; then the same the other way. The run lies in
runs/hidden_map and goes on where it was stopped; how far translations are from the map is printed.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import ganarium
from ganarium.data.dataset import decode
from ganarium.pictures.grid import grid
from ganarium.runs import checkpoint

FILE = Path(__file__).parents[1] / "docs" / "images" / "hidden-map.png"
RUN, STEPS, COUNT = Path("runs/hidden_map"), 5000, 12
EACH, HELD_OUT, SIZE = 4000, 200, 32  # garments in each folder
STOPS = ((0, (250, 240, 215)), (90, (240, 150, 60)), (165, (180, 40, 110)), (255, (30, 30, 110)))
OPTIONS = {"size": SIZE, "width": 16, "num_blocks": 3, "batch_size": 4, "lr": 5e-4, "augment": False}


def paint(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The hidden map: grey (...) to colours (..., 3)."""
    levels = [level for level, _ in STOPS]
    parts = [np.interp(grey, levels, [colour[part] for _, colour in STOPS]) for part in range(3)]
    return np.stack(parts, -1).round().astype(np.uint8)


def garments() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Of the training and of the held-out garments, in grey: (n, SIZE, SIZE)."""
    train, test = ganarium.load_data("fashion_mnist", size=(SIZE, SIZE))
    return train.images[: 2 * EACH, ..., 0].numpy(), test.images[: 2 * HELD_OUT, ..., 0].numpy()


def write(folder: Path, train: NDArray[np.uint8], test: NDArray[np.uint8]) -> None:
    """Grey garments in trainA and testA, other ones, painted, in trainB and testB."""
    for part, images in (("train", train), ("test", test)):
        for domain, half in zip("AB", np.split(images, 2), strict=True):
            (folder / f"{part}{domain}").mkdir(parents=True)
            for place, grey in enumerate(half):
                pixels = paint(grey) if domain == "B" else np.stack([grey] * 3, -1)
                Image.fromarray(pixels).save(folder / f"{part}{domain}" / f"{place:05}.png")


def pixels(images: NDArray[np.uint8]) -> Tensor:
    """(n, h, w) or (n, h, w, 3) as (n, 3, h, w) in [-1, 1]."""
    return decode(torch.from_numpy(images if images.ndim == 4 else np.stack([images] * 3, -1)))


def main() -> None:
    torch.set_num_threads(1)
    train, test = garments()
    data = RUN.parent / "hidden_map_data"
    if not data.exists():
        write(data, train, test)
    if not checkpoint.exists(RUN):
        settings = {"steps": STEPS, "seed": 0, "threads": 1, "precision": "bf16", "evaluate_every": 0}
        ganarium.train("cyclegan", str(data), out=RUN, **settings, **OPTIONS)
    elif checkpoint.newest(RUN)[2]["step"] < STEPS:
        ganarium.resume(RUN, steps=STEPS)
    model, rows = ganarium.load(RUN), []
    for direction, half in (("a2b", test[:HELD_OUT]), ("b2a", test[HELD_OUT:])):
        grey, painted = pixels(half), pixels(paint(half))
        given, true = (grey, painted) if direction == "a2b" else (painted, grey)
        made = model.translate(given, direction=direction).cpu()
        print(f"{direction}: mean absolute difference from the map {(made - true).abs().mean():.3f} of 2")
        rows += [given[:COUNT], made[:COUNT], true[:COUNT]]
    picture = grid(torch.cat(rows), COUNT)
    larger = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)
    larger.save(FILE, optimize=True)


if __name__ == "__main__":
    main()
