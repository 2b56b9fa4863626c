"""How good a run is: metrics of its samples beside real images, with the protocol they were measured under.

Exactly which metric is what stands in `ganzoo.metrics`. Images are measured on the features of a judge (a small
classifier that comes with the package), or of Inception-v3 where its weights are here; points on the points themselves.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganzoo import api, metrics, sampling
from ganzoo.data.batches import Batches, Dataset, Images, UnpairedImages
from ganzoo.data.toys import MODE_STD, mode_centres
from ganzoo.errors import UserError, nearest
from ganzoo.metrics.judge import FeatureNetwork, judge_for, list_judges, load_judge
from ganzoo.metrics.protocol import Protocol, one_protocol
from ganzoo.model import Model
from ganzoo.run import data_of

NUMBER = 2000  # images of each kind, as many as the exact assignment of the Wasserstein distance is practical for
STACKED = 26_000  # samples of stacked MNIST in the literature


@dataclass(frozen=True)
class Evaluation:
    """The numbers of one run; `values` by the metric's name."""

    run: str
    model: str
    data: str
    step: int
    values: dict[str, float]
    protocol: Protocol

    def __str__(self) -> str:
        rows = [f"  {name:28} {value:.4g}" for name, value in self.values.items()]
        return "\n".join([f"{self.run}: {self.model} on {self.data}, step {self.step}", *rows, f"  {self.protocol}"])


def evaluate(
    run: str | Path,
    *,
    n: int | None = None,
    seed: int = 0,
    features: str = "auto",
    raw: bool = False,
    device: str = "auto",
) -> Evaluation:
    """Measures the samples of a run (or of one checkpoint) against its training images.

    `n` samples of `seed` (default 2,000; 2,500 points; 26,000 of stacked MNIST) are compared with as many real ones, or
    with all there are. `features` is a judge (`metrics.judge.list_judges()`), `inception`, or `auto`: the judge of the
    data set, and for data without one `cifar10_subset` for colour and `glyphs` for grey, which say how near two sets
    are and not what is in them. Samples come from the averaged weights, unless `raw`.

    Raises `UserError` for what cannot be measured.
    """
    config = api.config_of(run)
    model = api.load(run, raw=raw, device=device)
    train, test = data_of(config)
    name = config["data"]["name"]
    if model.directions:
        values, protocol = _translation(model, train, test, n or NUMBER, seed, features)
    elif len(model.shape) == 1:
        values, protocol = _points(model, train, n or 2500, seed)
    else:
        values, protocol = _images(model, train, n or (STACKED if name == "stacked_mnist" else NUMBER), seed, features)
        values |= _likelihood(model, test)
    return Evaluation(str(run), config["model"], name, model.iteration, values, protocol)


def compare(evaluations: dict[str, Evaluation]) -> str:
    """A table of several runs, a column each; `UserError` if their data or their protocols differ."""
    sets = {found.data for found in evaluations.values()}
    if len(sets) > 1:
        raise UserError(f"the runs learned from different data ({', '.join(sorted(sets))}): compare runs on one set.")
    protocol = one_protocol({name: found.protocol for name, found in evaluations.items()})
    rows = list(dict.fromkeys(row for found in evaluations.values() for row in found.values))
    wide = max(12, *(len(name) + 2 for name in evaluations))
    lines = [" " * 30 + "".join(f"{name:>{wide}}" for name in evaluations)]
    for row in rows:
        cells = [f"{found.values[row]:.4g}" if row in found.values else "" for found in evaluations.values()]
        lines.append(f"  {row:28}" + "".join(f"{cell:>{wide}}" for cell in cells))
    return "\n".join([*lines, f"  {protocol}"])


def save(evaluation: Evaluation, path: Path) -> Path:
    """As JSON, written aside and renamed."""
    aside = path.with_name(f".{path.name}")
    aside.write_text(json.dumps(asdict(evaluation), indent=1) + "\n")
    aside.replace(path)
    return path


