"""What proofs share: training from a seed without a run folder, and reading samples with a judge."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganarium import metrics, registry
from ganarium.data import SOURCES, load_data
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, decode
from ganarium.errors import UserError
from ganarium.evaluation.features import network_for
from ganarium.metrics.judges.judge import Judge
from ganarium.model import Step
from ganarium.proofs.claim import Scale, Trial
from ganarium.runtime.environment import variable
from ganarium.trainer import Trainer


def data_of(scale: Scale) -> tuple[Dataset, Dataset]:
    """The two splits of a proof's data. `UserError` where real images are asked for and there are none."""
    name = scale.data
    if name not in SOURCES:
        home = variable("DATA")
        if not home or not (Path(home) / name).exists():
            raise UserError(
                f"the proof needs the images of {name}: set GANARIUM_DATA to the folder that holds {name}/."
            )
        name = str(Path(home) / name)
    return load_data(name, **scale.data_options)


def training(
    trial: Trial,
    model: str,
    train: Dataset,
    *,
    every: int = 100,
    alter: Callable[[Any], None] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Iterator[tuple[Any, list[dict[str, float]]]]:
    """Trains a model on a split as the trial's scale says, and gives it, after every so many steps, with the terms of
    those steps. `alter` changes the new model before its players get their optimisers; `options` win over the scale's.
    """
    torch.manual_seed(trial.seed)
    made = registry.create(model, train.shape, train.num_classes, **{**trial.scale.options, **(options or {})})
    if alter:
        alter(made)
    size = trial.scale.batch_size or made.batch_size
    batches = Batches(train, made.batch_type, size, seed=trial.seed, device=trial.device)
    trainer = Trainer(made, batches, trial.scale.steps)
    trainer.prepare()
    for done in trainer:
        if done % every == 0 or done == trainer.total:
            yield made, trainer.drain().rows


def trained(trial: Trial, model: str, train: Dataset, **words: Any) -> Any:
    """The model at the end of `training`, in the mode of evaluation."""
    for made, _ in training(trial, model, train, **words):
        last = made
    return last.eval()


def untrained(trial: Trial, model: str, train: Dataset) -> Any:
    """The model before its first step."""
    torch.manual_seed(trial.seed)
    return registry.create(model, train.shape, train.num_classes, **trial.scale.options).to(trial.device).eval()


def without_player(model: Any, player: str) -> None:
    """Its turns are left out, so that it stays as it was drawn."""
    whole = model.step

    def step(batches: Batches) -> Step:
        for turn in whole(batches):
            if turn[0] != player:
                yield turn

    model.step = step


def drawn(data: Dataset, n: int, seed: int, device: torch.device) -> Tensor:
    """`n` images (n, c, h, w) in [-1, 1] of a split, or points (n, 2), without replacement."""
    generator = torch.Generator().manual_seed(seed)
    return decode(data.images[torch.randperm(len(data), generator=generator)[:n]]).to(device)


class Reader:
    """A data set's judge, or the nearest one, with the features of `n` training images: the yardstick of a proof.

    `change` is done to these images first.
    """

    def __init__(
        self,
        train: Dataset,
        n: int,
        seed: int,
        device: torch.device,
        change: Callable[[Tensor], Tensor] = lambda images: images,
    ) -> None:
        judge = network_for(train.name, train.shape[0], "auto", device)
        assert isinstance(judge, Judge)
        self.judge = judge
        self.real = self.judge.features(change(drawn(train, n, seed, device)))
        self.n, self.seed = n, seed

    def read(self, images: Tensor) -> dict[str, float]:
        """Frechet distance, coverage, and how evenly the judge's classes are hit, of as many images as reals."""
        features = self.judge.features(images)
        shares = self.judge.head(features).argmax(1).bincount(minlength=self.judge.num_classes) / len(images)
        return {
            "frechet_distance": metrics.frechet_distance(self.real, features),
            "coverage": metrics.density_coverage(self.real[:2000], features[:2000]).coverage,
            "rarest_class": shares.min().item(),
            "commonest_class": shares.max().item(),
        }


def mean_image_and_noise(train: Dataset, n: int, seed: int) -> Tensor:
    """`n` images that are the pixels' mean plus noise of the pixels' spread: what a picture without structure gets."""
    images = drawn(train, 5000, seed, torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, *images.shape[1:], generator=generator)
    return (images.mean(0) + images.std(0) * noise).clamp(-1, 1)
