"""GAN on colour images: one G draws all channels of a picture together, so that its hues are those of the data."""

from dataclasses import replace

import torch
from torch import Tensor

from ganarium.data.dataset import Dataset
from ganarium.data.sources.mnist_variants import HUES
from ganarium.evaluation.features import network_for
from ganarium.metrics.judges.judge import Judge
from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.training import data_of, drawn, trained, untrained

CLAIM = Claim(
    model="gan",
    text="On colour images the channels are drawn jointly: hues and the channels' covariance are those of the data.",
    source="Goodfellow et al. 2014, the colour images of section 5 (CIFAR-10)",
    control="three grey GANs, one for each channel, with the same recipe",
    measure="covariance_error: of the 3x3 covariance of the channels over all pixels, relative Frobenius error; "
    "hue_error: total variation between the hues of foreground pixels (one of six, by which channels are lit) and the "
    "data's; 5,000 samples. Shown beside them: cells, the (hue, digit) pairs of 60 that they hit, by a judge",
    scales={
        "cpu": Scale(
            data="mnist",
            data_options={"size": (16, 16)},
            steps=4000,
            options={"network": "dcgan", "width": 16, "lr": 6e-4},
            bounds=(
                Bound(value="covariance_error", at_most=0.2),
                Bound(value="hue_error", at_most=0.25),
                Bound(value="cells", at_least=60),
            ),
        ),
        "gpu": Scale(
            data="mnist",
            steps=30_000,
            options={"network": "dcgan"},
            bounds=(
                Bound(value="covariance_error", at_most=0.2),
                Bound(value="hue_error", at_most=0.15),
                Bound(value="cells", at_least=60),
            ),
        ),
    },
)
COUNT = 5000


def tinted(data: Dataset, place: int) -> Dataset:
    """A grey split with each image in one of six saturated hues, drawn apart from what it shows."""
    hue = torch.randint(len(HUES), (len(data),), generator=torch.Generator().manual_seed(place))
    colours = torch.tensor(list(HUES.values()), dtype=torch.uint8)[hue]
    return replace(data, images=data.images * colours.view(-1, 1, 1, 3), digest="")


def measure(trial: Trial) -> Measured:
    train = tinted(data_of(trial.scale)[0], 0)
    if trial.control:
        channels = []
        for channel in range(3):
            grey = replace(train, images=train.images[..., channel : channel + 1])
            own = replace(trial, seed=10 * trial.seed + channel)
            channels.append(trained(own, "gan", grey).sample(COUNT, seed=own.seed))
        samples = torch.cat(channels, 1)
    else:
        samples = trained(trial, "gan", train).sample(COUNT, seed=trial.seed)
    return Measured(read(samples, train, trial), samples[:64])


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    splits = [tinted(split, place) for place, split in enumerate(data_of(trial.scale))]
    things = {
        "held_out_images": drawn(splits[1], min(COUNT, len(splits[1])), trial.seed, trial.device),
        "untrained": untrained(trial, "gan", splits[0]).sample(COUNT, seed=trial.seed),
    }
    things["grey_repeated"] = things["held_out_images"].amax(1, keepdim=True).expand(-1, 3, -1, -1)
    return {name: read(images, splits[0], trial) for name, images in things.items()}


def read(samples: Tensor, train: Dataset, trial: Trial) -> dict[str, float]:
    """The values of images (n, 3, h, w) in [-1, 1]."""
    samples, real = samples.cpu(), drawn(train, COUNT, trial.seed, torch.device("cpu"))
    judge = network_for(trial.scale.data, 1, "auto", trial.device)
    assert isinstance(judge, Judge)
    covariances = [torch.cov(images.transpose(0, 1).flatten(1)) for images in (samples, real)]
    hues, own = (pixel_hues(images) for images in (samples, real))
    digits = judge.head(judge.features(samples.amax(1, keepdim=True).to(trial.device))).argmax(1).cpu()
    lit = torch.stack([(hues == hue).flatten(1).sum(1) for hue in range(len(HUES))]).argmax(0)
    return {
        "covariance_error": ((covariances[0] - covariances[1]).norm() / covariances[1].norm()).item(),
        "hue_error": 0.5 * (shares(hues) - shares(own)).abs().sum().item(),
        "cells": float(len(torch.unique((lit * judge.num_classes + digits)[digits < 10]))),  # some judges know letters
    }


def pixel_hues(images: Tensor) -> Tensor:
    """(n, h, w): the place in HUES of the channels that are above half, 6 for white, -1 for what is dark."""
    lit = (images > 0).long()
    code = lit[:, 0] * 4 + lit[:, 1] * 2 + lit[:, 2]
    places = torch.full((8,), -1)
    places[7] = len(HUES)
    for place, (red, green, blue) in enumerate(HUES.values()):
        places[red * 4 + green * 2 + blue] = place
    return places[code]


def shares(hues: Tensor) -> Tensor:
    """How the foreground's pixels spread over the hues and white (7,)."""
    found = hues[hues >= 0]
    return torch.bincount(found, minlength=len(HUES) + 1).double() / max(len(found), 1)
