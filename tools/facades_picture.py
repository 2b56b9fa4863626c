"""Draws docs/images/facades.jpg: `GANARIUM_DATA=... python tools/facades_picture.py`, a quarter of an hour of one core.

pix2pix draws facades from maps of their parts. Only what it makes of held-out maps is shown: the maps and photographs
are not ganarium's to show. The run lies in runs/facades and goes on where it was stopped.
"""

import os
from pathlib import Path

import ganarium
from ganarium.data.dataset import decode
from ganarium.pictures.grid import grid
from ganarium.runs import checkpoint

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "facades.jpg"
RUN, STEPS, COUNT = Path("runs/facades"), 5000, 24
OPTIONS = {"size": "128", "layout": "pairs", "direction": "b2a", "width": 24, "batch_size": 4, "lr": 5e-4}


def facades() -> None:
    """Held-out maps, translated by a run that is made where it is not there yet."""
    data = str(Path(os.environ["GANARIUM_DATA"]) / "facades")
    if not checkpoint.exists(RUN):
        ganarium.train("pix2pix", data, out=RUN, steps=STEPS, seed=0, threads=1, precision="bf16", **OPTIONS)
    elif checkpoint.newest(RUN)[2]["step"] < STEPS:
        ganarium.resume(RUN)
    _, test = ganarium.load_data(data, size=(128, 128), layout="pairs")
    assert test.second is not None
    made = ganarium.load(RUN).translate(decode(test.second[:COUNT]))
    grid(made, 6).save(IMAGE, quality=88)


if __name__ == "__main__":
    facades()
