"""Small seeded data and models for the tests of the contract."""

import dataclasses
from collections.abc import Callable

import pytest
import torch

import ganarium
from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, HighResolutionImages, PairedImages, Photos, UnpairedImages
from ganarium.errors import UserError
from ganarium.runs import checkpoint
from ganarium.trainer import Trainer
from ganarium.training.state import capture

# Options that make a model small enough to test, where its defaults are not; and a smaller batch.
SMALL = {
    "improved_gan": {"width": 8},
    "infogan": {"noise_dim": 4},
    "loss_sensitive_gan": {"width": 8},
    "pixelrnn": {"width": 6, "num_blocks": 1, "head": 8},
    "relativistic_gan": {"width": 4},
    "sgan": {"width": 4},
    "softmax_gan": {"width": 4},
    "triple_gan": {"width": 8, "classifier_width": 4, "num_pretraining_steps": 0, "pseudo_start": 3},
    "wgan": {"width": 4, "num_long_critic_steps": 6},
    "wgan_div": {"width": 4},
}


def small_options(name):
    """The options in which the small form of a model (`Config.small()`) differs from its defaults."""
    config = registry.module(name).Config
    if not hasattr(config, "small"):
        return SMALL.get(name, {})
    return {
        field.name: getattr(config.small(), field.name)
        for field in dataclasses.fields(config)
        if getattr(config.small(), field.name) != field.default
    }


def dataset(model_or_kind, shape, n=64, seed=0):
    """Smooth random images (or points) in the layout that the batch type needs."""
    kind = getattr(model_or_kind, "batch_type", model_or_kind)
    generator = torch.Generator().manual_seed(seed)

    def images():
        if len(shape) == 1:
            return torch.randn(n, *shape, generator=generator)
        c, h, w = shape
        coarse = torch.rand(n, c, 4, 4, generator=generator)
        smooth = torch.nn.functional.interpolate(coarse, (h, w), mode="bilinear")
        return (smooth * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    if kind is UnpairedImages or kind is PairedImages:
        return Dataset("synthetic", images(), second=images(), paired=kind is PairedImages)
    if kind is HighResolutionImages:
        stored, (c, h, w) = images(), shape
        photos = Photos(stored.flatten(), torch.full((n,), h), torch.full((n,), w), (h, w), c)
        return Dataset("synthetic", stored, photos=photos)
    labels, few = torch.arange(n) % 4, torch.arange(min(n, 12))  # the labels of three images of each class are known
    return Dataset("synthetic", images(), labels, ("a", "b", "c", "d"), labelled=few)


def trainer(name, shape=(1, 16, 16), *, total=20, batch_size=6, precision="fp32", seed=0, prepare=True, **options):
    """A trainer of the small form of a model, on synthetic data."""
    torch.manual_seed(seed)
    model = ganarium.create(name, shape, 4, **(small_options(name) | options))
    dtype = torch.float64 if precision == "fp64" else torch.float32
    batches = Batches(dataset(model, shape), model.batch_type, batch_size, seed=seed, dtype=dtype)
    made = Trainer(model, batches, total, precision=precision)
    if prepare:
        made.prepare()
    return made


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


def saved(made, folder, **config):
    """Writes a checkpoint of a trainer, and gives its path."""
    files, meta = capture(made)
    config |= {"versions": {"ganarium": ganarium.__version__}}
    return checkpoint.write(folder, files, meta | {"config": config}, keep=2)


def images_only(name):
    """Whether a model refuses points."""
    try:
        ganarium.create(name, (2,), 4, **small_options(name))
    except ganarium.UserError:
        return True
    return False


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
