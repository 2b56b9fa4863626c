"""Measures of maps between two domains: there and back, and, where the true map is known, how far it is learned."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ganarium.data.dataset import Dataset, decode
from ganarium.data.sources.scenes import Look, Scenes, render, scenes_of
from ganarium.evaluation.features import pairs_of
from ganarium.model import Model
from ganarium.sampling import source_of

Domain = Literal["a", "b"]
# the domain of each direction, the look of what it maps to, and the way back
DIRECTIONS: dict[str, tuple[Domain, Look, str]] = {"a2b": ("a", "outlined", "b2a"), "b2a": ("b", "filled", "a2b")}
COUNT, CANDIDATES, HUES = 200, 10, 8
NAMES = ("mean_absolute_error", "correspondence", "correspondence_of_shape", "correspondence_of_hue")
RETURNED = 64  # images that go there and back: as large networks take seconds for each
PART = 50  # scenes in memory at a time, each in all hues


def there_and_back(model: Model, test: Dataset, count: int, seed: int) -> dict[str, float]:
    """`a2b/reconstruction_error`, `b2a/reconstruction_error`: the mean of |F(G(x)) - x| over `count` held-out images of
    a domain, 64 at most, pixels in [-1, 1], or points; nothing of a model that maps one way."""
    if set(model.directions) != set(DIRECTIONS):
        return {}
    count = min(count, RETURNED)
    sums = dict.fromkeys(DIRECTIONS, 0.0)
    for pair in pairs_of(test, count, seed):
        for direction, (_, _, back) in DIRECTIONS.items():
            own = source_of(pair, direction)
            again = model.translate(model.translate(own, direction=direction), direction=back)
            sums[direction] += (again.cpu() - own.cpu()).abs().flatten(1).mean(1).sum().item()
    return {f"{direction}/reconstruction_error": value / count for direction, value in sums.items()}


def beside_the_true_map(model: Model, test: Dataset) -> dict[str, float]:
    """Of translations of the held-out images of scenes_unpaired, at most 200 of each domain, by direction:
    `mean_absolute_error` beside their true partners, pixels in [-1, 1], and `correspondence`, `correspondence_of_shape`
    and `correspondence_of_hue`, see `right_shares`. Nothing of other data, whose true map is not known."""
    values: dict[str, float] = {}
    if test.name != "scenes_unpaired" or model.shape[0] != 3:
        return values
    for direction in model.directions:
        domain, look, _ = DIRECTIONS[direction]
        own, scenes = held_out(test, domain)
        sums = dict.fromkeys(NAMES, 0.0)
        for first in range(0, len(own), PART):
            image, shown = own[first : first + PART], Scenes(*(field[first : first + PART] for field in scenes))
            made = model.translate(image.to(model.device), direction=direction).cpu()
            error = differences(made, in_hues(shown, look, made)[:1]).mean().item()
            for name, value in zip(NAMES, (error, *right_shares(made, shown, look).values()), strict=True):
                sums[name] += len(image) * value
        values |= {f"{direction}/{name}": value / len(own) for name, value in sums.items()}
    return values


def held_out(test: Dataset, domain: Domain) -> tuple[Tensor, Scenes]:
    """Images of a domain (n, c, h, w) in [-1, 1], and what they show."""
    images = test.images if domain == "a" else test.second
    assert images is not None
    return decode(images[:COUNT]), Scenes(*(field[:COUNT] for field in scenes_of(test, domain)))


def right_shares(made: Tensor, scenes: Scenes, look: Look) -> dict[str, float]:
    """Of translations (n, c, h, w) of scenes into a look, by the mean absolute difference. corresponds: the share that
    are nearer to their true partner than to the shapes of nine other images at their places, each in the one of eight
    hues that fits best (chance: 0.1); shape: the same for these shapes at the true place (chance: 0.1); hue: the share
    that are nearer to their true partner than to the same in the seven other hues (chance: 0.125)."""
    elsewhere, here = [], []
    for other in range(CANDIDATES):  # the first is the true one; all have the hues of the true one
        shape = scenes._replace(kind=scenes.kind.roll(other), size=scenes.size.roll(other))
        moved = shape._replace(x=scenes.x.roll(other), y=scenes.y.roll(other))
        here.append(differences(made, in_hues(shape, look, made)).amin(0))
        elsewhere.append(differences(made, in_hues(moved, look, made)).amin(0))
    return {
        "corresponds": first_is_smallest(elsewhere),
        "shape": first_is_smallest(here),
        "hue": first_is_smallest(list(differences(made, in_hues(scenes, look, made)))),
    }


def in_hues(scenes: Scenes, look: Look, like: Tensor) -> Tensor:
    """Scenes in a look, in their own hue, which comes first, and in others: (HUES, n, c, h, w) in [-1, 1]."""
    turned = [scenes._replace(hue=(scenes.hue + step / HUES) % 1) for step in range(HUES)]
    size = (like.shape[2], like.shape[3])
    return torch.stack([decode(render(one, look, size)) for one in turned]).to(like.device)


def differences(made: Tensor, candidates: Tensor) -> Tensor:
    """(n, c, h, w) and (k, n, c, h, w) -> (k, n)."""
    return torch.stack([(made - candidate).abs().flatten(1).mean(1) for candidate in candidates])


def first_is_smallest(values: Sequence[Tensor]) -> float:
    """The share of places at which the first of several tensors (n,) is the smallest."""
    return (torch.stack(list(values)).argmin(0) == 0).double().mean().item()
