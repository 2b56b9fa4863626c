"""Loss-Sensitive GAN: L parts fakes from reals by the margin and stays there; without the hinge it grows on."""

from typing import Any

import torch
from torch import Tensor

from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.training import data_of, drawn, trained, untrained, without_player

PAIRS = 5000
CLAIM = Claim(
    model="loss_sensitive_gan",
    text="Against fixed fakes, L of a fake exceeds that of a real by the margin in nearly all pairs, and stays there.",
    source="Qi 2017, section 3",
    control="slope 1, WGAN's critic: no hinge, so that what is parted enough is parted still further",
    measure=f"held: share of {PAIRS} pairs of a real and a fake from N(0, 2^2) with L(fake) - L(real) at least 0.9 of "
    "the margin, their L1 distance; gap: the mean of L(fake) - L(real) over the mean margin, which pairs that lie near "
    "each other raise above 1",
    scales={
        "quick": Scale(
            data="ring",
            steps=1500,
            bounds=(Bound(value="held", at_least=0.9), Bound(value="gap", at_most=200)),
        ),
    },
)


def fixed_fakes(model: Any) -> None:
    """G is no network but a normal distribution, and never learns."""
    model.generate = lambda n, latent=None, label=None: 2 * torch.randn(n, 2, device=model.device)
    without_player(model, "G")


def measure(trial: Trial) -> Measured:
    train, _ = data_of(trial.scale)
    model = trained(
        trial, "loss_sensitive_gan", train, alter=fixed_fakes, options={"slope": 1.0} if trial.control else None
    )
    return Measured(read(model, trial), None)


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    train, _ = data_of(trial.scale)
    return {"untrained": read(untrained(trial, "loss_sensitive_gan", train), trial)}


@torch.no_grad()
def read(model: Any, trial: Trial) -> dict[str, float]:
    _, test = data_of(trial.scale)
    real = drawn(test, PAIRS, trial.seed, trial.device)
    noise: Tensor = torch.randn(PAIRS, 2, generator=torch.Generator().manual_seed(trial.seed))
    fake = 2 * noise.to(trial.device)
    margin, apart = (real - fake).abs().sum(1), model.L(fake) - model.L(real)
    return {"held": (apart >= 0.9 * margin).double().mean().item(), "gap": (apart.mean() / margin.mean()).item()}
