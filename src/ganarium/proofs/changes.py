"""Changes to a training run, as values. A control has such a change, and so must miss the thresholds.

A claim names the change of its control (`WeighTerms("D", {"penalty": 0})`); equal values are the same change.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import torch

from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset
from ganarium.model import Step


@dataclass(frozen=True)
class Change:
    """No change, as for the model itself. Subclasses override the part of the run that they change."""

    text: ClassVar[str] = ""  # what the control is, where the change alone says it

    def recipe(self, model: str, options: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """The name of the model that is trained, and its options."""
        return model, options

    def steps(self, steps: int) -> int:
        """How many steps the run has, where the model has so many."""
        return steps

    def data(self, train: Dataset, seed: int) -> Dataset:
        """The training images."""
        return train

    def apply(self, model: Any) -> None:
        """Changes the new model in place, before its players get their optimisers."""


@dataclass(frozen=True)
class ChangeOptions(Change):
    """Some options have other values."""

    values: Mapping[str, Any]
    num_steps: int | None = None
    """None: as many as the model has."""

    def steps(self, steps: int) -> int:
        return self.num_steps or steps

    def recipe(self, model: str, options: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        return model, {**options, **self.values}


@dataclass(frozen=True)
class OtherModel(Change):
    """Another model is trained, with these options alone."""

    model: str
    options: Mapping[str, Any]

    def recipe(self, model: str, options: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        return self.model, self.options


class ShuffledLabels(Change):
    """Images and classes stay, and which belong together is lost."""

    text = "the labels are shuffled among the training images"

    def data(self, train: Dataset, seed: int) -> Dataset:
        assert train.labels is not None
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
        return replace(train, labels=train.labels[order], digest="")


class ShuffledCaptions(Change):
    """Images and sentences stay, and which belong together is lost."""

    text = "the sentences are shuffled among the training images"

    def data(self, train: Dataset, seed: int) -> Dataset:
        assert train.captions is not None
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed)).tolist()
        return replace(train, captions=tuple(train.captions[place] for place in order), digest="")


@dataclass(frozen=True)
class ChangeModel(Change):
    """A function changes the model in place."""

    function: Callable[[Any], None]

    def apply(self, model: Any) -> None:
        self.function(model)


@dataclass(frozen=True)
class ReplaceStep(Change):
    """A function of (model, batches) takes the place of the model's `step`."""

    step: Callable[[Any, Batches], Step]

    def apply(self, model: Any) -> None:
        model.step = partial(self.step, model)


@dataclass(frozen=True)
class WithoutPlayer(Change):
    """A player never moves, so that its networks stay as they were initialised."""

    player: str

    def apply(self, model: Any) -> None:
        whole = model.step
        model.step = lambda batches: (turn for turn in whole(batches) if turn[0] != self.player)


@dataclass(frozen=True)
class WeighTerms(Change):
    """The loss terms of a player have these factors, and terms without one the factor `others`; 0 leaves a term out."""

    player: str
    factors: Mapping[str, float]
    others: float = 1

    def apply(self, model: Any) -> None:
        whole = model.step

        def step(batches: Batches) -> Step:
            for player, terms, *watched in whole(batches):
                if player == self.player:
                    factors = {name: self.factors.get(name, self.others) for name in terms}
                    terms = {name: factors[name] * term for name, term in terms.items() if factors[name]}
                yield player, terms, *watched

        model.step = step
