"""Counts the memory of a step at each resolution of a model that grows, without computing anything."""

import math
import weakref
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ganarium.data.dataset import Images
from ganarium.errors import UserError
from ganarium.model import Model
from ganarium.training.estimate import RESERVE, USABLE, free_bytes

LIBRARIES = 600 * 2**20  # bytes that a process on the CPU takes before its first tensor


class Need(NamedTuple):
    """What a step takes from an iteration on: its images have `side` pixels."""

    iteration: int
    side: int
    bytes: int


class Live(TorchDispatchMode):
    """Counts the bytes of the tensors that are alive while it is active, and their `peak`."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {part.untyped_storage()._cdata for part in tree_leaves((args, kwargs)) if isinstance(part, Tensor)}
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in given and storage._cdata not in self.seen:
                    self._begin(storage._cdata, storage.nbytes())
                    weakref.finalize(storage, self._end, storage._cdata, storage.nbytes())
        return result

    def _begin(self, key: int, size: int) -> None:
        self.seen.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)

    def _end(self, key: int, size: int) -> None:
        self.seen.discard(key)
        self.now -= size


class Nothing:
    """Gives batches of images that have a shape and no values."""

    def __init__(self, shape: tuple[int, ...], batch_size: int) -> None:
        self.shape, self.batch_size = shape, batch_size

    def __next__(self) -> Images:
        return self.draw(self.batch_size)

    def draw(self, n: int) -> Images:
        return Images(torch.empty(n, *self.shape))


def needs(model: Model, batch_size: int, *, steps: int, device: str, precision: str = "fp32") -> list[Need]:
    """The memory of a step at each resolution that a run of so many steps reaches, the first first. Empty for a model
    that does not grow.

    Tensors are counted while a step runs on torch's fake tensors, which have no values: weights, their averages,
    gradients, Adam's moments and all that a step keeps for its gradients. A tenth is added for gaps, and on the CPU the
    libraries.
    """
    if not model.resolutions:
        return []
    stages: list[Need] = []
    players: set[str] = set()
    with FakeTensorMode():
        empty = type(model)(model.config, model.shape, model.num_classes)
        for iteration, side in empty.resolutions.items():
            if iteration < steps:
                peak, movers = _step(empty, iteration, batch_size, precision)
                players |= movers
                count = RESERVE * (_held(empty, players) + peak) * (2 if precision == "fp64" else 1)
                stages.append(Need(iteration, side, int(count + (LIBRARIES if device == "cpu" else 0))))
    return stages


def check(model: Model, batch_size: int, *, steps: int, device: str, precision: str = "fp32") -> str:
    """The memory at each resolution, in a line; empty for a model that does not grow.

    Raises `UserError` where the largest does not fit in four fifths of what is free, with the batch size that would.
    """
    run: dict[str, Any] = {"steps": steps, "device": device, "precision": precision}
    stages, room = needs(model, batch_size, **run), USABLE * free_bytes(device)
    if not stages:
        return ""
    worst = max(stages, key=lambda need: need.bytes)
    if worst.bytes > room:
        one = needs(model, 1, **run)[stages.index(worst)].bytes
        each = (worst.bytes - one) / max(1, batch_size - 1)
        fits = 1 + int((room - one) / max(each, 1)) if room >= one else 0
        remedy = f"use --batch-size {min(fits, batch_size - 1)}" if fits else "use a smaller --size or --width"
        raise UserError(
            f"{type(model).__name__} needs about {_words(worst.bytes)} of memory at {worst.side}x{worst.side} in "
            f"batches of {batch_size}, and {_words(int(room))} can be used here: {remedy}."
        )
    listed = ", ".join(f"{need.side}x{need.side} {_words(need.bytes)}" for need in stages)
    return f"memory at each resolution, about: {listed}; {_words(int(room))} can be used here."


def _held(model: Model, players: set[str]) -> int:
    """Bytes of what lasts from step to step: weights, averages, buffers, and the moments of Adam of these players."""
    averaged = _bytes(value for name in model.ema for value in getattr(model, name).state_dict().values())
    moments = 2 * sum(_bytes(model.players[name].parameters()) for name in players)
    return _bytes(model.parameters()) + _bytes(model.buffers()) + averaged + moments


def _step(model: Model, iteration: int, batch_size: int, precision: str = "fp32") -> tuple[int, set[str]]:
    """The peak bytes of one step beyond what lasts, and the players that move in it."""
    model.iteration, movers = iteration, set()
    batches: Any = Nothing(model.shape, batch_size)
    with Live() as live, torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        for player, terms, *_ in model.step(batches):
            own = list(model.players[player].parameters())
            torch.stack([term.sum() for term in terms.values()]).sum().backward(inputs=own)
            for value in own:
                value.grad = None
            movers.add(player)
    return live.peak, movers


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(value.numel() * value.element_size() for value in tensors)


def _words(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{math.ceil(size / 2**20)} MiB"
