"""Measures whether translations learned without pairs are the true ones, where the map between the domains is known."""

from typing import Any, Literal

import torch
from torch import Tensor

from ganarium.data.dataset import Dataset, decode
from ganarium.data.sources.scenes import Scenes, render, scenes_of
from ganarium.proofs.experiment import Experiment, Measure, Measured

Domain = Literal["a", "b"]
DIRECTIONS: tuple[tuple[Domain, str, str], ...] = (("a", "a2b", "b2a"), ("b", "b2a", "a2b"))
COUNT, OTHERS, HUES = 200, 10, 8


class HiddenMap(Measure):
    """Of 200 held-out images of either domain, by the mean absolute difference, the smaller of both directions.
    corresponds: the share of translations that are nearer to their true partner than to those of nine other images
    (chance: 0.1); hue: the share that are nearer to it than to the same shape in seven other hues, all the same
    distance apart (chance: 0.125). cycle_error: the mean of |F(G(a)) - a|, pixels in [-1, 1], of both directions."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        shares, errors, rows = [], [], []
        for domain, direction, back in DIRECTIONS:
            own, turned = (part.to(experiment.device) for part in held_out(experiment.test, domain))
            made = model.translate(own, direction=direction)
            shares.append(right_shares(made, turned))
            errors.append((model.translate(made, direction=back) - own).abs().mean().item())
            rows += [own[:8], made[:8], turned[0, :8]]
        return Measured(smaller(shares) | {"cycle_error": sum(errors) / 2}, torch.cat(rows))

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        unchanged = [right_shares(*held_out(experiment.test, domain)) for domain, *_ in DIRECTIONS]
        return {"images_left_as_they_are": smaller(unchanged) | {"cycle_error": 0.0}}


def right_shares(made: Tensor, turned: Tensor) -> dict[str, float]:
    """`corresponds` and `hue` of translations (n, c, h, w) in one direction; see `held_out`."""
    partners = torch.stack([turned[0].roll(k, 0) for k in range(OTHERS)])
    return {"corresponds": first_is_nearest(made, partners), "hue": first_is_nearest(made, turned)}


def smaller(shares: list[dict[str, float]]) -> dict[str, float]:
    """Each value in the direction in which it is smaller."""
    return {name: min(share[name] for share in shares) for name in shares[0]}


def held_out(test: Dataset, domain: Domain) -> tuple[Tensor, Tensor]:
    """Images of a domain (n, c, h, w) in [-1, 1], and in the other look (HUES, n, c, h, w) the same scenes in their own
    hue, which comes first, and in others."""
    images = test.images if domain == "a" else test.second
    assert images is not None
    scenes = Scenes(*(field[:COUNT] for field in scenes_of(test, domain)))
    turned = [scenes._replace(hue=(scenes.hue + step / HUES) % 1) for step in range(HUES)]
    look: Literal["filled", "outlined"] = "outlined" if domain == "a" else "filled"
    size = (test.shape[1], test.shape[2])
    return decode(images[:COUNT]), torch.stack([decode(render(one, look, size)) for one in turned])


def first_is_nearest(made: Tensor, others: Tensor) -> float:
    """The share of images (n, c, h, w) that are nearest to their own in the first of others (k, n, c, h, w)."""
    distances = (made - others).abs().flatten(2).mean(2)
    return (distances.argmin(0) == 0).double().mean().item()
