"""Measures whether translations learned without pairs are the true ones, where the map between the domains is known."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from ganarium.data.dataset import Dataset, decode
from ganarium.data.sources.scenes import Look, Scenes, render, scenes_of
from ganarium.proofs.experiment import Experiment, Measure, Measured

Domain = Literal["a", "b"]
DIRECTIONS: tuple[tuple[Domain, Look, str, str], ...] = (("a", "outlined", "a2b", "b2a"), ("b", "filled", "b2a", "a2b"))
COUNT, CANDIDATES, HUES = 200, 10, 8


class HiddenMap(Measure):
    """Of 200 held-out images of either domain, by the mean absolute difference, the smaller of both directions.
    corresponds: the share of translations that are nearer to their true partner than to the shapes of nine other images
    at their places, each in the one of eight hues that fits best (chance: 0.1); shape: the same for these shapes at the
    true place (chance: 0.1); hue: the share that are nearer to their true partner than to the same in the seven other
    hues (chance: 0.125). cycle_error: the mean of |F(G(a)) - a|, pixels in [-1, 1], of both directions."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        shares, errors, rows = [], [], []
        for domain, look, direction, back in DIRECTIONS:
            own, scenes = held_out(experiment.test, domain)
            own = own.to(experiment.device)
            made = model.translate(own, direction=direction)
            shares.append(right_shares(made, scenes, look))
            errors.append((model.translate(made, direction=back) - own).abs().mean().item())
            rows += [own[:8], made[:8], in_hues(scenes, look, made)[0, :8]]
        return Measured(smaller(shares) | {"cycle_error": sum(errors) / 2}, torch.cat(rows))

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        unchanged = []
        for domain, look, *_ in DIRECTIONS:
            own, scenes = held_out(experiment.test, domain)
            unchanged.append(right_shares(own, scenes, look))
        return {"images_left_as_they_are": smaller(unchanged) | {"cycle_error": 0.0}}


def smaller(shares: list[dict[str, float]]) -> dict[str, float]:
    """Each value in the direction in which it is smaller."""
    return {name: min(share[name] for share in shares) for name in shares[0]}


def held_out(test: Dataset, domain: Domain) -> tuple[Tensor, Scenes]:
    """Images of a domain (n, c, h, w) in [-1, 1], and what they show."""
    images = test.images if domain == "a" else test.second
    assert images is not None
    return decode(images[:COUNT]), Scenes(*(field[:COUNT] for field in scenes_of(test, domain)))


def right_shares(made: Tensor, scenes: Scenes, look: Look) -> dict[str, float]:
    """`corresponds`, `shape` and `hue` of translations (n, c, h, w) of scenes into a look."""
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
