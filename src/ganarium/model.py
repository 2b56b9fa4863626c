"""The contract: a model is a set of players and the order in which they move.

A model file subclasses `Model`, declares its players in `__init__` and writes the paper's algorithm as one generator,
`step`. The trainer owns every update; between two yields it has moved the named player. What the model can do for a
user (prior, labels, code, directions ...) is declared in the fields of `sampling.Sampling`.
"""

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ganarium.data.batches import Batches
from ganarium.data.dataset import Images
from ganarium.players import SGD, Adam, Group, OptimizerConfig, Player, RMSProp
from ganarium.sampling import Code, Prior, Sampling

__all__ = [
    "SGD",
    "Adam",
    "Code",
    "Group",
    "Model",
    "OptimizerConfig",
    "Paper",
    "Player",
    "Prior",
    "RMSProp",
    "Step",
    "ramped",
    "watch",
]

# Words that observers know in the names of terms and of watched tensors; see `Model.step`.
PENALTY, REAL, FAKE = "penalty", "real", "fake"


class Paper(NamedTuple):
    """The card of a model. Written with literals only: `ganarium list` reads it without importing the file."""

    title: str
    authors: str
    year: int
    arxiv: str
    idea: str


Step = Generator[tuple[Any, ...], None, None]  # what `Model.step` gives: (player, {term: scalar}[, watch(...)])


def ramped(decay: float, share: float = 0.05) -> Callable[[int], float]:
    """The decay of a running average at each iteration, counted from 1: a weight counts half as much after the
    iterations that `decay` (below 1) says, but after a share of the iterations so far at most.

    Without it the average of a short run holds the weights of its first steps, which blur its samples. Source: the
    code of StyleGAN2-ADA, `ema_rampup`.
    """

    def at(iteration: int) -> float:
        half_life = min(math.log(0.5) / math.log(decay), share * iteration)
        return float(0.5 ** (1 / half_life))

    return at


def watch(**tensors: Tensor) -> dict[str, Tensor]:
    """Detached tensors for whoever observes (scores, a control variable); scalars among them are logged by name.

    Scores of reals and fakes that belong together are called alike, with `real` in the one name and `fake` in the
    other: `real` and `fake`, `real_a` and `fake_a`. They are higher for reals.
    """
    return {name: tensor.detach() for name, tensor in tensors.items()}


class Model(Sampling):
    """Base of every model. Subclasses set `players` (and `ema`) in `__init__` and write `step`."""

    batch_type: type = Images  # what `next(batches)` gives; an instance may set its own from the config
    batch_size: int = 64  # the paper's; --batch-size overrides it
    min_batch_size: int = 1  # 2 where batch norm sees one value of each image
    still: dict[str, str] = {}  # parameters that may never move -> the reason
    stages: tuple[int, ...] = ()  # iterations at which the work of a step changes; `--minutes` times each stage
    resolutions: dict[int, int] = {}  # iterations from which images are larger -> their side in pixels, if they grow
    clock: Tensor  # () int64, the iteration as a tensor

    def __init__(self, config: Any, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        """`shape` is (c, h, w) of an image or (2,) for points."""
        super().__init__()
        self.config, self.shape, self.num_classes = config, tuple(shape), num_classes
        if len(shape) == 1:
            self.batch_size = 256  # as in the toy script of WGAN-GP
        self.iteration = 0
        self.players: dict[str, Player] = {}
        # module name -> decay of its running average, or the decay at each iteration, see `ramped`
        self.ema: dict[str, float | Callable[[int], float]] = {}
        self.averages: dict[str, nn.Module] = {}  # module name -> its running average, kept by the trainer
        self.register_buffer("clock", torch.zeros((), dtype=torch.int64))

    def step(self, batches: Batches) -> Step:
        """One iteration: yields (player, {term: scalar}) or (player, terms, watch(...)); see the module docstring.

        The terms are summed for the update and logged by name. A term with `penalty` in its name is a regulariser:
        observers leave it out of the player's loss.
        """
        raise NotImplementedError

    def prepare(self, batches: Batches) -> None:
        """Runs once before iteration 0; what it changes is saved with the model."""

    def load_features(self) -> None:
        """Loads the frozen networks that only training needs and that no checkpoint holds. It is asked for before a run
        begins or goes on, not by who uses a model. Raises `UserError` where their weights are not here."""

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
