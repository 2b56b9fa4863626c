"""CT-GAN: the consistency term keeps the critic from learning its few training images by heart."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ganarium.data.dataset import Dataset
from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.training import Reader, data_of, drawn, mean_image_and_noise, trained, untrained

CLAIM = Claim(
    model="ct_gan",
    text="Trained on 1,000 images, the critic takes held-out images for data nearly as much as those 1,000.",
    source="Wei et al. 2018, section 4.1, figure 2: the critic's loss on training and on held-out images",
    control="WGAN-GP: the same networks without dropout and without the consistency term",
    measure="gap: (E[D(train)] - E[D(held out)]) / (E[D(train)] - E[D(G(z))]) without dropout, 1,000 images each: 0 "
    "where held-out images are as good as training ones, 1 where they are no better than samples. Shown beside it: "
    "Frechet distance on a judge's features, 2,000 samples; as a baseline, one run with dropout and without the term",
    scales={
        "cpu": Scale(
            data="mnist",
            data_options={"size": (16, 16)},
            steps=2000,
            options={"network": "mlp", "width": 256, "lr": 1e-3},
            numbers={"images": 1000},
            bounds=(Bound(value="gap", at_most=0.1),),
        ),
        "gpu": Scale(
            data="mnist",
            steps=5000,
            numbers={"images": 1000},
            bounds=(Bound(value="gap", at_most=0.3),),
        ),
    },
)
WGAN_GP: dict[str, Any] = {"dropout": 0.0, "consistency_weight": 0.0}


def measure(trial: Trial) -> Measured:
    return read(trial, WGAN_GP if trial.control else {})


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    train, test = data_of(trial.scale)
    reader = Reader(train, 2000, trial.seed, trial.device)
    things = {
        "held_out_images": drawn(test, 2000, trial.seed, trial.device),
        "mean_and_noise": mean_image_and_noise(train, 2000, trial.seed),
        "untrained": untrained(trial, "ct_gan", train).sample(2000, seed=trial.seed),
    }
    found = {name: {"frechet_distance": reader.read(images)["frechet_distance"]} for name, images in things.items()}
    return found | {"dropout_alone": read(trial, {"consistency_weight": 0.0}).values}


def read(trial: Trial, options: dict[str, Any]) -> Measured:
    train, test = data_of(trial.scale)
    few = part(train, trial.scale.numbers["images"], trial.seed)
    model = trained(trial, "ct_gan", few, options=options)
    samples = model.sample(2000, seed=trial.seed)
    with torch.no_grad():
        known, unknown, fake = (
            model.critic(images.to(trial.device)).mean().item()
            for images in (drawn(few, 1000, 0, trial.device), drawn(test, 1000, 0, trial.device), samples[:1000])
        )
    return Measured(
        {
            "gap": (known - unknown) / (known - fake),
            "frechet_distance": Reader(train, 2000, trial.seed, trial.device).read(samples)["frechet_distance"],
        },
        samples[:64],
    )


def part(data: Dataset, n: int, seed: int) -> Dataset:
    """`n` images of a split, chosen by the seed."""
    places: Tensor = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:n]
    return replace(data, images=data.images[places], labels=None if data.labels is None else data.labels[places])
