"""Draws 2-D points as the toy script of WGAN-GP (Gulrajani et al. 2017): a ring and a grid of Gaussians, a spiral."""

import math

import torch
from torch import Tensor

from ganarium.data.dataset import Dataset

NUM_TRAIN, NUM_TEST = 100_000, 10_000
MODE_STD = {"ring": 0.02 / 1.414, "grid": 0.05 / 2.828}  # of each component, in each coordinate


def mode_centres(name: str) -> Tensor:
    """The centres (k, 2) of the components of `ring` (by angle) or `grid` (by row of equal x), in label order."""
    if name == "ring":
        angle = torch.arange(8) * (math.tau / 8)
        return torch.stack([angle.cos(), angle.sin()], dim=1) * (2 / 1.414)
    assert name == "grid", name
    marks = torch.tensor([-4.0, -2.0, 0.0, 2.0, 4.0])
    return torch.cartesian_prod(marks, marks) / 2.828


def ring() -> tuple[Dataset, Dataset]:
    """Draws eight Gaussians on a circle of radius 2, std 0.02, everything divided by 1.414; the label is the
    component."""
    return _mixture("ring")


def grid() -> tuple[Dataset, Dataset]:
    """Draws 25 Gaussians at {-4, -2, 0, 2, 4}^2, std 0.05, everything divided by 2.828; the label is the component."""
    return _mixture("grid")


def swiss_roll() -> tuple[Dataset, Dataset]:
    """Draws columns 0 and 2 of scikit-learn's Swiss roll with noise 0.25, divided by 7.5."""
    generator = torch.Generator().manual_seed(0)
    count = NUM_TRAIN + NUM_TEST
    turn = 1.5 * math.pi * (1 + 2 * torch.rand(count, generator=generator))
    roll = torch.stack([turn * turn.cos(), turn * turn.sin()], dim=1)
    return _split("swiss_roll", (roll + 0.25 * torch.randn(count, 2, generator=generator)) / 7.5, None, ())


def _mixture(name: str) -> tuple[Dataset, Dataset]:
    generator = torch.Generator().manual_seed(0)
    centres = mode_centres(name)
    label = torch.randint(len(centres), (NUM_TRAIN + NUM_TEST,), generator=generator)
    points = centres[label] + MODE_STD[name] * torch.randn(len(label), 2, generator=generator)
    return _split(name, points, label, tuple(f"({x:.2f}, {y:.2f})" for x, y in centres.tolist()))


def _split(name: str, points: Tensor, label: Tensor | None, class_names: tuple[str, ...]) -> tuple[Dataset, Dataset]:
    train, test = (
        Dataset(name, points[part], None if label is None else label[part], class_names, source="drawn by ganarium")
        for part in (slice(NUM_TRAIN), slice(NUM_TRAIN, None))
    )
    return train, test
