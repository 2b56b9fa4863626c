"""Joins two sets into a source domain, whose labels a model is told, and a target domain: `mnist+usps`."""

import dataclasses
from inspect import signature
from typing import Any

from torch import Tensor

from ganarium.data import find_source, function_of, load_data
from ganarium.data.arrays import with_channels
from ganarium.data.dataset import Dataset
from ganarium.errors import UserError


def two_sets(
    source: str,
    target: str,
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    characters: str | None = None,
    fit: str | None = None,
    classes: str | None = None,
) -> tuple[Dataset, Dataset]:
    """Two sets, each by its name or path: the images and labels of `source`, and the images of `target`.

    Both have the size of the source, or `size`, and as many channels as the one that has more, or `channels`. Labels of
    the target are kept for evaluation alone, if they are of the same classes. Where both sets are made of the same
    pictures (`mnist` and `mnist_negative`), the source keeps the even places and the target the odd ones, so that no
    picture is in both. Options are those of each set. Raises `UserError` for sets that do not fit each other.
    """
    given = {"characters": characters, "fit": fit, "classes": classes}
    first = _loaded(source, size, channels, given)
    _check(first[0])
    second = _loaded(target, size or first[0].shape[1:], channels, given)
    _check(second[0])
    splits = []
    for a, b in zip(first, second, strict=True):
        if _same_pictures(a, b):
            a, b = _part(a, 0), _part(b, 1)
        splits.append(_joined(f"{a.name}+{b.name}", a, b, channels or max(a.shape[0], b.shape[0])))
    return splits[0], splits[1]


def _loaded(
    name: str, size: tuple[int, ...] | None, channels: int | None, given: dict[str, Any]
) -> tuple[Dataset, Dataset]:
    """A set with those of the options that it knows."""
    known = signature(function_of(find_source(name)[0])).parameters
    options = {option: value for option, value in given.items() if option in known}
    own_channels = channels if "channels" in known else None
    return load_data(name, size=size, channels=own_channels, **options)  # type: ignore[arg-type]


def _check(half: Dataset) -> None:
    """`UserError` unless a set is a plain one of images."""
    if len(half.shape) != 3:
        raise UserError(f"{half.name} has points: join two sets of images.")
    if half.second is not None or half.captions is not None or half.bernoulli or half.photos is not None:
        raise UserError(f"{half.name} is no plain set of images, and cannot be one of two: join plain sets.")


def _same_pictures(a: Dataset, b: Dataset) -> bool:
    """Whether two sets are made of the same pictures in the same order, such as MNIST and its negative."""
    if len(a) != len(b) or a.labels is None or b.labels is None or a.source.split(",")[0] != b.source.split(",")[0]:
        return False
    return bool((a.labels == b.labels).all())


def _part(data: Dataset, first: int) -> Dataset:
    assert data.labels is not None
    return dataclasses.replace(data, images=data.images[first::2], labels=data.labels[first::2], extra=None)


def _joined(name: str, source: Dataset, target: Dataset, channels: int) -> Dataset:
    target_labels: Tensor | None = target.labels if target.class_names == source.class_names else None
    unlabelled = dataclasses.replace(target, labels=None)
    return Dataset(
        name,
        with_channels(source.images, channels),
        source.labels,
        source.class_names,
        with_channels(target.images, channels),
        skipped=source.skipped + target.skipped,
        notes=source.notes + target.notes,
        source=f"{source.source}; target: {target.source}",
        mapped=source.mapped or target.mapped,
        digest=f"{source.checksum()}+{unlabelled.checksum()}" if source.mapped or target.mapped else "",
        target_labels=target_labels,
    )
