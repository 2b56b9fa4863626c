"""Builds the normalisation of discriminators by its name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.utils import parametrizations

from ganarium.errors import UserError

Norm = Literal["none", "batch", "layer", "spectral"]


def norm_layers(norm: Norm, channels: int, *, flat: bool = False) -> list[nn.Module]:
    """The layers that follow a layer of `channels` outputs: batch norm, layer norm or none.

    Batch norm is per channel. Layer norm is over a whole sample, with a gain and a shift per channel (Gulrajani et al.
    2017, section 4). `spectral` needs no layer: see `normalise_spectrally`.
    """
    if norm == "batch":
        return [nn.BatchNorm1d(channels) if flat else nn.BatchNorm2d(channels)]
    return [nn.GroupNorm(1, channels)] if norm == "layer" else []


def spectral_norm(layer: nn.Module) -> nn.Module:
    """Divides the layer's weight by its largest singular value, as PyTorch does, with one power iteration in a forward
    pass (Miyato et al. 2018). A weight on the device `meta` has no values and stays as it is: the fifteen iterations at
    the start would take seconds there."""
    return layer if next(layer.parameters()).is_meta else parametrizations.spectral_norm(layer)


def normalise_spectrally(network: nn.Module) -> None:
    """Divides every weight by its largest singular value, with one power iteration in a forward pass (Miyato et al.
    2018). Comes after the weights are initialised: from then on `weight` is computed."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            spectral_norm(layer)


@contextmanager
def unrecorded(network: nn.Module) -> Iterator[None]:
    """Within this context batch norm does not change its running statistics.

    It stands around passes of fakes through a network that classifies reals.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True


@contextmanager
def fixed_norms(network: nn.Module, forward: Callable[[], Any]) -> Iterator[None]:
    """Inside, instance and batch norm use the statistics that they had in `forward()`, whatever they are shown."""
    layers = [
        layer for layer in network.modules() if isinstance(layer, nn.InstanceNorm2d | nn.BatchNorm2d | nn.BatchNorm1d)
    ]
    names = ("running_mean", "running_var", "momentum", "track_running_stats", "training")
    before = [[getattr(layer, name) for name in names] for layer in layers]
    counters = [layer.num_batches_tracked for layer in layers if layer.num_batches_tracked is not None]
    counts = [(counter, counter.clone()) for counter in counters]
    like = next(network.parameters())
    try:
        for layer in layers:
            layer.running_mean, layer.running_var = (
                like.new_zeros(layer.num_features),
                like.new_ones(layer.num_features),
            )
            layer.momentum, layer.track_running_stats, layer.training = 1.0, True, True
        with torch.no_grad():
            forward()
        for layer in layers:
            layer.training = False
        yield
    finally:
        for layer, values in zip(layers, before, strict=True):
            for name, value in zip(names, values, strict=True):
                setattr(layer, name, value)
        for counter, count in counts:
            counter.copy_(count)


def check_penalised(norm: Norm, model: str) -> None:
    """`UserError` for batch norm in a critic whose gradient is penalised for each sample by itself."""
    if norm == "batch":
        raise UserError(
            f"{model} penalises the gradient of each sample's score, and batch norm makes a score depend on the whole "
            "batch: use --norm layer or none."
        )
