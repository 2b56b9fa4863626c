"""Small seeded data and models for the tests of the contract."""

from collections.abc import Callable

import pytest
import torch

import ganarium
from ganarium import registry
from ganarium.errors import UserError
from ganarium.runs import checkpoint
from ganarium.testing import small_options as small_options
from ganarium.testing import small_trainer as trainer
from ganarium.testing import synthetic_data
from ganarium.training.state import capture

__all__ = [
    "ALL",
    "dataset",
    "images_only",
    "obeyed",
    "quadrants",
    "refused",
    "saved",
    "small_options",
    "trainer",
    "without_terms",
]


def without_terms(made, *names):
    """A trainer whose model leaves out some of the terms that its step yields."""
    step = made.model.step

    def thinned(batches):
        for player, terms, *watched in step(batches):
            yield player, {name: term for name, term in terms.items() if name not in names}, *watched

    made.model.step = thinned
    return made


def quadrants(made, *, shuffled=False):
    """Lets a trainer of (1, 8, 8) images learn from such whose one bright quarter is their class, of four; `shuffled`:
    the control, whose labels say nothing."""
    label, generator = made.batches.labels, torch.Generator().manual_seed(0)
    images = torch.randint(0, 60, (len(label), 8, 8, 1), generator=generator, dtype=torch.uint8)
    for place, k in enumerate(label.tolist()):
        images[place, 4 * (k // 2) :, 4 * (k % 2) :][:4, :4] = 255
    made.batches.images = images
    if shuffled:
        made.batches.labels = label[torch.randperm(len(label), generator=generator)]
    return made


def obeyed(model, n=64):
    """The share of samples whose brightest quarter is the class that was asked for."""
    label = torch.arange(n) % 4
    quarters = torch.nn.functional.avg_pool2d(model.sample(n, seed=0, label=label), 4).flatten(1)
    return (quarters.argmax(1) == label).double().mean().item()


def dataset(model_or_kind, shape, n=64, seed=0):
    """Synthetic data, in four classes, for a model or a batch type."""
    return synthetic_data(getattr(model_or_kind, "batch_type", model_or_kind), shape, n=n, seed=seed)


def saved(made, folder, **config):
    """Writes a checkpoint of a trainer, and gives its path."""
    files, meta = capture(made)
    config |= {"versions": {"ganarium": ganarium.__version__}}
    return checkpoint.write(folder, files, meta | {"config": config}, keep=2)


def images_only(name):
    """Whether a model refuses points."""
    return not hasattr(registry.module(name).Config, "for_points")


ALL = registry.list_models()


def refused(words: str, call: Callable[[], object]) -> str:
    """The sentence with which `call` is refused; it must hold all the words that are separated by `...`."""
    with pytest.raises(UserError) as caught:
        call()
    sentence = str(caught.value)
    for part in words.split("..."):
        assert part.strip() in sentence, sentence
    assert "\n" not in sentence
    assert sentence[-1] in ".?"
    return sentence
