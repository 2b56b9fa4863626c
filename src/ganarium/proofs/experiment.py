"""One training run of a proof: a model from a seed, with or without a change, in memory and without a run folder.

And what measures it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ganarium import registry
from ganarium.data import SOURCES, halves, load_data
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, decode
from ganarium.errors import UserError
from ganarium.proofs.changes import Change
from ganarium.proofs.thresholds import Bound
from ganarium.runtime.environment import variable
from ganarium.trainer import Trainer

Values = dict[str, float]


@dataclass(frozen=True)
class Scale:
    """How large a proof is, and what it is held to there: `scale("ring", 800).requires(at_least(modes=6))`."""

    data: str
    """A data set by name, two of them joined by a +, or a folder in GANARIUM_DATA."""
    steps: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the data (`size`, `characters`, `layout`), of the training (`batch_size`) and of the model, as `train` takes
    them."""
    _: KW_ONLY
    numbers: Mapping[str, int] = field(default_factory=dict)
    """How many images or labels the measure takes, by name."""
    num_controls: int | None = None
    """From how many of the seeds the control is run; None: from all. For photographs, where runs are long."""
    held_to: Mapping[str, Bound] = field(default_factory=dict)
    """The bounds of measured values, by name."""
    gain: str | None = None
    """A value in which the model must also beat the control by more than the seeds' spread: see `gain_of`."""
    least_gain: float | None = None
    """By how much that gain must be at least, on average."""
    level: tuple[str, str, float] | None = None
    """A value of the model, one of the control, and a margin by which, on average, the first may be below the second:
    see `level_of`."""

    def requires(self, *bounds: Mapping[str, Bound], **others: Any) -> "Scale":
        """The same scale with thresholds: bounds, and if wanted `gain`, `least_gain` and `level`."""
        return replace(self, held_to={name: bound for part in bounds for name, bound in part.items()}, **others)

    @property
    def options(self) -> dict[str, Any]:
        """Of the model."""
        others = ("size", "characters", "layout", "batch_size")
        return {name: value for name, value in self.settings.items() if name not in others}

    def protocol(self) -> str:
        """The settings in words."""
        size = {"size": f"{self.settings['size']}x{self.settings['size']}"} if "size" in self.settings else {}
        own = {**self.settings, **size, **self.numbers}
        return ", ".join([self.data, f"{self.steps:,} steps", *(f"{name} {value}" for name, value in own.items())])

    def splits(self) -> tuple[Dataset, Dataset]:
        """The training and the test images. `UserError` where real images are asked for and there are none."""
        name, size = self.data, self.settings.get("size")
        if not set(halves(name) or [name]) <= set(SOURCES):
            home = variable("DATA")
            if not home or not (Path(home) / name).exists():
                raise UserError(
                    f"the proof needs the images of {name}: set GANARIUM_DATA to the folder that holds {name}/."
                )
            name = str(Path(home) / name)
        characters, layout = (self.settings.get(option) for option in ("characters", "layout"))
        return load_data(name, size=(size, size) if size else None, characters=characters, layout=layout)


def scale(data: str, steps: int, *, numbers: Any = None, num_controls: int | None = None, **settings: Any) -> Scale:
    """A `Scale` with settings as `train` takes them: `scale("mnist", 3000, size=16, width=32)`."""
    return Scale(data, steps, settings, numbers=numbers or {}, num_controls=num_controls)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    model: str
    scale: Scale
    seed: int
    train: Dataset
    test: Dataset
    change: Change = field(default_factory=Change)
    """What is changed in the control, or in a run beside it; the model itself is trained without a change."""
    device: torch.device = torch.device("cpu")  # noqa: RUF009

    def create(self, train: Dataset, change: Change) -> Any:
        """A new model for a split."""
        torch.manual_seed(self.seed)
        name, options = change.recipe(self.model, self.scale.options)
        return registry.create(name, train.shape, train.num_classes, **options)

    def untrained(self, train: Dataset) -> Any:
        """The model before its first step, without a change."""
        return self.create(train, Change()).to(self.device).eval()

    def draw(self, data: Dataset, count: int, seed: int | None = None) -> Tensor:
        """`draw` onto the device; by default with the seed of the experiment."""
        return draw(data, count, self.seed if seed is None else seed).to(self.device)


class Measured(NamedTuple):
    values: Values
    images: Tensor | None = None  # (n, c, h, w) or points (n, 2), for the picture

    def __or__(self, values: Values) -> "Measured":
        return Measured(self.values | values, self.images)


@dataclass(frozen=True)
class Measure:
    """Measures a trained model. A result prints the docstring of the subclass, and then those of its bases, with the
    fields filled in; subclasses with fields are frozen dataclasses too."""

    @property
    def text(self) -> str:
        own = [kind.__doc__ or "" for kind in type(self).__mro__ if issubclass(kind, Measure) and kind is not Measure]
        return " ".join(" ".join(own).split()).format(**vars(self))

    def read(self, experiment: Experiment, model: Any) -> Measured:
        """The values of a model in the mode of evaluation, and a picture."""
        raise NotImplementedError

    def data(self, experiment: Experiment) -> Dataset:
        """What the model is trained on."""
        return experiment.train

    def prepare(self, experiment: Experiment, model: Any) -> None:
        """Changes every new model, that of the control too."""

    def training(self, experiment: Experiment, train: Dataset, every: int = 100) -> Iterator[tuple[Any, list[Values]]]:
        """Trains on a split, and gives the model after every so many steps, with the terms of these steps."""
        train = experiment.change.data(train, experiment.seed)
        model = experiment.create(train, experiment.change)
        self.prepare(experiment, model)
        experiment.change.apply(model)
        size = experiment.scale.settings.get("batch_size", model.batch_size)
        batches = Batches(train, model.batch_type, size, seed=experiment.seed, device=experiment.device)
        trainer = Trainer(model, batches, experiment.change.steps(experiment.scale.steps))
        trainer.prepare()
        for done in trainer:
            if done % every == 0 or done == trainer.total:
                yield model, trainer.drain().rows

    def trained(self, experiment: Experiment, train: Dataset) -> Any:
        """The model at the end of its training on a split, in the mode of evaluation."""
        for model, _ in self.training(experiment, train):
            last = model
        return last.eval()

    def __call__(self, experiment: Experiment) -> Measured:
        """Trains a model as the experiment says, and reads it."""
        return self.read(experiment, self.trained(experiment, self.data(experiment)))

    def baselines(self, experiment: Experiment) -> dict[str, Values]:
        """The same values of things that need no training, by name."""
        return {"untrained": self.read(experiment, experiment.untrained(self.data(experiment))).values}


def subset(data: Dataset, count: int, seed: int) -> Dataset:
    """`count` images of a split with their labels, without replacement, in an order of the seed's."""
    places = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:count]
    return replace(data, images=data.images[places], labels=None if data.labels is None else data.labels[places])


def draw(data: Dataset, count: int, seed: int) -> Tensor:
    """The images of `subset` (n, c, h, w) in [-1, 1], or points (n, 2)."""
    return decode(subset(data, count, seed).images)


def labels_of(data: Dataset) -> Tensor:
    """The labels (n,) of a split that has some."""
    assert data.labels is not None
    return data.labels