def network_for(data: str, channels: int, features: str, device: torch.device) -> FeatureNetwork:
    """The feature network by its name, or the one that suits a data set."""
    if features == "inception":
        from ganzoo.metrics.inception import load_inception

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
    batches = Batches(train, Images, 1, seed=seed, device=model.device)
    real = _read(network, (batches.draw(part).image for part in _parts(count)), stacked)
    fake = _read(network, sampling.samples(model, n, seed=seed), stacked)
    values: dict[str, float] = {}
    if stacked:
        digits = network.head(fake).argmax(1).view(-1, 3)
        found = metrics.stacked_mode_coverage(digits)
        values |= {"modes": found.modes, "reverse_kl": found.kl}
        real, fake = (part.view(len(part) // 3, -1)[:NUMBER] for part in (real, fake))
    values |= of_features(real, fake, seed)
    if not stacked and network.name != "inception" and judge_for(train.name) == network.name:
        odds_real, odds_fake = (network.head(part).softmax(1) for part in (real, fake))
        values["inception_score"] = metrics.inception_score(odds_fake, splits=1).mean
        values["inception_score_of_reals"] = metrics.inception_score(odds_real, splits=1).mean
        values["mode_score"] = metrics.mode_score(odds_fake, odds_real)
        values |= _classes(model, network, train, n, seed)
    return values, Protocol(network.name, network.digest, count, n, network.rule, seed)


def _classes(model: Model, network: FeatureNetwork, train: Dataset, n: int, seed: int) -> dict[str, float]:
    """Whether what was asked for is what a judge reads: labels as they are, codes up to the best renaming."""
    try:
        by, count = sampling.classes(model)
    except UserError:
        return {}
    each = max(1, n // count)
    read, asked = [], []
    for value in range(count):
        read.append(network.head(_read(network, sampling.samples(model, each, seed=seed, **{by: value}))).argmax(1))
        asked.append(torch.full_like(read[-1], value))
    seen, wanted = torch.cat(read), torch.cat(asked)
    if by == "label":
        return {"label_fidelity": metrics.label_fidelity(seen, wanted)}
    return {
        "code_accuracy": metrics.clustering_accuracy(wanted, seen),
        "code_mutual_information": metrics.normalised_mutual_information(wanted, seen),
        "code_rand_index": metrics.adjusted_rand_index(wanted, seen),
    }


def _points(model: Model, train: Dataset, n: int, seed: int) -> tuple[dict[str, float], Protocol]:
    batches = Batches(train, Images, 1, seed=seed, device=model.device)
    count = min(n, len(train))
    real, fake = batches.draw(count).image.double(), torch.cat(list(sampling.samples(model, n, seed=seed))).double()
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
    held, known = (Batches(split, UnpairedImages, 1, seed=seed, device=model.device) for split in (test, train))
    count = min(n, len(test), len(test.second), len(train), len(train.second))
    inputs, others = held.draw(count), known.draw(count)
    values: dict[str, float] = {}
    for direction, source, target in zip(model.directions, inputs, reversed(others), strict=True):
        mapped = _read(network, (model.translate(part, direction=direction) for part in source.split(64)))
        real, still = _read(network, target.split(64)), _read(network, source.split(64))
        values |= {f"{direction}/{name}": value for name, value in of_features(real, mapped, seed).items()}
        values[f"{direction}/kernel_distance_of_inputs"] = metrics.kernel_distance(
            real, still, subset_size=min(count, 1000), seed=seed
        ).mean  # what a map that changes nothing would get
    return values, Protocol(network.name, network.digest, count, count, network.rule, seed)


def _likelihood(model: Model, test: Dataset) -> dict[str, float]:
    """-log p of the first 1,000 held-out images, where the model can tell."""
    own: Callable[[Tensor], Tensor] | None = getattr(model, "nll", None)
    if own is None:
        return {}
    with sampling.undisturbed(model, 0, "eval"):
        images = Batches(test, Images, 1, device=model.device).draw(min(1000, len(test))).image
        found = metrics.nll(torch.cat([own(part) for part in images.split(64)]), model.shape)
    return {"nll_nats": found.nats, "bits_per_dimension": found.bits_per_dimension}


@torch.no_grad()
def _read(network: FeatureNetwork, images: Any, stacked: bool = False) -> Tensor:
    """Features (n, d) of images that come in parts; of stacked ones each channel by itself, (3 n, d)."""
    return torch.cat([network.features(part.reshape(-1, 1, *part.shape[2:]) if stacked else part) for part in images])


def _parts(count: int) -> Iterator[int]:
    for first in range(0, count, 256):
        yield min(256, count - first)
