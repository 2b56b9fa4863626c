"""Measures what makes DualGAN: clipped critics, dropout as noise, and a way there and back that is short."""

from typing import Any

import torch
from torch import Tensor

from ganarium.data.dataset import decode
from ganarium.proofs.experiment import Experiment, Measure, Measured
from ganarium.streams import undisturbed


class DualTranslation(Measure):
    """largest_weight: the largest size of a parameter of the two critics; gap: the mean score of 200 held-out images
    minus that of translations into their domain, the larger of both critics; noise: the mean absolute difference of two
    translations of one image, pixels in [-1, 1], the smaller of both directions; cycle_error: the mean of
    |F(G(a)) - a|, averaged over both directions."""

    @torch.no_grad()
    def read(self, experiment: Experiment, model: Any) -> Measured:
        test = experiment.test
        assert test.second is not None
        a, b = (decode(images[:200]).to(experiment.device) for images in (test.images, test.second))
        noise, errors, fakes, rows = [], [], [], []
        for own, direction, back in ((a, "a2b", "b2a"), (b, "b2a", "a2b")):
            first, second = (translated(model, own, direction, seed) for seed in (0, 1))
            returned = model.translate(first, direction=back)
            noise.append((first - second).abs().mean().item())
            errors.append((returned - own).abs().mean().item())
            fakes.append(first)
            rows += [own[:8], first[:8], returned[:8]]
        critics = ((model.D_a, a, fakes[1]), (model.D_b, b, fakes[0]))
        model.train()  # critics learned with the statistics of a batch
        gaps = [(critic(real).mean() - critic(fake).mean()).item() for critic, real, fake in critics]
        model.eval()
        weights = [weight.abs().max().item() for critic, _, _ in critics for weight in critic.parameters()]
        values = {"largest_weight": max(weights), "gap": max(gaps), "noise": min(noise), "cycle_error": sum(errors) / 2}
        return Measured(values, torch.cat(rows))


def translated(model: Any, images: Tensor, direction: str, seed: int) -> Tensor:
    """Translations in the mode in which the paper uses G, with the noise of a seed; that of `translate` is always of
    0."""
    with undisturbed(model, seed, model.sample_mode):
        made: Tensor = model.mapped(images, direction)
    return made
