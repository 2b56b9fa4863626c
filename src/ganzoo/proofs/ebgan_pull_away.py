"""EBGAN-PT: the pulling-away term keeps the codes of a batch of samples apart."""

import torch

from ganzoo.models.ebgan import pull_away
from ganzoo.proofs.claims import Bound, Claim, Measured, Scale, Trial
from ganzoo.proofs.training import Reader, data_of, drawn, mean_image_and_noise, trained, untrained

CLAIM = Claim(
    model="ebgan",
    text="With the pulling-away term the codes of samples point in different directions.",
    source="Zhao et al. 2016, section 2.4",
    control="EBGAN: the same without the term",
    measure="alike: mean squared cosine of the codes of 1,000 samples in D's encoder. Shown beside it: Frechet "
    "distance on a judge's features and share of its rarest class, 2,000 samples",
    scales={
        "cpu": Scale(
            data="fashion_mnist",
            steps=700,
            options={"width": 16, "pull_away_weight": 0.1, "num_measuring_steps": 300},
            bounds=(Bound(value="alike", at_most=0.1),),
        ),
        "gpu": Scale(
            data="fashion_mnist",
            steps=20_000,
            options={"pull_away_weight": 0.1},
            bounds=(Bound(value="alike", at_most=0.1),),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    train, _ = data_of(trial.scale)
    model = trained(trial, "ebgan", train, options={"pull_away_weight": 0.0} if trial.control else None)
    samples = model.sample(2000, seed=trial.seed)
    with torch.no_grad():
        alike = pull_away(model.discriminator[0](samples[:1000].to(trial.device))).item()
    read = Reader(train, 2000, trial.seed, trial.device).read(samples)
    return Measured({"alike": alike} | read, samples[:64])


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    train, test = data_of(trial.scale)
    reader = Reader(train, 2000, trial.seed, trial.device)
    things = {
        "held_out_images": drawn(test, 1000, trial.seed, trial.device),
        "mean_and_noise": mean_image_and_noise(train, 2000, trial.seed),
        "untrained": untrained(trial, "ebgan", train).sample(2000, seed=trial.seed),
    }
    return {name: reader.read(images) for name, images in things.items()}
