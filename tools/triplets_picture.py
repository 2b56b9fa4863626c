"""Draws docs/images/triplets.png: `GANARIUM_DATA=... python tools/triplets_picture.py`, three minutes of one core.

Three rows: held-out digits of the source, what PixelDA repaints them to, and held-out digits of the target. It is
trained as in the proof pixelda_gain, from seed 0 and for four times as many steps.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ganarium.data.dataset import decode
from ganarium.pictures.grid import grid
from ganarium.proofs.claim import load_claim

FILE = Path(__file__).parents[1] / "docs" / "images" / "triplets.png"
COUNT, TIMES = 16, 4


def main() -> None:
    torch.set_num_threads(1)
    claim = load_claim("pixelda_gain")
    assert claim.cpu is not None
    claim = replace(claim, cpu=replace(claim.cpu, steps=TIMES * claim.cpu.steps))
    experiment, measure = claim.experiment("cpu", 0), claim.measure
    model: Any = measure.trained(experiment, measure.data(experiment))
    test = measure.both(experiment.test)  # type: ignore[attr-defined]
    source = decode(test.images[:COUNT])
    picture = grid(torch.cat([source, model.translate(source).cpu(), decode(test.second[:COUNT])]), COUNT)
    print(f"accuracy on the target {measure.read(experiment, model).values['accuracy']:.3f}")
    larger = picture.resize((3 * picture.width, 3 * picture.height), Image.Resampling.NEAREST)
    larger.save(FILE, optimize=True)


if __name__ == "__main__":
    main()
