"""Measures translations whose true result is known: how sharp, how near, and whether D heeds the input."""

from typing import Any

import torch
from torch import Tensor

from ganarium import metrics
from ganarium.data.dataset import decode
from ganarium.proofs.experiment import Experiment, Measure, Measured

PART = 8  # pictures in memory at a time


class PairedTranslation(Measure):
    """Of the held-out pairs (at most 200). sharpness: the mean absolute difference of neighbouring pixels of G(x),
    divided by that of the true partners y; error: the mean of |G(x) - y|, pixels in [-1, 1]; fits: the share of inputs
    whose G(x) is nearer to their own y than to that of another pair, by that mean; heeded: the share of pairs
    (x, y) that D, in the mode of training, scores above (x', y), where x' is the input of another pair."""

    @torch.no_grad()
    def read(self, experiment: Experiment, model: Any) -> Measured:
        test, direction = experiment.test, model.directions[0]
        assert test.second is not None
        a, b = (decode(images[:200]).to(experiment.device) for images in (test.images, test.second))
        x, y = (a, b) if direction == "a2b" else (b, a)
        made = torch.cat([model.translate(part, direction=direction) for part in x.split(PART)])
        model.train()  # D learned with the statistics of a batch
        heeded = []
        for own, other, partner in zip(x.split(PART), x.roll(1, 0).split(PART), y.split(PART), strict=True):
            right, wrong = (model.D(seen, partner).flatten(1).mean(1) for seen in (own, other))
            heeded.append(right > wrong)
        model.eval()
        values = {
            "sharpness": metrics.sharpness_ratio(made, y),
            "error": (made - y).abs().mean().item(),
            "fits": (distances(made, y) < distances(made, y.roll(1, 0))).double().mean().item(),
            "heeded": torch.cat(heeded).double().mean().item(),
        }
        drawn = test.source == "drawn by ganarium"  # of others' pictures the result shows what is generated alone
        return Measured(values, torch.cat([x[:8], made[:8], y[:8]]) if drawn else made[:24])


def distances(made: Tensor, other: Tensor) -> Tensor:
    """The mean absolute difference (n,) of images (n, c, h, w) of a pair."""
    return (made - other).abs().flatten(1).mean(1)
