"""Makes the parts of the report that need the data or the model, since the files of a run do not hold them.

runs/NAME/report/
  real.png                                      as many held-out images as a sample grid has
  neighbours-samples.png  -held_out.png  .json  training images nearest to samples, and to held-out images
  walk.png  walk.json                           images between codes

The samples are those of the newest grid in `samples/`. Nothing here touches the training: batches have an order of
their own, and `model.sample` forks the random generators.
"""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganarium import metrics
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images, decode
from ganarium.evaluation.features import network_for, own_judge
from ganarium.metrics.copies import LEAST_HELD_OUT, NEIGHBOURS, thumbnails
from ganarium.model import Model
from ganarium.pictures import grid, latents
from ganarium.web import html

SHOWN, NEAREST = 10, 3  # images of each kind with their neighbours, and how many neighbours each
IN_GRID = 64  # samples in a grid of `Model.preview`
HELD_OUT = 256  # held-out images that the yardstick is taken from
MOST = 20_000  # training images that are searched
CHUNK = 256  # of them that are held as images at a time
WALKS, STEPS = 4, 10  # rows and columns of the walk


def make(folder: Path, model: Model, train: Dataset, test: Dataset, *, seconds: float = float("inf")) -> None:
    """Makes every part that suits the model. The search for neighbours ends after `seconds`, with those it has."""
    if draws_images(model, train):
        reals(folder, model, test)
        neighbours(folder, model, train, test, seconds=seconds)
        if model.prior is not None:
            walk(folder, model)


def draws_images(model: Model, data: Dataset) -> bool:
    """Whether samples are images of one kind that can lie beside those of the data: no points, no translations."""
    return len(model.shape) == 3 and not model.preview_row and Images in data.kinds


def reals(folder: Path, model: Model, test: Dataset) -> None:
    """Saves a grid of held-out images, once for a run: what samples are to look like."""
    path = folder / "report" / "real.png"
    if draws_images(model, test) and not path.exists():
        grid.save_grid(Batches(test, Images, 1).draw(min(IN_GRID, len(test))).image, path)


def walk(folder: Path, model: Model) -> None:
    """Saves rows of images whose codes go from one to another; a row keeps to one class if the model takes labels."""
    images = latents.walk(model, stops=2, frames=STEPS - 1)[:STEPS]  # (steps, 4, c, h, w): the way back is not shown
    grid.save_grid(images.transpose(0, 1).flatten(0, 1), folder / "report" / "walk.png", columns=STEPS)
    _save_json(folder / "report" / "walk.json", {"step": model.iteration, "by_class": model.conditional})


def neighbours(folder: Path, model: Model, train: Dataset, test: Dataset, *, seconds: float = float("inf")) -> None:
    """Finds the training images nearest to samples of the newest grid and to held-out images, in a judge's features.

    `neighbours.json` holds the median distances, the share of samples that are `nearer` than all but the nearest 5 % of
    the held-out images, the share that are `copied` (see `metrics.copied_share`), and the distances of those that are
    shown.
    """
    grids = sorted((folder / "samples").glob("step-*.png"))
    if not grids:
        return
    judge = own_judge(train.name, model.shape[0])  # reads thousands of training images in seconds
    network = network_for(train.name, model.shape[0], judge, model.device)
    samples = decode(grid.tiles(grids[-1], IN_GRID, model.shape))
    held_out = Batches(test, Images, 1).draw(min(HELD_OUT, len(test))).image
    queries = torch.cat([samples, held_out])
    small: list[Tensor] = []  # thumbnails of the training images that are searched

    def features(images: Tensor) -> Tensor:
        small.append(thumbnails(images.cpu()))
        return network.features(images)

    nearest = search(network.features(queries), features, train, seconds=seconds)
    first_of_samples, first_of_held_out = nearest.distances[:, 0].split([len(samples), len(held_out)])
    result: dict[str, Any] = {
        "step": int(grids[-1].stem[5:]),
        "features": network.name,
        "reference": train.checksum()[:16],
        "searched": nearest.searched,
        "total": len(train),
        "nearer": float((first_of_samples < first_of_held_out.quantile(0.05)).double().mean()),
    }
    if len(held_out) >= LEAST_HELD_OUT and nearest.searched >= NEIGHBOURS:
        scores = (metrics.copy_scores(thumbnails(images), torch.cat(small)) for images in (samples, held_out))
        result["copied"] = metrics.copied_share(*scores)
    for kind, start, distances in (("samples", 0, first_of_samples), ("held_out", len(samples), first_of_held_out)):
        rows = slice(start, start + min(SHOWN, len(distances)))
        sheet = torch.cat([queries[rows, None], nearest.images[rows]], 1)
        _save_sheet(sheet, folder / "report" / f"neighbours-{kind}.png")
        result[kind] = {
            "count": len(distances),
            "median": float(distances.median()),
            "distances": nearest.distances[rows].tolist(),
        }
    _save_json(folder / "report" / "neighbours.json", result)


class Nearest:
    """The training images nearest to n queries, of those that have been searched."""

    def __init__(self, n: int, shape: tuple[int, ...]) -> None:
        self.distances = torch.full((n, NEAREST), float("inf"))  # ascending
        self.images = torch.zeros(n, NEAREST, *shape)
        self.searched = 0

    def add(self, distances: Tensor, images: Tensor) -> None:
        """Takes in distances (n, m) to images (m, c, h, w)."""
        near, places = distances.topk(min(NEAREST, distances.shape[1]), largest=False)
        self.distances, order = torch.cat([self.distances, near], 1).topk(NEAREST, largest=False)
        candidates = torch.cat([self.images, images[places]], 1)
        self.images = candidates[torch.arange(len(order))[:, None], order]
        self.searched += distances.shape[1]


def search(queries: Tensor, features: Any, train: Dataset, *, seconds: float = float("inf")) -> Nearest:
    """The training images nearest to queries, given as features (n, d), among the first 20,000 of a seeded order.

    `features` maps images to features. One chunk of images is in memory at a time.
    """
    began, left = time.monotonic(), min(MOST, len(train))
    batches = Batches(replace(train, mirror=False), Images, 1)  # as they lie in the set
    nearest = Nearest(len(queries), train.shape)
    while left and (not nearest.searched or time.monotonic() - began < seconds):
        images = batches.draw(min(CHUNK, left)).image
        nearest.add(torch.cdist(queries, features(images)).cpu(), images)
        left -= len(images)
    return nearest


def _save_sheet(sheet: Tensor, path: Path) -> None:
    """Images (rows, columns, c, h, w) side by side without gaps, for the page to cut."""
    rows, columns, c, h, w = sheet.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    grid.save_picture(grid.to_picture(sheet.permute(2, 0, 3, 1, 4).reshape(c, rows * h, columns * w)), path)


def _save_json(path: Path, content: dict[str, Any]) -> None:
    html.save(json.dumps(content, indent=1) + "\n", path)
