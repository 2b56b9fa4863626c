"""PixelRNN: the masked network beats every table of neighbours in likelihood, and does not see what it predicts."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images
from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.training import data_of, trained, untrained

CLAIM = Claim(
    model="pixelrnn",
    text="Held-out digits are far likelier than pixels by themselves are, and no likelier than their noise allows.",
    source="van den Oord et al. 2016, section 5.2 and table 4",
    control="a first layer with mask B, which sees the pixel that it is to predict",
    measure="-log p in nats of held-out images, each made binary by drawing (seed 0); on MNIST below 75 is a leak",
    paper="MNIST, binary: 79.20 nats (Diagonal BiLSTM of 7 layers, another network, trained for far longer)",
    scales={
        "quick": Scale(
            data="glyphs",
            data_options={"characters": "digits", "size": (16, 16)},
            steps=1000,
            options={"num_blocks": 3},
            numbers={"images": 500},
            bounds=(Bound(value="nats", at_least=15.0, at_most=38.0),),
        ),
        "cpu": Scale(
            data="mnist",
            steps=800,
            numbers={"images": 1000},
            bounds=(Bound(value="nats", at_least=75.0, at_most=110.0),),
        ),
        "gpu": Scale(
            data="mnist",
            steps=8000,
            batch_size=256,
            options={"width": 64, "num_blocks": 10, "head": 64},
            numbers={"images": 10_000},
            bounds=(Bound(value="nats", at_least=75.0, at_most=88.0),),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    train, test = data_of(trial.scale)
    alter = see_the_pixel if trial.control else None
    model = trained(trial, "pixelrnn", train, alter=alter)
    images = model.sample(64, seed=trial.seed)
    with torch.no_grad():
        own = model.nll(images).mean().item()
    return Measured({"nats": nats(model, test, trial), "nats_of_own_samples": own}, images)


def see_the_pixel(model: Any) -> None:
    model.network.first.mask[:, :, 3, 3] = True


@torch.no_grad()
def nats(model: Any, test: Dataset, trial: Trial) -> float:
    """Mean -log p of the first held-out images, drawn black and white with a seed of their own."""
    images = Batches(test, Images, 1, device=trial.device).draw(min(trial.scale.numbers["images"], len(test))).image
    torch.manual_seed(0)
    return torch.cat([model.nll(part) for part in images.split(100)]).mean().item()


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    train, test = data_of(trial.scale)
    torch.manual_seed(0)
    count = trial.scale.numbers["images"]
    known, held = (drawn_binary(split, n) for split, n in ((train, 20_000), (test, count)))
    before = [torch.zeros_like(known), torch.zeros_like(held)]
    for part, shifted in zip((known, held), before, strict=True):
        shifted[:, 1:] += part[:, :-1]  # above
        shifted[:, :, 1:] += 2 * part[:, :, :-1]  # left
    alone = (known.double().mean(0) * len(known) + 1) / (len(known) + 2)
    table = torch.stack(
        [((known * (before[0] == case)).sum(0) + 0.5) / ((before[0] == case).sum(0) + 1) for case in range(4)]
    )
    chance = table.gather(0, before[1].long())
    own = untrained(trial, "pixelrnn", train)
    return {
        "uniform": {"nats": math.prod(train.shape) * math.log(2)},
        "untrained": {"nats": nats(own, test, trial)},
        "pixels_by_themselves": {"nats": cost(alone.expand_as(held), held)},
        "table_of_left_and_up": {"nats": cost(chance, held)},
    }


def drawn_binary(data: Dataset, n: int) -> Tensor:
    """The first of a shuffled split as float (n, h, w) of 0 and 1."""
    grey = Batches(data, Images, 1).draw(min(n, len(data))).image[:, 0].add(1).div(2)
    return (torch.rand_like(grey) < grey).float()


def cost(chance: Tensor, binary: Tensor) -> float:
    """Mean nats of an image whose pixels are 1 with this chance."""
    return F.binary_cross_entropy(chance.double(), binary.double(), reduction="none").flatten(1).sum(1).mean().item()
