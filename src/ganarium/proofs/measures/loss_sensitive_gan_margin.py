"""Measures whether L parts fakes from reals by the margin, against fakes that stay as they are."""

from typing import Any

import torch
from torch import Tensor

from ganarium.proofs.changes import WithoutPlayer
from ganarium.proofs.experiment import Experiment, Measure, Measured

PAIRS = 5000


class MarginHeld(Measure):
    """Fakes are drawn from N(0, 2^2), and G never learns. held: the share of 5,000 pairs of a held-out real and a fake
    with L(fake) - L(real) at least 0.9 of the margin, their L1 distance; gap: the mean of L(fake) - L(real), divided by
    the mean margin (pairs that lie near each other raise it above 1)."""

    def prepare(self, experiment: Experiment, model: Any) -> None:
        model.generate = lambda n, latent=None, label=None: 2 * torch.randn(n, 2, device=model.device)
        WithoutPlayer("G").apply(model)

    @torch.no_grad()
    def read(self, experiment: Experiment, model: Any) -> Measured:
        real = experiment.draw(experiment.test, PAIRS)
        noise: Tensor = torch.randn(PAIRS, 2, generator=torch.Generator().manual_seed(experiment.seed))
        fake = 2 * noise.to(experiment.device)
        margin, difference = (real - fake).abs().sum(1), model.L(fake) - model.L(real)
        held = (difference >= 0.9 * margin).double().mean().item()
        return Measured({"held": held, "gap": (difference.mean() / margin.mean()).item()})
