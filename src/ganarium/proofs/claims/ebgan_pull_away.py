"""EBGAN-PT: where the energy alone lets all fakes be one image, the pull-away term keeps them apart."""

import torch
from torch import Tensor

from ganarium.models.ebgan import EBGAN, pull_away
from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.training import Reader, data_of, drawn, mean_image_and_noise, trained, untrained

OPTIONS = {"margin": 0.0, "pull_away_weight": 0.1}
FAKES_APART = Bound(value="squared_cosine", at_most=0.25)
CLAIM = Claim(
    model="ebgan",
    text="Where D refuses no fakes, all become the one it rebuilds best; the pull-away term keeps them apart.",
    source="Zhao et al. 2016, section 2.4",
    control="the same without the pull-away term: EBGAN with a margin of 0",
    measure="squared_cosine: mean of cosine^2 over pairs of codes of 640 generated images, in batches of 64. Shown "
    "beside it: the same of images of the data, by the same D; frechet_distance and coverage on a judge's features, "
    "2,000 samples; as baselines, the margin as it is measured, with the term and without",
    scales={
        "quick": Scale(
            data="glyphs",
            data_options={"characters": "digits", "size": (16, 16)},
            steps=1000,
            options=OPTIONS | {"width": 16},
            bounds=(FAKES_APART, Bound(value="coverage", at_least=0.02)),
        ),
        "cpu": Scale(
            data="fashion_mnist",
            data_options={"size": (16, 16)},
            steps=2000,
            options=OPTIONS | {"width": 16},
            bounds=(FAKES_APART, Bound(value="coverage", at_least=0.05)),
        ),
        "gpu": Scale(
            data="fashion_mnist",
            steps=20_000,
            options=OPTIONS,
            bounds=(FAKES_APART, Bound(value="coverage", at_least=0.05)),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    train, test = data_of(trial.scale)
    model = trained(trial, "ebgan", train, options={"pull_away_weight": 0.0} if trial.control else None)
    images = model.sample(2000, seed=trial.seed)
    values = read(model, images, Reader(train, 2000, trial.seed, trial.device))
    of_data = squared_cosine(model, drawn(test, 640, trial.seed, trial.device))
    return Measured(values | {"squared_cosine_of_data": of_data}, images[:64])


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    train, test = data_of(trial.scale)
    reader = Reader(train, 2000, trial.seed, trial.device)
    things = {
        "untrained": untrained(trial, "ebgan", train),
        "with_margin": trained(trial, "ebgan", train, options={"margin": None}),
        "with_margin_alone": trained(trial, "ebgan", train, options={"margin": None, "pull_away_weight": 0.0}),
    }
    found = {name: read(model, model.sample(2000, seed=trial.seed), reader) for name, model in things.items()}
    held_out = reader.read(drawn(test, 1000, trial.seed, trial.device))
    noise = reader.read(mean_image_and_noise(train, 2000, trial.seed))
    return {"held_out_images": held_out, "mean_and_noise": noise} | found


def read(model: EBGAN, images: Tensor, reader: Reader) -> dict[str, float]:
    return {"squared_cosine": squared_cosine(model, images[:640])} | reader.read(images)


@torch.no_grad()
def squared_cosine(model: EBGAN, images: Tensor) -> float:
    """f_PT of the codes that D has for images (n, c, h, w), the mean over batches of 64."""
    return torch.stack([pull_away(model.discriminator[0](batch)) for batch in images.split(64)]).mean().item()
