"""Draws docs/images/latent-map.png: `GANARIUM_DATA=... python tools/latent_map_picture.py`, two minutes of one core.

The left half has the codes that an AAE gives to held-out digits, coloured by their label; the right half has what it
draws from a grid of codes. It is trained as in the proof aae_prior, from seed 0.
"""

from pathlib import Path
from typing import Any

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ganarium.data.dataset import decode
from ganarium.pictures.grid import grid
from ganarium.proofs.claim import load_claim

FILE = Path(__file__).parents[1] / "docs" / "images" / "latent-map.png"
COUNT, SIDE, REACH = 5000, 15, 2.0  # test images, decoded codes along a number, and how many deviations they reach


def main() -> None:
    torch.set_num_threads(1)
    claim = load_claim("aae_prior")
    experiment = claim.experiment("cpu", 0)
    model: Any = claim.measure.trained(experiment, claim.measure.data(experiment))
    test = experiment.test
    assert test.labels is not None
    codes = model.encode(decode(test.images[:COUNT])) / model.prior.std
    along = torch.linspace(-REACH, REACH, SIDE)
    rows = torch.stack(torch.meshgrid(-along, along, indexing="ij"), 2).view(-1, 2).flip(1)  # first number to the right
    figure = Figure(figsize=(10, 4.7), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    dots = left.scatter(*codes.T, c=test.labels[:COUNT], cmap="tab10", s=3, vmin=-0.5, vmax=9.5)
    figure.colorbar(dots, ax=left, ticks=range(10), label="digit", shrink=0.85)
    left.set(
        xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), aspect="equal", title="codes of held-out digits, in the prior's deviations"
    )
    left.title.set_fontsize(10)
    right.imshow(grid(model.decode(model.prior.std * rows), SIDE), cmap="gray")
    right.set_axis_off()
    right.set_title(f"images of codes from {-REACH:g} to {REACH:g} deviations", fontsize=10)
    figure.savefig(FILE, dpi=90)
    with Image.open(FILE) as picture:
        few = picture.convert("RGB").quantize(128, dither=Image.Dither.NONE)  # a third of the bytes
    few.save(FILE, optimize=True)


if __name__ == "__main__":
    main()
