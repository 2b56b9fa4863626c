"""WGAN-GP on digits: the penalty holds the critic's gradient at norm 1, and all ten digits come."""

from typing import Any

import torch
from torch import Tensor

from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.training import Reader, data_of, drawn, mean_image_and_noise, trained, untrained

CLAIM = Claim(
    model="wgan_gp",
    text="The penalty holds the critic's gradient near norm 1 between data and samples, and G learns every digit.",
    source="Gulrajani et al. 2017, section 4 and figure 1b",
    control="a penalty of a millionth of the weight, so that the critic is free",
    measure="gradient_norm: mean norm of the critic's gradient on 512 lines between held-out images and samples; "
    "Frechet distance on a judge's features and the share of the judge's rarest digit, 5,000 samples; held_out_gap: "
    "(E[D(train)] - E[D(held out)]) / (E[D(train)] - E[D(G(z))]), 1,000 images of each",
    scales={
        "cpu": Scale(
            data="mnist",
            steps=400,
            options={"width": 16, "lr": 5e-4},
            bounds=(
                Bound(value="gradient_norm", at_least=0.7, at_most=1.5),
                Bound(value="frechet_distance", at_most=45.0),
                Bound(value="rarest_class", at_least=0.02),
            ),
        ),
        "gpu": Scale(
            data="mnist",
            steps=15_000,
            bounds=(
                Bound(value="gradient_norm", at_least=0.9, at_most=1.15),
                Bound(value="frechet_distance", at_most=3.0),
                Bound(value="rarest_class", at_least=0.07),
            ),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    train, test = data_of(trial.scale)

    def alter(model: Any) -> None:
        model.penalty_weight *= 1e-6 if trial.control else 1

    model = trained(trial, "wgan_gp", train, alter=alter)
    images = model.sample(5000, seed=trial.seed)
    known, held = (drawn(split, 1000, trial.seed, trial.device) for split in (train, test))
    with torch.no_grad():
        on_known, on_held, on_fake = (model.critic(part).mean() for part in (known, held, images[:1000]))
    return Measured(
        {
            "gradient_norm": gradient_norm(model, held[:512], images[:512], trial.seed),
            **Reader(train, 5000, trial.seed, trial.device).read(images),
            "held_out_gap": ((on_known - on_held) / (on_known - on_fake)).item(),
        },
        images[:64],
    )


def gradient_norm(model: Any, real: Tensor, fake: Tensor, seed: int) -> float:
    """Mean over one random place on the line between each real and its fake."""
    e = torch.rand(len(real), 1, 1, 1, generator=torch.Generator().manual_seed(seed)).to(real)
    between = (e * real + (1 - e) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(model.critic(between).sum(), between)
    return gradient.flatten(1).norm(dim=1).mean().item()


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    train, test = data_of(trial.scale)
    reader = Reader(train, 5000, trial.seed, trial.device)
    return {
        "held_out_images": reader.read(drawn(test, 5000, trial.seed, trial.device)),
        "mean_and_noise": reader.read(mean_image_and_noise(train, 5000, trial.seed)),
        "untrained": reader.read(untrained(trial, "wgan_gp", train).sample(5000, seed=trial.seed)),
    }
