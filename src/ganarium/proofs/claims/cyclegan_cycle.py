"""CycleGAN: the cycle term finds the true map between two domains that have no pairs."""

from dataclasses import replace

import torch
from torch import Tensor

from ganarium.data.dataset import Dataset, decode
from ganarium.data.sources.scenes import render, scenes_of
from ganarium.proofs.claim import Bound, Claim, Measured, Scale, Trial
from ganarium.proofs.training import data_of, trained

CLAIM = Claim(
    model="cyclegan",
    text="There and back gives the image itself, and what is in between is the image's partner in the other domain.",
    source="Zhu et al. 2017, section 3.2 and the ablation of section 5.1.4",
    control="no cycle term and no identity term: two plain GANs between the domains",
    measure="cycle_error: mean |F(G(a)) - a| of 200 held-out images in [-1, 1], mean of both directions; map_error: "
    "mean |G(a) - true partner of a|, the larger of both directions. Digits (cpu): MNIST and the negative of MNIST, "
    "each from another half of the training digits. Scenes (quick): filled shapes and outlined ones",
    scales={
        "quick": Scale(
            data="scenes_unpaired",
            data_options={"size": (16, 16)},
            steps=250,
            batch_size=8,
            options={"width": 12, "num_blocks": 2, "augment": False, "lr": 1e-3, "patch_layers": 1},
            bounds=(Bound(value="cycle_error", at_most=0.22),),
        ),
        "cpu": Scale(
            data="mnist",
            data_options={"size": (28, 28)},
            steps=800,
            batch_size=4,
            options={"width": 16, "num_blocks": 2, "augment": False, "lr": 1e-3},
            bounds=(Bound(value="cycle_error", at_most=0.08), Bound(value="map_error", at_most=0.07)),
        ),
        "gpu": Scale(
            data="scenes_unpaired",
            data_options={"size": (64, 64)},
            steps=7000,
            batch_size=8,
            options={"augment": False},
            bounds=(Bound(value="cycle_error", at_most=0.06), Bound(value="map_error", at_most=0.2)),
        ),
    },
)


def measure(trial: Trial) -> Measured:
    train, test = domains(trial)
    options = {"cycle_weight": 0.0, "identity_weight": 0.0} if trial.control else None
    model = trained(trial, "cyclegan", train, options=options)
    assert test.second is not None
    images = (decode(part[:200]).to(trial.device) for part in (test.images, test.second))
    errors, wrong, rows = [], [], []
    for direction, back, own, partner in zip(("a2b", "b2a"), ("b2a", "a2b"), images, partners(test), strict=True):
        mapped = model.translate(own, direction=direction)
        returned = model.translate(mapped, direction=back)
        errors.append((returned - own).abs().mean().item())
        wrong.append((mapped - partner.to(own)).abs().mean().item())
        rows += [own[:8], mapped[:8], partner[:8].to(own), returned[:8]]
    return Measured({"cycle_error": sum(errors) / 2, "map_error": max(wrong)}, torch.cat(rows))


def baselines(trial: Trial) -> dict[str, dict[str, float]]:
    _, test = domains(trial)
    assert test.second is not None
    images = [decode(part[:200]) for part in (test.images, test.second)]
    truth = partners(test)
    still = max((own - partner).abs().mean().item() for own, partner in zip(images, truth, strict=True))
    mean = max((part.mean(0) - part).abs().mean().item() for part in truth)
    return {
        "images_left_as_they_are": {"cycle_error": 0.0, "map_error": still},
        "mean_of_the_other_domain": {"map_error": mean},
    }


def domains(trial: Trial) -> tuple[Dataset, Dataset]:
    """The two splits, as unpaired images; of digits the second domain is the negative of other digits."""
    train, test = data_of(trial.scale)
    if train.second is not None:
        return train, test
    halves = [data.images.chunk(2) for data in (train, test)]
    made = [
        replace(data, images=first, second=255 - second, labels=None, class_names=())
        for data, (first, second) in zip((train, test), halves, strict=True)
    ]
    return made[0], made[1]


def partners(test: Dataset) -> list[Tensor]:
    """What the first 200 held-out images of either domain are in the other, in [-1, 1]."""
    assert test.second is not None
    if test.extra is None:
        return [-decode(part[:200]) for part in (test.images, test.second)]
    size = (test.shape[1], test.shape[2])
    looks = [render(scenes_of(test, "a"), "outlined", size), render(scenes_of(test, "b"), "filled", size)]
    return [decode(part[:200]) for part in looks]
