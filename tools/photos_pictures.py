"""What the default for a folder of photos makes of faces and of flowers, for docs/own-photos.md.

    GANARIUM_DATA=... python tools/photos_pictures.py            both, 3,500 steps each: 18 minutes of one core
    GANARIUM_DATA=... python tools/photos_pictures.py flowers    one of them

Runs lie in runs/photos-NAME and go on where they were stopped. docs/images/photos-NAME.jpg has 64 samples above a walk
between codes; photos-NAME-distances.png says how near samples, and photos that the model never saw, are to the nearest
photo that it learned from.
"""

import os
import sys
from pathlib import Path

import torch
from PIL import Image

import ganarium
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images
from ganarium.evaluation.features import network_for
from ganarium.model import Model
from ganarium.pictures import latents
from ganarium.pictures.grid import figure_of_panels, grid, save_figure
from ganarium.runs import checkpoint
from ganarium.web.report.artifacts import search

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SETS = {"faces": "lfw64/faces", "flowers": "flowers102/images"}
STEPS, SIZE, COUNT = 3500, 64, 256
OPTIONS = {"width": 16, "mirror": True, "precision": "bf16", "threads": 1, "evaluate_every": 0}


def trained(name: str) -> Path:
    """The run of a set of photos, made or gone on with."""
    run = Path("runs") / f"photos-{name}"
    if not checkpoint.exists(run):
        data = Path(os.environ["GANARIUM_DATA"]) / SETS[name]
        ganarium.train("fastgan", str(data), size=SIZE, steps=STEPS, seed=0, out=run, **OPTIONS)
    elif checkpoint.newest(run)[2]["step"] < STEPS:
        ganarium.resume(run)
    return run


def draw(name: str) -> None:
    model = ganarium.load(trained(name))
    train, held_out = ganarium.load_data(str(Path(os.environ["GANARIUM_DATA"]) / SETS[name]), size=(SIZE, SIZE))
    samples = model.sample(COUNT, seed=1)
    steps = latents.walk(model, stops=2, frames=11, seed=2)[:12]  # the way back is not shown
    sheets = [grid(samples[:60], 12), grid(steps[:, :2].transpose(0, 1).flatten(0, 1), 12)]
    sheet = Image.new("RGB", (sheets[0].width, sum(part.height for part in sheets) + 6), "white")
    sheet.paste(sheets[0], (0, 0))
    sheet.paste(sheets[1], (0, sheets[0].height + 6))
    sheet.save(IMAGES / f"photos-{name}.jpg", quality=88)
    distances(name, model, samples, train, held_out)


def distances(name: str, model: Model, samples: torch.Tensor, train: Dataset, held_out: Dataset) -> None:
    """A curve of samples and one of photos that were held out: which share is how near to a training photo."""
    network = network_for(train.name, 3, "cifar10_subset", torch.device("cpu"))
    unseen = Batches(held_out, Images, 1).draw(min(COUNT, len(held_out))).image
    figure, (axis,) = figure_of_panels(1, 4.5, 3.2)
    for images, label in ((samples, "samples"), (unseen, "photos that the model never saw")):
        nearest = search(network.features(images), network.features, train).distances[:, 0].sort().values
        axis.plot(nearest, torch.linspace(0, 100, len(nearest)), label=label)
        print(name, label, f"median {nearest.median():.3f}, nearest 5 % within {nearest.quantile(0.05):.3f}")
    axis.set_xlabel("distance to the nearest training photo")
    axis.set_ylabel("share of images that are as near, %")
    axis.legend(fontsize=8)
    save_figure(figure, IMAGES / f"photos-{name}-distances.png")


if __name__ == "__main__":
    for wanted in sys.argv[1:] or SETS:
        draw(wanted)
