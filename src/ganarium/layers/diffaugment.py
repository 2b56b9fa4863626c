"""Differentiable augmentation (Zhao et al. 2020, arXiv 2006.10738): what D sees of reals and of fakes is changed alike.

Every image has draws of its own, and gradients go through to G. Images are in [-1, 1]; nothing is clipped afterwards.
"""

import torch
from torch import Tensor

POLICY = ("color", "translation", "cutout")
SHIFT = 1 / 8  # largest translation, in parts of a side
HOLE = 1 / 2  # side of the hole that cutout leaves, in parts of a side


def augmented(*images: Tensor, policy: tuple[str, ...] = POLICY) -> list[Tensor]:
    """Images (b, c, h, w), each augmented by the named parts of the policy, in this order.

    Several tensors are of the same b images at several sizes, the largest first: all get the same draws.
    """
    first = images[0]
    b, height, width = len(first), first.shape[2], first.shape[3]
    results = list(images)
    if "color" in policy:
        for change in (brightness, saturation, contrast):
            u = torch.rand(b, 1, 1, 1, device=first.device, dtype=first.dtype)
            results = [change(image, u) for image in results]
    if "translation" in policy:
        limits = [int(side * SHIFT + 0.5) for side in (height, width)]
        rows, columns = (torch.randint(-limit, limit + 1, (b,), device=first.device) for limit in limits)
        results = [
            translation(image, scaled(rows, image.shape[2], height), scaled(columns, image.shape[3], width))
            for image in results
        ]
    if "cutout" in policy:
        sides = [int(side * HOLE + 0.5) for side in (height, width)]
        rows, columns = (
            torch.randint(0, side + 1 - hole % 2, (b,), device=first.device)
            for side, hole in zip((height, width), sides, strict=True)
        )
        results = [
            cutout(image, scaled(rows, image.shape[2], height), scaled(columns, image.shape[3], width))
            for image in results
        ]
    return results


def brightness(image: Tensor, u: Tensor) -> Tensor:
    """Adds u - 0.5, u (b, 1, 1, 1) in [0, 1]."""
    return image + (u - 0.5)


def saturation(image: Tensor, u: Tensor) -> Tensor:
    """Scales the distance from each pixel's mean over the channels by 2 u."""
    mean = image.mean(1, keepdim=True)
    return (image - mean) * (2 * u) + mean


def contrast(image: Tensor, u: Tensor) -> Tensor:
    """Scales the distance from each image's mean by u + 0.5."""
    mean = image.mean((1, 2, 3), keepdim=True)
    return (image - mean) * (u + 0.5) + mean


def translation(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Moves each image up by its `rows` and left by its `columns` (b,), whole pixels; zeros come in."""
    b, _, h, w = image.shape
    down = torch.arange(h, device=image.device) + rows[:, None]  # (b, h)
    across = torch.arange(w, device=image.device) + columns[:, None]  # (b, w)
    inside = ((down >= 0) & (down < h))[:, :, None] & ((across >= 0) & (across < w))[:, None, :]
    sample = torch.arange(b, device=image.device)[:, None, None]
    pixels = image.permute(0, 2, 3, 1)[sample, down.clamp(0, h - 1)[:, :, None], across.clamp(0, w - 1)[:, None, :]]
    return (pixels * inside[..., None]).permute(0, 3, 1, 2)


def cutout(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Sets a hole of half of each side to zero; its middle lies at `rows` and `columns` (b,), so that it may be cut by
    the border, and never lies outside."""
    h, w = image.shape[2:]
    outside = []
    for place, side in ((rows, h), (columns, w)):
        hole = int(side * HOLE + 0.5)
        first = (place - hole // 2)[:, None]
        index = torch.arange(side, device=image.device)
        within = (index >= first) & (index < first + hole)
        # at a border the authors clamp the indices of the hole: its first or last row stays
        touched = within | ((first + hole <= 0) & (index == 0)) | ((first >= side) & (index == side - 1))
        outside.append(touched)
    hidden = outside[0][:, :, None] & outside[1][:, None, :]
    return image * ~hidden[:, None]


def scaled(pixels: Tensor, side: int, full: int) -> Tensor:
    """Whole pixels at one side length, at another."""
    return pixels if side == full else (pixels * side / full).round().long()
