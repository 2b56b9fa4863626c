"""GAN: with a well trained D the non-saturating loss still learns, where the saturating one stands still."""

import torch
from torch import Tensor

from ganarium.data.dataset import Dataset
from ganarium.data.sources.points import MODE_STD, mode_centres
from ganarium.metrics import mode_coverage, wasserstein_distance
from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.measures.parzen import parzen
from ganarium.proofs.training import Reader, data_of, drawn, mean_image_and_noise, trained, untrained

CLAIM = Claim(
    model="gan",
    text="While D tells samples from data with ease, -log D(G(z)) still teaches G, and log(1 - D(G(z))) does not.",
    source="Goodfellow et al. 2014, section 3, the paragraph under algorithm 1",
    control="the minimax loss log(1 - D(G(z))), all else alike",
    measure="Images: Frechet distance on a judge's features, share of its rarest class, 5,000 samples; parzen_nats: "
    "Parzen-window log-likelihood of 1,000 held-out images (10,000 samples, 28x28 in [0, 1], sigma chosen on 1,000 "
    "others). Points: exact W1 of 1,000, modes covered at 3 std by 2,500",
    paper="MNIST Parzen window: 225 +- 2 nats, trained for far longer",
    scales={
        "quick": Scale(
            data="ring",
            steps=500,
            options={"num_discriminator_steps": 5},
            bounds=(Bound(value="wasserstein_distance", at_most=1.4), Bound(value="modes", at_least=2)),
        ),
        "cpu": Scale(
            data="mnist",
            steps=2600,
            batch_size=64,
            options={"recipe": "modern", "width": 512, "num_discriminator_steps": 2, "lr": 5e-4},
            bounds=(Bound(value="parzen_nats", at_least=-30.0), Bound(value="frechet_distance", at_most=41.0)),
        ),
        "gpu": Scale(
            data="mnist",
            steps=100_000,
            options={"recipe": "modern", "num_discriminator_steps": 2},
            bounds=(Bound(value="parzen_nats", at_least=150.0), Bound(value="rarest_class", at_least=0.05)),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    train, test = data_of(trial.scale)
    model = trained(trial, "gan", train, options={"loss": "minimax" if trial.control else "non_saturating"})
    samples = model.sample(10_000, seed=trial.seed)
    return Measured(read(samples, train, test, trial), samples[: 64 if samples.dim() == 4 else 2000])


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    train, test = data_of(trial.scale)
    things = {"untrained": untrained(trial, "gan", train).sample(10_000, seed=trial.seed)}
    if len(train.shape) == 3:
        things["mean_and_noise"] = mean_image_and_noise(train, 10_000, trial.seed)
        things["training_images"] = drawn(train, 10_000, 1, trial.device)
    else:
        things["held_out_points"] = drawn(test, 10_000, 1, trial.device)
    return {name: read(samples, train, test, trial) for name, samples in things.items()}


def read(samples: Tensor, train: Dataset, test: Dataset, trial: Trial) -> dict[str, float]:
    """The values of 10,000 samples: 5,000 images for the judge, 2,500 points for the modes, 1,000 for W1."""
    if samples.dim() == 4:
        values = Reader(train, 5000, trial.seed, trial.device).read(samples[:5000])
        return values | {"parzen_nats": parzen(samples, test, trial.seed)}
    points, real = samples.double().cpu(), drawn(train, 1000, trial.seed, torch.device("cpu")).double()
    found = mode_coverage(points[:2500], mode_centres(train.name).double(), MODE_STD[train.name])
    return {
        "wasserstein_distance": wasserstein_distance(real, points[:1000]),
        "modes": found.covered,
        "high_quality": found.high_quality,
    }
