"""Measures what fills the holes of images, and what the discriminator is worth as a classifier of few labels."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ganarium import metrics
from ganarium.data.dataset import decode
from ganarium.evaluation.measures import classifier_accuracy
from ganarium.proofs.experiment import Experiment, Measured
from ganarium.proofs.measures.labels import FewLabels, LabelsAlone, nearest_labelled
from ganarium.proofs.measures.samples import judge_of
from ganarium.streams import undisturbed

COUNT = 2000  # test images with a hole
WITHOUT = "G sees nothing of the image, and D judges its whole images: a plain SGAN with the same networks"


class FilledHoles(FewLabels):
    """filled: the share of 2,000 test images, each with a hole of a random place, whose digit a judge (a small
    classifier that comes with ganarium) still reads once the model has filled the hole; rim: the mean difference of
    neighbouring pixels across the rim of a filled hole, divided by that in the whole images."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        values = {"accuracy": classifier_accuracy(model, experiment.test)}
        if not model.inpaints or isinstance(experiment.change, LabelsAlone):  # as a classifier alone
            return Measured(values)
        images, labels = self.test_images(experiment)
        masks = holes(len(images), images.shape[-1], model.config.hole, experiment.seed)
        with undisturbed(model, experiment.seed, model.sample_mode):
            filled = model.filled(images.to(experiment.device), masks.to(experiment.device)).clamp(-1, 1).cpu()
        seen = images[:32].masked_fill(masks[:32], 0)
        rows = torch.stack([seen.unflatten(0, (4, 8)), filled[:32].unflatten(0, (4, 8))], 1).flatten(0, 2)
        return Measured(values | self.values(experiment, images, filled, masks, labels), rows)

    def values(
        self, experiment: Experiment, images: Tensor, filled: Tensor, masks: Tensor, labels: Tensor
    ) -> dict[str, float]:
        """Returns the values of filled images (n, c, h, w)."""
        read = metrics.accuracy(judge_of(experiment.train, experiment.device).logits(filled).cpu(), labels)
        return {"filled": read, "rim": (step_at(filled, masks) / step_at(images, masks)).item()}

    def test_images(self, experiment: Experiment) -> tuple[Tensor, Tensor]:
        """The first 2,000 test images, and their classes."""
        test = experiment.test
        assert test.labels is not None
        return decode(test.images[:COUNT]), test.labels[:COUNT]

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        images, labels = self.test_images(experiment)
        masks = holes(len(images), images.shape[-1], experiment.scale.options["hole"], experiment.seed)
        mean = torch.where(masks, decode(experiment.train.images[:10_000]).mean(0), images)
        known = {"accuracy": nearest_labelled(self.data(experiment), experiment.test)}
        return {
            "mean_image_in_the_hole": self.values(experiment, images, mean, masks, labels),
            "no_hole": self.values(experiment, images, images, masks, labels),
            "nearest_labelled": known,
        }


def holes(n: int, side: int, share: float, seed: int) -> Tensor:
    """Masks (n, 1, h, w), True in a square at a random place."""
    length, place = max(1, round(share * side)), torch.arange(side)
    first = torch.randint(side - length + 1, (2, n, 1), generator=torch.Generator().manual_seed(seed))
    rows, columns = (place >= first) & (place < first + length)
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def step_at(images: Tensor, masks: Tensor) -> Tensor:
    """The mean difference of two neighbouring pixels of which one is in the hole."""
    sums, count = torch.zeros(()), torch.zeros(())
    for axis in (2, 3):
        rim = masks.diff(dim=axis) != 0
        sums = sums + (images.diff(dim=axis).abs() * rim).sum()
        count = count + rim.sum()
    return sums / count


def without_context(model: Any) -> None:
    """Hides the whole image from G, whatever the hole, and makes the whole of it the hole in training."""
    made = model.made
    model.made = lambda x, mask, z=None: made(x, torch.ones_like(mask), z)
    holes_of = model.holes
    model.holes = lambda n: torch.ones_like(holes_of(n))
    model.config = replace(model.config, full_image=False)
