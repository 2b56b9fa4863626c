"""Checks the inputs of metrics, and returns them in double precision and detached. Errors are one sentence."""

from typing import Any

import torch
from torch import Tensor

from ganarium.errors import UserError

BLOCK = 2**22  # numbers of a table in memory at a time: 32 MiB in double precision
ROUNDING = 2**-6  # of a sum of probabilities in bfloat16, even by log_softmax(1).exp(); they may be in float32 by now


def as_tensor(values: Any, name: str) -> Tensor:
    """Values as a tensor: a tensor, an array, or lists of numbers."""
    try:
        return torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError):
        raise UserError(
            f"{name} must be a tensor, an array, or lists of numbers of one length, not this {type(values).__name__}."
        ) from None


def as_double(values: Tensor | float, name: str) -> Tensor:
    """The values in float64, on their device, or on the CPU if the device has no float64. All must be finite."""
    values = as_tensor(values, name).detach()
    if values.is_complex():
        raise UserError(f"{name} must be real numbers, not {str(values.dtype).removeprefix('torch.')}.")
    double = (values.cpu() if values.device.type == "mps" else values).double()
    finite = double.isfinite()
    if not bool(finite.all()):
        bad = finite.numel() - int(finite.sum())
        raise UserError(f"{bad} of the {finite.numel()} numbers of {name} are NaN or infinite: find their source.")
    return double


def as_features(values: Tensor, name: str, at_least: int = 1) -> Tensor:
    """Features (n, d) in float64, with n at least `at_least`."""
    values = as_tensor(values, name)
    if values.dim() != 2 or values.shape[1] == 0:
        raise UserError(f"{name} must be features (n, d), not of shape {tuple(values.shape)}: flatten each sample.")
    require_samples(len(values), name, at_least)
    return as_double(values, name)


def as_pair(
    a: Tensor, b: Tensor, names: tuple[str, str] = ("a", "b"), *, at_least: int = 1, equal: bool = False
) -> tuple[Tensor, Tensor]:
    """Two sets of features (n, d) and (m, d) in float64 on the device of the first; `equal` asks for n = m."""
    first, second = as_features(a, names[0], at_least), as_features(b, names[1], at_least)
    same_width(first.shape[1], second.shape[1], names)
    if equal and len(first) != len(second):
        raise UserError(
            f"{names[0]} and {names[1]} must have equally many samples, not {len(first)} and {len(second)}: "
            "take as many of the larger set."
        )
    return first, second.to(first.device)


def same_width(first: int, second: int, names: tuple[str, str]) -> None:
    """`UserError` unless both sets have the same number of features."""
    if first != second:
        raise UserError(
            f"{names[0]} has {first} features per sample and {names[1]} has {second}: use one feature network for both."
        )


def as_probabilities(values: Tensor, name: str) -> Tensor:
    """Class probabilities (n, k) in float64, each row divided by its sum. That may be off by ROUNDING from 1."""
    values = as_features(values, name)
    worst = float((values.sum(1) - 1).abs().max())
    if float(values.min()) < -1e-6 or worst > ROUNDING:
        raise UserError(f"the rows of {name} must be probabilities that sum to 1: take softmax(1) of logits first.")
    values = values.clamp(min=0)
    return values / values.sum(1, keepdim=True)


def as_labels(values: Tensor, name: str) -> Tensor:
    """Whole numbers (n,) as int64."""
    values = as_tensor(values, name).detach()
    if values.dim() != 1 or values.is_floating_point() or values.is_complex():
        raise UserError(
            f"{name} must be whole numbers (n,), not {str(values.dtype).removeprefix('torch.')} "
            f"of shape {tuple(values.shape)}."
        )
    require_samples(len(values), name, 1)
    return values.long()


def as_label_pair(first: Tensor, second: Tensor, names: tuple[str, str], at_least: int = 1) -> tuple[Tensor, Tensor]:
    """Two labellings (n,) of the same samples, as int64 on one device."""
    one, two = as_labels(first, names[0]), as_labels(second, names[1])
    if len(one) != len(two):
        raise UserError(f"{names[0]} has {len(one)} samples and {names[1]} has {len(two)}: give one label for each.")
    require_samples(len(one), names[0], at_least)
    return one, two.to(one.device)


def require_samples(count: int, name: str, at_least: int) -> None:
    """`UserError` when there are fewer samples than a metric needs."""
    if count < at_least:
        plural = "sample is" if at_least == 1 else "samples are"
        raise UserError(f"{name} has {count} samples, but at least {at_least} {plural} needed: draw more.")
