"""Measures how sharp and how near the contents of filled holes are."""

from typing import Any

import torch

from ganarium import metrics
from ganarium.data.dataset import decode
from ganarium.proofs.experiment import Experiment, Measure, Measured


class FilledHoles(Measure):
    """Of 200 held-out images with the hole in the middle. sharpness: the mean absolute difference of neighbouring
    pixels in the filled hole, divided by that of what was there; error: the mean absolute error in the hole, pixels in
    [-1, 1], divided by that of the mean colour of what is around it."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        real = decode(experiment.test.images[:200]).to(experiment.device)
        mask = model.holes(len(real))
        made = torch.stack([model.inpaint(image, one) for image, one in zip(real, mask, strict=True)])
        top, left, bottom, right = model.hole
        filled, there = (images[:, :, top:bottom, left:right] for images in (made, real))
        around = (~mask).to(real.dtype)
        colour = (real * around).sum((2, 3), keepdim=True) / around.sum((2, 3), keepdim=True)
        values = {
            "sharpness": metrics.sharpness_ratio(filled, there),
            "error": ((filled - there).abs().mean() / (colour - there).abs().mean()).item(),
        }
        return Measured(values, torch.cat([model.without(real[:8], mask[:8]), made[:8], real[:8]]))
