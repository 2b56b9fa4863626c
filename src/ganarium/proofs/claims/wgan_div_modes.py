"""WGAN-div: a power of the gradient's norm leads G to all modes, with a critic far flatter than WGAN-GP's."""

import torch

from ganarium.losses import gradient_norm
from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.measures.points import WORDS, measure_points, point_baselines
from ganarium.proofs.training import data_of, drawn

CLAIM = Claim(
    model="wgan_div",
    text="The penalty k ||grad D||^p finds the modes of a mixture without holding the gradient at any norm.",
    source="Wu et al. 2018, section 3, equation 11 (k 2, p 6)",
    control="WGAN-GP, whose penalty holds the gradient at norm 1, with the same networks, updates and learning rate",
    measure=f"{WORDS}; gradient: mean norm of the critic's gradient between 1,000 reals and 1,000 samples",
    scales={
        "quick": Scale(
            data="ring",
            steps=800,
            bounds=(Bound(value="modes", at_least=6), Bound(value="gradient", at_most=0.7)),
        ),
        "cpu": Scale(
            data="grid",
            steps=2000,
            bounds=(Bound(value="modes", at_least=20), Bound(value="gradient", at_most=0.6)),
        ),
    },
)
RIVAL = {"num_critic_steps": 4, "width": 128, "lr": 1e-3, "beta1": 0.5, "latent_dim": 2, "penalty_weight": 10.0}


def measure(trial: Trial) -> Measured:
    name, options = ("wgan_gp", RIVAL) if trial.control else ("wgan_div", {})
    found, model = measure_points(trial, name, options=options)
    train, _ = data_of(trial.scale)
    real, fake = drawn(train, 1000, trial.seed, trial.device), model.sample(1000, seed=trial.seed).to(trial.device)
    e = torch.rand(1000, 1, generator=torch.Generator().manual_seed(trial.seed)).to(trial.device)
    gradient = gradient_norm(model.critic, e * real + (1 - e) * fake).mean().item()
    return Measured(found.values | {"gradient": gradient}, found.images)


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    return point_baselines(trial, "wgan_div")
