"""Images of a data set in parts, and the features of a network that reads them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ganarium.data.batches import Batches
from ganarium.data.dataset import Dataset, Images, LabelledImages, UnpairedImages
from ganarium.errors import UserError, nearest
from ganarium.metrics.judges.inception import load_inception
from ganarium.metrics.judges.judge import FeatureNetwork, judge_for, list_judges, load_judge
from ganarium.metrics.judges.lite import NAME, lite_is_here, load_lite

DRAWN = ("glyphs_coloured", "mnist_m", "scenes_captioned", "scenes_paired", "scenes_unpaired", "textures")
PART = 64  # images in memory at a time


def network_for(data: str, channels: int, features: str, device: torch.device) -> FeatureNetwork:
    """The feature network that `features` names: a judge, "lite0", "inception", or "auto" for the one that suits a data
    set.

    It draws nothing from the random generator. Raises `UserError` for an unknown name, or without the weights of the
    network that is named.
    """
    with torch.random.fork_rng(devices=[]):  # for weights that are overwritten at once
        if features == "inception":
            return load_inception(device)
        if features == "auto":
            features = NAME if of_photographs(data, channels) and lite_is_here() else own_judge(data, channels)
        if features == NAME:
            return load_lite(device)
        if features not in list_judges():
            known = [*list_judges(), NAME, "inception"]
            raise UserError(f"there are no features {features!r}: {nearest(features, known)}")
        return load_judge(features, device)


def own_judge(data: str, channels: int) -> str:
    """The name of the classifier of the package that comes nearest to a data set, of this name or path."""
    return judge_for(data) or ("glyphs" if channels == 1 else "cifar10_subset")


def of_photographs(data: str, channels: int) -> bool:
    """Whether a data set, of this name or path, is one of colour pictures that nothing in the package has drawn, and
    that no judge knows."""
    return channels > 1 and judge_for(data) is None and data not in DRAWN


def features_of(network: FeatureNetwork, images: Iterable[Tensor], *, stacked: bool = False) -> Tensor:
    """Features (n, d) on the CPU of images (n, c, h, w) that come in parts.

    `stacked` reads each channel by itself, as a grey image, and gives (n, c d).
    """
    if not stacked:
        return torch.cat([network.features(part).cpu() for part in images])
    channels = [(len(part), network.features(part.reshape(-1, 1, *part.shape[2:])).cpu()) for part in images]
    return torch.cat([features.view(count, -1) for count, features in channels])


@torch.no_grad()
def logits_of(network: FeatureNetwork, features: Tensor) -> Tensor:
    """Logits (n, k) on the CPU of features (n, d)."""
    device = next(network.parameters()).device
    logits: Tensor = network.head(features.to(device)).cpu()
    return logits


def images_of(data: Dataset, count: int, seed: int) -> Iterator[Tensor]:
    """The first `count` images of a split in the order of a seed, in parts.

    They are drawn on the CPU: the network takes each part to its device, and the set itself may be larger than that
    device. They are as they lie in the set, whether training mirrors them or not: so runs with and without are compared
    with the same images.
    """
    batches = Batches(replace(data, mirror=False), Images, 1, seed=seed)
    return (batches.draw(part).image for part in _parts(count))


def pairs_of(data: Dataset, count: int, seed: int) -> Iterator[UnpairedImages]:
    """As `images_of`, of both domains."""
    batches = Batches(replace(data, mirror=False), UnpairedImages, 1, seed=seed)
    return (batches.draw(part) for part in _parts(count))


def labelled_images_of(data: Dataset, count: int, seed: int) -> Iterator[LabelledImages]:
    """As `images_of`, with labels."""
    batches = Batches(replace(data, mirror=False), LabelledImages, 1, seed=seed)
    return (batches.draw(part) for part in _parts(count))


def _parts(count: int) -> Iterator[int]:
    for first in range(0, count, PART):
        yield min(PART, count - first)
