"""Measures a classifier of a second domain, whose labels it was never told.

Its control learns from the labelled domain alone. Beside it stands the same classifier with the labels of the second.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data.dataset import Dataset, decode
from ganarium.evaluation.measures import classifier_accuracy
from ganarium.model import Step
from ganarium.proofs.changes import Change
from ganarium.proofs.experiment import Experiment, Measure, Measured, labels_of

Logits = Callable[[Any, Tensor], Tensor]
SOURCE_ALONE = "the same classifier, trained for as many steps on the source alone"


class TargetAccuracy(Measure):
    """accuracy: the share of the target's test images that the classifier gets right. target_alone: the same
    classifier, trained for as many steps with the labels of the target, which the model never sees."""

    def read(self, experiment: Experiment, model: Any) -> Measured:
        test = self.both(experiment.test)
        target = test.target
        assert target is not None
        return Measured({"accuracy": classifier_accuracy(model, target)}, self.picture(test, model))

    def both(self, split: Dataset) -> Dataset:
        """A split as two domains."""
        return split

    def data(self, experiment: Experiment) -> Dataset:
        return self.both(experiment.train)

    def picture(self, test: Dataset, model: Any) -> Tensor | None:
        """Pairs of a model that makes them, or source images above what becomes of them."""
        if model.domains:
            images: Tensor = model.sample(64, seed=0)
            return images
        source = decode(test.images[:32])
        rows = (part.unflatten(0, (4, 8)) for part in (source, model.translate(source).cpu()))
        return torch.stack([*rows], 1).flatten(0, 2)


class FlatBackgrounds(TargetAccuracy):
    """The source is grey digits, in RGB; the target is the other half of MNIST, |colour - digit| with a colour drawn
    for each image from all, so that its digits may be darker or lighter than what is around them."""

    def both(self, split: Dataset) -> Dataset:
        grey = split.images.repeat(1, 1, 1, 3)
        source, target = grey.chunk(2)
        colour = torch.randint(256, (len(target), 1, 1, 3), generator=torch.Generator().manual_seed(len(split)))
        target = (colour - target.int()).abs().to(torch.uint8)
        labels, target_labels = labels_of(split).chunk(2)
        return replace(split, images=source, labels=labels, second=target, target_labels=target_labels)


@dataclass(frozen=True)
class OneDomain(Change):
    """The classifier, which a player moves, learns from one domain with its labels: the source, or the target."""

    player: str
    logits: Logits  # of the model and images of the source; of the target `class_logits` gives them
    target: bool = False

    def data(self, train: Dataset, seed: int) -> Dataset:
        if not self.target:
            return train
        assert train.second is not None
        return replace(train, images=train.second, labels=train.target_labels)

    def apply(self, model: Any) -> None:
        if not self.target:
            logits = self.logits
            model.class_logits = lambda image: logits(model, image)

        def step(batches: Any) -> Step:
            batch = next(batches)
            yield self.player, {"class": F.cross_entropy(model.class_logits(batch.source), batch.label)}

        model.step = step


def by_private_layer(model: Any, image: Tensor) -> Tensor:
    """PixelDA's T, by the first layer of the source."""
    logits: Tensor = model.classifier(image, "source")
    return logits


def by_first_domain(model: Any, image: Tensor) -> Tensor:
    """CoGAN's classifier, by the first layer of the source."""
    logits: Tensor = model.discriminator.class_logits(model.discriminator.features(image, 0))
    return logits
