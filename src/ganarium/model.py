"""The contract: a model is a set of players and the order in which they move.

A model file subclasses `Model`, declares its players in `__init__` and writes the paper's algorithm as one generator,
`step`. The trainer owns every update; between two yields it has moved the named player.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ganarium import sampling
from ganarium.data.batches import Batches, Images
from ganarium.errors import UserError
from ganarium.players import SGD, Adam, Group, OptimizerConfig, Player, RMSProp

__all__ = ["SGD", "Adam", "Group", "Model", "OptimizerConfig", "Paper", "Player", "RMSProp", "Step", "watch"]


class Paper(NamedTuple):
    """The card of a model. Written with literals only: `ganarium list` reads it without importing the file."""

    title: str
    authors: str
    year: int
    arxiv: str
    idea: str


Step = Generator[tuple[Any, ...], None, None]  # what `Model.step` gives: (player, {term: scalar}[, watch(...)])


def watch(**tensors: Tensor) -> dict[str, Tensor]:
    """Detached tensors for whoever observes (scores, a control variable); scalars among them are logged by name."""
    return {name: tensor.detach() for name, tensor in tensors.items()}


class Model(nn.Module):
    """Base of every model. Subclasses set `players` (and `ema`) in `__init__` and write `step` and `generate`."""

    batch_type: type = Images  # what `next(batches)` gives; an instance may set its own from the config
    batch_size: int = 64  # the paper's; --batch-size overrides it
    sample_mode: str = "eval"  # "train" where the paper samples with batch statistics or dropout
    directions: tuple[str, ...] = ()  # of `translate`, for models that map images; the first is the default
    classifies: bool = False  # whether `classify` is there; an instance may set its own from the config
    still: dict[str, str] = {}  # parameters that may never move -> the reason
    clock: Tensor  # () int64, the iteration as a tensor

    def __init__(self, config: Any, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        """`shape` is (c, h, w) of an image or (2,) for points."""
        super().__init__()
        self.config, self.shape, self.num_classes = config, tuple(shape), num_classes
        self.iteration = 0
        self.players: dict[str, Player] = {}
        self.ema: dict[str, float] = {}  # module name -> decay
        self.averages: dict[str, nn.Module] = {}  # module name -> its running average, kept by the trainer
        self.register_buffer("clock", torch.zeros((), dtype=torch.int64))

    def step(self, batches: Batches) -> Step:
        """One iteration: yields (player, {term: scalar}) or (player, terms, watch(...)); see the module docstring."""
        raise NotImplementedError

    def prepare(self, batches: Batches) -> None:
        """Runs once before iteration 0; what it changes is saved with the model."""

    def latent(self, n: int) -> Tensor:
        """Draws `n` codes (n, latent_dim) from the prior, on the model's device."""
        raise UserError(f"{type(self).__name__} has no latent codes.")

    def generate(self, n: int, latent: Tensor | None = None) -> Tensor:
        """The raw forward used in `step`: (n, *shape) from the prior, or from the given codes."""
        raise NotImplementedError

    def mapped(self, image: Tensor, direction: str) -> Tensor:
        """The raw forward of `translate`: (b, c, h, w) in [-1, 1] to the same."""
        raise NotImplementedError

    def class_logits(self, image: Tensor) -> Tensor:
        """The raw forward of `classify`: (b, *shape) to logits (b, num_classes), for models that classify."""
        raise NotImplementedError

    def conditions(self, n: int, **given: Any) -> dict[str, Tensor]:
        """What `sample` was asked for, checked, as tensors with one row per sample."""
        return sampling.no_conditions(self, n, **given)

    sample = sampling.sample
    translate = sampling.translate
    classify = sampling.classify
    probabilities = sampling.probabilities
    preview = sampling.preview

    @property
    def device(self) -> torch.device:
        return self.clock.device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Puts the running averages in the place of their modules, for as long as the block lasts."""
        live = {name: getattr(self, name) for name in self.averages}
        for name, module in self.averages.items():
            setattr(self, name, module)
        try:
            yield
        finally:
            for name, module in live.items():
                setattr(self, name, module)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Model":
        for module in self.averages.values():
            module._apply(fn, recurse)  # type: ignore[no-untyped-call]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self
