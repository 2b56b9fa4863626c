"""Players, and the optimisers that move them."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import nn

Number = float | Callable[[int, int], float]  # a constant, or a function of (iteration, total iterations)


def dropping(value: float, *iterations: int) -> Callable[[int, int], float]:
    """A number that falls to a tenth after each of these iterations."""
    return lambda iteration, total: value * 0.1 ** sum(iteration >= place for place in iterations)


def at(value: Any, iteration: int, total: int) -> Any:
    """A number of an optimiser, or a tuple of them, at an iteration."""
    if isinstance(value, tuple):
        return tuple(at(part, iteration, total) for part in value)
    return value(iteration, total) if callable(value) else value


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Base of the optimiser configurations; any number may be a function of (iteration, total iterations)."""

    lr: Number
    weight_decay: float = 0.0
    optimizer: ClassVar[type[torch.optim.Optimizer]]

    def numbers(self, iteration: int, total: int) -> dict[str, Any]:
        """The settings of this iteration, by the names torch uses."""
        return {field.name: at(getattr(self, field.name), iteration, total) for field in fields(self)}

    def build(self, groups: list[dict[str, Any]], fused: bool) -> torch.optim.Optimizer:
        settings = self.numbers(0, 1) | ({"fused": True} if fused and self.optimizer is not torch.optim.RMSprop else {})
        return self.optimizer(groups, **settings)


@dataclass(frozen=True, kw_only=True)
class Adam(OptimizerConfig):
    betas: tuple[Number, Number] = (0.9, 0.999)
    eps: float = 1e-8
    optimizer: ClassVar = torch.optim.Adam


@dataclass(frozen=True, kw_only=True)
class SGD(OptimizerConfig):
    momentum: Number = 0.0
    optimizer: ClassVar = torch.optim.SGD


@dataclass(frozen=True, kw_only=True)
class RMSProp(OptimizerConfig):
    alpha: float = 0.99
    eps: float = 1e-8
    momentum: Number = 0.0
    optimizer: ClassVar = torch.optim.RMSprop


class Group:
    """Modules of a player that are updated with numbers of their own: `Group(mapping, lr=1e-5)`."""

    def __init__(self, *modules: nn.Module, **numbers: Number) -> None:
        self.modules, self.numbers = modules, numbers


class Player:
    """Modules that one optimiser updates together. Players may overlap; shared tensors are counted once."""

    def __init__(self, *parts: nn.Module | Group, optimizer: OptimizerConfig, clip_norm: float | None = None) -> None:
        self.parts = [part if isinstance(part, Group) else Group(part) for part in parts]
        self.optimizer, self.clip_norm = optimizer, clip_norm

    def groups(self) -> list[list[nn.Parameter]]:
        """The trainable parameters of each group, each parameter once."""
        seen: set[nn.Parameter] = set()
        groups = []
        for part in self.parts:
            new = dict.fromkeys(p for m in part.modules for p in m.parameters() if p.requires_grad and p not in seen)
            seen.update(new)
            groups.append(list(new))
        return groups

    def parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.groups() for parameter in group]


class PlayerState:
    """A player with its optimiser."""

    def __init__(self, player: Player, device: torch.device) -> None:
        self.player = player
        self.parameters = player.parameters()
        groups = [{"params": group} for group in player.groups()]
        self.optimizer = player.optimizer.build(groups, device.type in ("cpu", "cuda"))
        self.fused = bool(self.optimizer.defaults.get("fused"))
        own = [part.numbers for part in player.parts]
        self._numbers = own
        self._scheduled = any(map(_varies, own)) or _varies(vars(player.optimizer))
        self.set_numbers(0, 1, always=True)

    def set_numbers(self, iteration: int, total: int, always: bool = False) -> None:
        """Learning rates, momenta and so on, for this iteration."""
        if not (always or self._scheduled):
            return
        shared = self.player.optimizer.numbers(iteration, total)
        for group, own in zip(self.optimizer.param_groups, self._numbers, strict=True):
            group.update(shared | {key: at(value, iteration, total) for key, value in own.items()})


def _varies(numbers: dict[str, Any]) -> bool:
    return any(callable(v) or (isinstance(v, tuple) and any(map(callable, v))) for v in numbers.values())
