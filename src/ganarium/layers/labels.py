"""Checks class labels, and turns them into inputs of networks."""

from typing import Any

import torch
from torch import Tensor

from ganarium.errors import UserError


def known_classes(num_classes: int | None, model: str, otherwise: str = "") -> int:
    """The number of classes of the data; `UserError` if they have fewer than two.

    The error names the `model`, and ends with what can be done `otherwise`.
    """
    if (num_classes or 0) < 2:
        has = "has one class" if num_classes else "has no labels"
        raise UserError(f"{model} learns from the labels of at least two classes, and this data set {has}{otherwise}.")
    assert num_classes
    return num_classes


def one_hot(label: Tensor, num_classes: int, dtype: torch.dtype) -> Tensor:
    """(b,) -> (b, num_classes); torch's own waits for the device to check its input."""
    return (label[:, None] == torch.arange(num_classes, device=label.device)).to(dtype)


def asked_labels(label: Any, n: int, num_classes: int, device: torch.device) -> Tensor:
    """The labels int64 (n,) for the `label` that `sample` was given: a class for all samples, or (n,) one for each.

    Raises `UserError` for numbers that are no class.
    """
    try:
        values = torch.as_tensor(label, device=device).expand(n)
        whole = not values.is_floating_point() and not values.is_complex() and values.dtype != torch.bool
        classes = values.long() if whole else torch.full((n,), -1)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        classes = torch.full((n,), -1)
    if not bool(((classes >= 0) & (classes < num_classes)).all()):
        raise UserError(
            f"label must be a class from 0 to {num_classes - 1}, for all {n} samples or for each, in whole numbers."
        )
    return classes
