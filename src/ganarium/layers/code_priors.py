"""Distributions of codes in the plane that have a part for each class (Makhzani et al. 2015, section 2.3)."""

import math

import torch
from torch import Tensor

DISTANCE, ALONG, ACROSS = 4.0, 1.0, 0.25  # of the mixture: of a centre from 0, and the deviations of a component
RADIUS, TURNS = 5.0, 2.0  # of the swiss roll


def mixture(part: Tensor, num_parts: int, dtype: torch.dtype) -> Tensor:
    """A draw (n, 2) of each of these components (n,) of a ring of Gaussians, each long in the direction away from 0."""
    normal = torch.randn(len(part), 2, device=part.device, dtype=dtype)
    outwards, aside = DISTANCE + ALONG * normal[:, 0], ACROSS * normal[:, 1]
    angle = 2 * math.pi * part.to(dtype) / num_parts
    across, up = angle.cos(), angle.sin()
    return torch.stack([outwards * across - aside * up, outwards * up + aside * across], 1)


def swiss_roll(part: Tensor, num_parts: int, dtype: torch.dtype) -> Tensor:
    """A draw (n, 2) of each of these pieces (n,) of a spiral, from its middle outwards; no two pieces overlap."""
    place = ((part + torch.rand(len(part), device=part.device, dtype=dtype)) / num_parts).sqrt()
    angle = 2 * math.pi * TURNS * place
    return RADIUS * place[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
