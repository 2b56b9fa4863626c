"""What the report shows and the files of a run do not hold: it needs the data, or the model.

runs/NAME/report/
  real.png                                      as many held-out images as a sample grid has
  neighbours-samples.png  -held_out.png  .json  training images nearest to samples, and to held-out images
  walk.png  walk.json                           images between codes

Samples are those of the newest grid in `samples/`, whatever it took to make them. Nothing here touches the training:
batches have an order of their own, and `model.sample` forks the random generators.
"""

import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images, decode
from ganarium.evaluation.features import network_for
from ganarium.model import Model
from ganarium.pictures import grid as pictures
from ganarium.pictures import latents
from ganarium.web import html as pages

SHOWN, NEAREST = 10, 3  # images of each kind with their neighbours, and how many neighbours each
IN_GRID = 64  # samples in a grid of `Model.preview`
HELD_OUT = 256  # held-out images that the yardstick is taken from
MOST = 20_000  # training images that are searched
CHUNK = 256  # of them that are held as images at a time
WALKS, STEPS = 4, 10  # rows and columns of the walk


def make(folder: Path, model: Model, train: Dataset, test: Dataset, *, seconds: float = float("inf")) -> None:
    """All that suits the model. The search for neighbours ends after `seconds`, with what it has looked at by then."""
    if draws_images(model, train):
        reals(folder, model, test)
        neighbours(folder, model, train, test, seconds=seconds)
        if type(model).latent is not Model.latent:
            walk(folder, model)


def draws_images(model: Model, data: Dataset) -> bool:
    """Whether samples are images of one kind that can lie beside those of the data: no points, no translations."""
    return len(model.shape) == 3 and not model.directions and Images in data.kinds


def reals(folder: Path, model: Model, test: Dataset) -> None:
    """Held-out images as a grid, once for a run: what samples are to look like."""
    path = folder / "report" / "real.png"
    if draws_images(model, test) and not path.exists():
        pictures.save_grid(Batches(test, Images, 1).draw(min(IN_GRID, len(test))).image, path)


def walk(folder: Path, model: Model) -> None:
    """Rows of images whose codes go from one to another; each of one class, if the model is told classes."""
    images = latents.walk(model, stops=2, frames=STEPS - 1)[:STEPS]  # (steps, 4, c, h, w): the way back is not shown
    pictures.save_grid(images.transpose(0, 1).flatten(0, 1), folder / "report" / "walk.png", columns=STEPS)
    _save(folder / "report" / "walk.json", {"step": model.iteration, "by_class": model.conditional})


def neighbours(folder: Path, model: Model, train: Dataset, test: Dataset, *, seconds: float = float("inf")) -> None:
    """The training images nearest to the samples of the newest grid, and to held-out images, in a judge's features.

    In `neighbours.json`: the median distances, the share of samples that are `nearer` than all but the nearest 5 % of
    the held-out images are, and the distances of those that are shown.
    """
    grids = sorted((folder / "samples").glob("step-*.png"))
    if not grids:
        return
    network = network_for(train.name, model.shape[0], "auto", model.device)
    samples = decode(pictures.tiles(grids[-1], IN_GRID, model.shape))
    held_out = Batches(test, Images, 1).draw(min(HELD_OUT, len(test))).image
    queries = torch.cat([samples, held_out])
    found = search(network.features(queries), network.features, train, seconds=seconds)
    nearest = found.distances[:, 0].split([len(samples), len(held_out)])
    told: dict[str, Any] = {
        "step": int(grids[-1].stem[5:]),
        "features": network.name,
        "searched": found.searched,
        "total": len(train),
        "nearer": float((nearest[0] < nearest[1].quantile(0.05)).double().mean()),
    }
    for kind, images, first, own in (
        ("samples", samples, 0, nearest[0]),
        ("held_out", held_out, len(samples), nearest[1]),
    ):
        rows = slice(first, first + min(SHOWN, len(images)))
        sheet = torch.cat([queries[rows, None], found.images[rows]], 1)
        _save_sheet(sheet, folder / "report" / f"neighbours-{kind}.png")
        told[kind] = {"count": len(images), "median": float(own.median()), "distances": found.distances[rows].tolist()}
    _save(folder / "report" / "neighbours.json", told)


class Found:
    """The nearest training images so far of n queries."""

    def __init__(self, n: int, shape: tuple[int, ...]) -> None:
        self.distances = torch.full((n, NEAREST), float("inf"))  # ascending
        self.images = torch.zeros(n, NEAREST, *shape)
        self.searched = 0

    def add(self, distances: Tensor, images: Tensor) -> None:
        """Takes in distances (n, m) to images (m, c, h, w)."""
        few = min(NEAREST, distances.shape[1])
        near, places = distances.topk(few, largest=False)
        both = torch.cat([self.distances, near], 1)
        self.distances, order = both.topk(NEAREST, largest=False)
        candidates = torch.cat([self.images, images[places]], 1)
        self.images = candidates[torch.arange(len(order))[:, None], order]
        self.searched += distances.shape[1]


def search(queries: Tensor, features: Any, train: Dataset, *, seconds: float = float("inf")) -> Found:
    """The training images nearest to the features (n, d), in the memory of one chunk, among the first 20,000 of a
    seeded order. `features` maps images to features."""
    began, left = time.monotonic(), min(MOST, len(train))
    batches, found = Batches(train, Images, 1), Found(len(queries), train.shape)
    while left and (not found.searched or time.monotonic() - began < seconds):
        images = batches.draw(min(CHUNK, left)).image
        found.add(torch.cdist(queries, features(images)).cpu(), images)
        left -= len(images)
    return found


def _save_sheet(sheet: Tensor, path: Path) -> None:
    """Images (rows, columns, c, h, w) side by side without gaps, for the page to cut."""
    rows, columns, c, h, w = sheet.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures.save_picture(pictures.to_picture(sheet.permute(2, 0, 3, 1, 4).reshape(c, rows * h, columns * w)), path)


def _save(path: Path, told: dict[str, Any]) -> None:
    pages.save(json.dumps(told, indent=1) + "\n", path)
