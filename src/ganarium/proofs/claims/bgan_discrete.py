"""BGAN: weighted likelihoods teach G binary pixels, which grey ones passed to D for their gradient cannot."""

import torch

from ganarium.models.bgan import binary
from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.training import Reader, data_of, drawn, trained, untrained

CLAIM = Claim(
    model="bgan",
    text="D's odds, as weights of the likelihood of G's own samples, teach it to draw binary images.",
    source="Hjelm et al. 2017, section 2.2, algorithm 1",
    control="the gradient through grey pixels (form continuous) on binary images, which D tells apart by their grey",
    measure="rarest_class: share of the rarest of a judge's classes; coverage and frechet_distance on its features; "
    "2,000 samples, against training images made binary; a control's are made binary with their brightness as chance",
    scales={
        "quick": Scale(
            data="glyphs",
            data_options={"characters": "digits", "size": (16, 16)},
            steps=300,
            batch_size=32,
            options={"width": 8, "lr": 1e-3, "num_samples": 10},
            bounds=(Bound(value="coverage", at_least=0.1),),
        ),
        "cpu": Scale(
            data="mnist_binarised",
            data_options={"size": (16, 16)},
            steps=2000,
            batch_size=32,
            options={"width": 16, "lr": 5e-4, "num_samples": 10},
            bounds=(Bound(value="coverage", at_least=0.2), Bound(value="frechet_distance", at_most=1.1)),
        ),
        "gpu": Scale(
            data="mnist_binarised",
            steps=30_000,
            bounds=(Bound(value="rarest_class", at_least=0.05), Bound(value="frechet_distance", at_most=30.0)),
        ),
    },
)
COUNT = 2000


def measure(trial: Trial) -> Measured:
    train, _ = data_of(trial.scale)
    model = trained(trial, "bgan", train, options={"form": "continuous"} if trial.control else None)
    torch.manual_seed(trial.seed)
    samples = model.sample(COUNT, seed=trial.seed)
    if trial.control:
        samples = binary((samples + 1) / 2)
    return Measured(reader(trial).read(samples), samples[:64])


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    train, test = data_of(trial.scale)
    torch.manual_seed(trial.seed)
    things = {
        "held_out_images": binary((drawn(test, 1000, trial.seed, trial.device) + 1) / 2),
        "untrained": untrained(trial, "bgan", train).sample(COUNT, seed=trial.seed),
    }
    return {name: reader(trial).read(images) for name, images in things.items()}


def reader(trial: Trial) -> Reader:
    """Reads by the training images made binary."""
    train, _ = data_of(trial.scale)
    return Reader(train, COUNT, trial.seed, trial.device, change=lambda images: binary((images + 1) / 2))
