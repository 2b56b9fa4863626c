"""Draws what styles do: mixed, and drawn towards their average, for docs/every-day.md.

    python tools/style_pictures.py                              garments of `pretrained:style`, seconds of one core
    GANARIUM_DATA=... python tools/style_pictures.py faces      faces of a StyleGAN that is trained first, two hours of
                                                                two cores, or goes on where it was stopped

docs/images/NAME-mixing has the fine styles of its first row and the coarse ones of its first column; NAME-truncation
has less and less of its own style from row to row. The faces (LFW) also have a sheet of samples.
"""

import os
import sys
from pathlib import Path

import torch
from PIL import Image

import ganarium
from ganarium.model import Model
from ganarium.pictures.grid import grid
from ganarium.pictures.latents import style_mixing
from ganarium.runs import checkpoint

FOLDER = Path(__file__).parents[1] / "docs" / "images"
SHARES = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)  # psi of the truncation, a row for each
RUN, SHOWN = Path("runs/style-faces"), 0.7  # psi of the sheet of samples
FAST, STEPS, SLOW = 12_001, 18_596, 1e-3  # steps at the first rate, all steps, and the rate of the last
OPTIONS = {
    "size": 64,
    "width": 32,
    "latent_dim": 128,
    "mapping_layers": 4,
    "mixing": 0.5,
    "gamma": 0.1,
    "penalty_interval": 8,
    "batch_size": 16,
    "stable_images": 60_000,
    "fading_images": 40_000,
    "lr": 3e-3,
    "mirror": True,
    "precision": "bf16",
    "threads": 2,
    "evaluate_every": 0,
    "seed": 0,
}


def trained_on_faces() -> Model:
    """The run on faces, made or gone on with."""
    if not checkpoint.exists(RUN):
        faces = Path(os.environ["GANARIUM_DATA"]) / "lfw64" / "faces"
        ganarium.train("stylegan", str(faces), steps=FAST, out=RUN, **OPTIONS)
    elif checkpoint.newest(RUN)[2]["step"] < FAST:
        ganarium.resume(RUN)
    if checkpoint.newest(RUN)[2]["step"] < STEPS:
        ganarium.resume(RUN, steps=STEPS, lr=SLOW)
    return ganarium.load(RUN)


def truncated(model: Model, seed: int) -> Image.Image:
    return grid(torch.cat([model.sample(10, seed=seed, truncation=share, noise_seed=0) for share in SHARES]), 10)


def draw(name: str) -> None:
    if name == "faces":
        model = trained_on_faces()
        samples = grid(model.sample(60, seed=1, truncation=SHOWN), 12)
        for part, sheet in (
            ("", samples),
            ("-mixing", style_mixing(model, seed=2, other_seed=4, truncation=SHOWN)),
            ("-truncation", truncated(model, 2)),
        ):
            sheet.save(FOLDER / f"style-faces{part}.jpg", quality=88)
        return
    model = ganarium.load("pretrained:style")
    for part, sheet in (("mixing", style_mixing(model, seed=2, other_seed=4)), ("truncation", truncated(model, 2))):
        larger = sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.NEAREST)
        larger.save(FOLDER / f"style-{part}.png", optimize=True)


if __name__ == "__main__":
    for wanted in sys.argv[1:] or ["garments"]:
        draw(wanted)
