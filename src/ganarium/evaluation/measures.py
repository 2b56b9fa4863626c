"""How good a run is: metrics of its samples beside real images, with the protocol they were measured under.

Exactly which metric is what stands in `ganarium.metrics`. Images are measured on the features of a judge (a small
classifier that comes with the package), or of Inception-v3 where its weights are here; points on the points themselves.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from ganarium import metrics, sampling
from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images, LabelledImages, UnpairedImages
from ganarium.data.sources.points import MODE_STD, mode_centres
from ganarium.errors import UserError, nearest
from ganarium.metrics.judges.judge import FeatureNetwork, Judge, judge_for, list_judges, load_judge
from ganarium.metrics.protocol import Protocol
from ganarium.model import Model

NUMBER = 2000  # images of each kind, as many as the exact assignment of the Wasserstein distance is practical for
STACKED = 26_000  # samples of stacked MNIST in the literature
LIKELIHOODS = 1000  # held-out images
PART = 64  # images in memory at a time


def measure(
    model: Model, train: Dataset, test: Dataset, *, n: int | None = None, seed: int = 0, features: str = "auto"
) -> tuple[dict[str, float], Protocol]:
    """The metrics of a model's samples by name, and their protocol. For the arguments see `ganarium.evaluate`."""
    if model.directions:
        values, protocol = _translation(model, train, test, n or NUMBER, seed, features)
    elif len(model.shape) == 1:
        values, protocol = _points(model, train, n or 2500, seed)
    else:
        count = n or (STACKED if train.name == "stacked_mnist" else NUMBER)
        values, protocol = _images(model, train, count, seed, features)
        values |= likelihood(model, images_of(test, min(LIKELIHOODS, len(test)), 0))
    if model.classifies:
        values["test_accuracy"] = accuracy(model, test)
    return values, protocol


def network_for(data: str, channels: int, features: str, device: torch.device) -> FeatureNetwork:
    """The feature network by its name, or the one that suits a data set. It draws nothing from the random generator."""
    with torch.random.fork_rng(devices=[]):  # for weights that are overwritten at once
        return _network(data, channels, features, device)


def _network(data: str, channels: int, features: str, device: torch.device) -> FeatureNetwork:
    if features == "inception":
        from ganarium.metrics.judges.inception import load_inception

        return load_inception(device)
    if features == "auto":
        features = judge_for(data) or ("glyphs" if channels == 1 else "cifar10_subset")
    elif features not in list_judges():
        raise UserError(f"there are no features {features!r}: {nearest(features, [*list_judges(), 'inception'])}")
    return load_judge(features, device)


def of_features(real: Tensor, fake: Tensor, seed: int) -> dict[str, float]:
    """The metrics of features (n, d) and (m, d) alone; those that need equal numbers take the first of each."""
    equal = min(len(real), len(fake))
    few = min(equal, NUMBER)
    subset = min(equal, 1000)
    nearest_ = metrics.nearest_neighbour_test(real[:few], fake[:few])
    shape, filled = metrics.precision_recall(real[:few], fake[:few]), metrics.density_coverage(real[:few], fake[:few])
    values = {}
    if equal > real.shape[1]:
        values["frechet_distance"] = metrics.frechet_distance(real[:equal], fake[:equal])
    return values | {
        "kernel_distance": metrics.kernel_distance(real, fake, subset_size=subset, seed=seed).mean,
        "maximum_mean_discrepancy": metrics.maximum_mean_discrepancy(real[:few], fake[:few]),
        "wasserstein_distance": metrics.wasserstein_distance(real[:few], fake[:few]),
        "nearest_neighbour_real": nearest_.real,
        "nearest_neighbour_fake": nearest_.fake,
        "precision": shape.precision,
        "recall": shape.recall,
        "density": filled.density,
        "coverage": filled.coverage,
    }


