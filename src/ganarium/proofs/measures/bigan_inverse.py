"""Measures whether an encoder inverts the generator."""

from typing import Any

import torch
from torch import Tensor, nn

from ganarium.data.dataset import decode
from ganarium.proofs.experiment import Experiment, Measure, Measured

BLIND = "D does not see the code: without its layer for z it judges images alone"


class Inverse(Measure):
    """rebuilt: the mean distance |x - G(E(x))| of 5,000 test images, divided by the mean distance |x' - G(E(x))| of
    another test image from the same rebuilt one; code_error: the same of 5,000 codes z and E(G(z)). In the picture each
    row of test images stands above what is made of their codes."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        images = experiment.draw(experiment.test, 5000)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(experiment.seed)
            codes = model.latent(5000)
        made = model.decode(model.encode(images))
        code_error = ratio(model.encode(model.decode(codes)), codes)
        rows = torch.stack([images[:32].unflatten(0, (4, 8)), made[:32].unflatten(0, (4, 8))], 1).flatten(0, 2)
        return Measured({"rebuilt": ratio(made, images), "code_error": code_error}, rows)

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        mean = decode(experiment.train.images).mean(0)
        images = experiment.draw(experiment.test, 5000)
        return {"mean_image": {"rebuilt": ratio(mean.expand_as(images), images)}, **super().baselines(experiment)}


def ratio(made: Tensor, wanted: Tensor) -> float:
    """The mean distance of each from its own, over that from another one's."""
    made, wanted = made.flatten(1).double(), wanted.flatten(1).double()
    own, other = ((made - part).norm(dim=1).mean() for part in (wanted, wanted.roll(1, 0)))
    return (own / other).item()


class Nothing(nn.Module):
    """Gives 0 where a layer is taken out whose result is added to another."""

    def forward(self, x: Tensor) -> float:
        return 0.0


def blind_to_codes(model: Any) -> None:
    """D's layer for z gives 0."""
    model.discriminator.code = Nothing()
