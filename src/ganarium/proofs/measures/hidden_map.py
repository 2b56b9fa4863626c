"""Measures whether translations learned without pairs are the true ones, where the map between the domains is known."""

from typing import Any

import torch

from ganarium.evaluation.hidden_map import DIRECTIONS, held_out, in_hues, right_shares
from ganarium.proofs.experiment import Experiment, Measure, Measured


class HiddenMap(Measure):
    """Of 200 held-out images of either domain, by the mean absolute difference, the smaller of both directions.
    corresponds: the share of translations that are nearer to their true partner than to the shapes of nine other images
    at their places, each in the one of eight hues that fits best (chance: 0.1); shape: the same for these shapes at the
    true place (chance: 0.1); hue: the share that are nearer to their true partner than to the same in the seven other
    hues (chance: 0.125). cycle_error: the mean of |F(G(a)) - a|, pixels in [-1, 1], of both directions."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        shares, errors, rows = [], [], []
        for direction, (domain, look, back) in DIRECTIONS.items():
            own, scenes = held_out(experiment.test, domain)
            own = own.to(experiment.device)
            made = model.translate(own, direction=direction)
            shares.append(right_shares(made, scenes, look))
            errors.append((model.translate(made, direction=back) - own).abs().mean().item())
            rows += [own[:8], made[:8], in_hues(scenes, look, made)[0, :8]]
        return Measured(smaller(shares) | {"cycle_error": sum(errors) / 2}, torch.cat(rows))

    def baselines(self, experiment: Experiment) -> dict[str, dict[str, float]]:
        unchanged = []
        for domain, look, _ in DIRECTIONS.values():
            own, scenes = held_out(experiment.test, domain)
            unchanged.append(right_shares(own, scenes, look))
        return {"images_left_as_they_are": smaller(unchanged) | {"cycle_error": 0.0}}


def smaller(shares: list[dict[str, float]]) -> dict[str, float]:
    """Each value in the direction in which it is smaller."""
    return {name: min(share[name] for share in shares) for name in shares[0]}