def _images(model: Model, train: Dataset, n: int, seed: int, features: str) -> tuple[dict[str, float], Protocol]:
    stacked = train.name == "stacked_mnist"
    network = network_for(train.name, model.shape[0], features, model.device)
    count = min(n, len(train))
    real = read(network, images_of(train, count, seed), stacked)
    fake = read(network, sampling.samples(model, n, seed=seed), stacked)
    values: dict[str, float] = {}
    if stacked:
        digits = network.head(fake).argmax(1).view(-1, 3)
        found = metrics.stacked_mode_coverage(digits)
        values |= {"modes": found.modes, "reverse_kl": found.kl}
        real, fake = (part.view(len(part) // 3, -1)[:NUMBER] for part in (real, fake))
    values |= of_features(real, fake, seed)
    if not stacked and isinstance(network, Judge) and judge_for(train.name) == network.name:
        odds_real, odds_fake = (network.head(part).softmax(1) for part in (real, fake))
        values["inception_score"] = metrics.inception_score(odds_fake, splits=1).mean
        values["inception_score_of_reals"] = metrics.inception_score(odds_real, splits=1).mean
        values["mode_score"] = metrics.mode_score(odds_fake, odds_real)
        values |= _classes(model, network, train, n, seed)
    return values, Protocol(network.name, network.digest, count, n, network.rule, seed)


def _classes(model: Model, network: Judge, train: Dataset, n: int, seed: int) -> dict[str, float]:
    """Whether what was asked for is what a judge reads: labels by the names of their classes, of which a data set may
    have some only, codes up to the best renaming."""
    if not model.conditional and model.code is None:
        return {}
    by, count = sampling.classes(model)
    known = {name: place for place, name in enumerate(network.classes)}
    if by == "label" and not set(train.class_names) <= set(known):
        return {}
    each = max(1, n // count)
    said, asked = [], []
    for value in range(count):
        made = read(network, sampling.samples(model, each, seed=seed, **{by: value}))
        said.append(network.head(made).argmax(1))
        asked.append(torch.full_like(said[-1], value))
    seen, wanted = torch.cat(said), torch.cat(asked)
    if by == "label":
        places = torch.tensor([known[name] for name in train.class_names], device=wanted.device)
        return {"label_fidelity": metrics.label_fidelity(seen, places[wanted])}
    return {
        "code_accuracy": metrics.clustering_accuracy(wanted, seen),
        "code_mutual_information": metrics.normalised_mutual_information(wanted, seen),
        "code_rand_index": metrics.adjusted_rand_index(wanted, seen),
    }


def _points(model: Model, train: Dataset, n: int, seed: int) -> tuple[dict[str, float], Protocol]:
    count = min(n, len(train))
    real, fake = torch.cat([*images_of(train, count, seed)]), torch.cat([*sampling.samples(model, n, seed=seed)])
    real, fake = real.double(), fake.double()
    few = min(count, n, NUMBER)
    values: dict[str, float] = {}
    if train.name in MODE_STD:
        centres = mode_centres(train.name).to(fake)
        found = metrics.mode_coverage(fake, centres, MODE_STD[train.name])
        values |= {"modes": found.covered, "modes_of": len(centres), "high_quality": found.high_quality}
    values["wasserstein_distance"] = metrics.wasserstein_distance(real[:few], fake[:few])
    values["maximum_mean_discrepancy"] = metrics.maximum_mean_discrepancy(real[:few], fake[:few])
    two = metrics.nearest_neighbour_test(real[:few], fake[:few])
    values |= {"nearest_neighbour_real": two.real, "nearest_neighbour_fake": two.fake}
    return values, Protocol("points", "", count, n, "", seed)


def _translation(
    model: Model, train: Dataset, test: Dataset, n: int, seed: int, features: str
) -> tuple[dict[str, float], Protocol]:
    """In each direction the held-out images of one domain, mapped, against the training images of the other."""
    if train.second is None or test.second is None:
        raise UserError(f"{train.name} has no second domain to compare with: give a run on two domains.")
    network = network_for(train.name, model.shape[0], features, model.device)
    count = min(n, len(test), len(test.second), len(train), len(train.second))
    found: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {direction: [] for direction in model.directions}
    for inputs, others in zip(pairs_of(test, count, seed), pairs_of(train, count, seed), strict=True):
        for direction, source, target in zip(model.directions, inputs, reversed(others), strict=False):
            mapped = network.features(model.translate(source, direction=direction))
            found[direction].append((network.features(target), mapped, network.features(source)))
    values: dict[str, float] = {}
    for direction, parts in found.items():
        real, fake, still = map(torch.cat, zip(*parts, strict=True))
        values |= {f"{direction}/{name}": value for name, value in of_features(real, fake, seed).items()}
        values[f"{direction}/kernel_distance_of_inputs"] = metrics.kernel_distance(
            real, still, subset_size=min(count, 1000), seed=seed
        ).mean  # what a map that changes nothing would get
    return values, Protocol(network.name, network.digest, count, count, network.rule, seed)


def likelihood(model: Model, images: Iterable[Tensor]) -> dict[str, float]:
    """-log p of images that come in parts, where the model can tell."""
    if not model.has_likelihood:
        return {}
    with sampling.undisturbed(model, 0, "eval"):
        nats = torch.cat([model.nll(part.to(model.device, model.dtype)) for part in images])
    found = metrics.nll(nats, model.shape)
    return {"nll_nats": found.nats, "bits_per_dimension": found.bits_per_dimension}


def accuracy(model: Model, test: Dataset) -> float:
    """The share of the held-out images whose class a model names rightly."""
    batches, right = Batches(test, LabelledImages, 1), 0
    for part in _parts(len(test)):
        image, label = batches.draw(part)
        right += int((model.classify(image).cpu() == label).sum())
    return right / len(test)


def read(network: FeatureNetwork, images: Iterable[Tensor], stacked: bool = False) -> Tensor:
    """Features (n, d) of images that come in parts; of stacked ones each channel by itself, (3 n, d)."""
    return torch.cat([network.features(part.reshape(-1, 1, *part.shape[2:]) if stacked else part) for part in images])


def images_of(data: Dataset, count: int, seed: int) -> Iterator[Tensor]:
    """The first `count` images of a split in the order of a seed, in parts. They are drawn on the CPU: the network
    takes each part to its device, and the set itself may be larger than that device."""
    batches = Batches(data, Images, 1, seed=seed)
    return (batches.draw(part).image for part in _parts(count))


def pairs_of(data: Dataset, count: int, seed: int) -> Iterator[UnpairedImages]:
    """As `images_of`, of both domains."""
    batches = Batches(data, UnpairedImages, 1, seed=seed)
    return (batches.draw(part) for part in _parts(count))


def _parts(count: int) -> Iterator[int]:
    for first in range(0, count, PART):
        yield min(PART, count - first)
