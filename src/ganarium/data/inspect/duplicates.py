"""Finds pictures that are the same, or look the same, from digests and hashes. No torch."""

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import numpy as np

MAX_DISTANCE = 4  # bits of 64 in which the hashes of two near duplicates may differ
MIN_CORRELATION = 0.98  # of two near duplicates, at SIDE x SIDE pixels
MAX_PAIRS = 100_000  # candidates for near duplicates that are compared by their pixels; bounds memory and time
_BLOCKS, _EQUAL_BLOCKS = 8, 3  # of 8 bits: a distance of 4 (even 5) leaves 3 of 8 blocks equal

Groups = list[tuple[str, ...]]  # names of pictures that show the same


class Pictures(NamedTuple):
    """What is known of each picture, in the order of `names`."""

    names: list[str]
    train: np.ndarray  # bool; else of the test part
    digests: np.ndarray  # S16, of the content; empty if there is none
    hashes: np.ndarray  # uint64, see `difference_hash`
    blank: np.ndarray  # bool
    pixels: Callable[[list[int]], np.ndarray]  # indices -> a row for each, see `file.comparable_pixels`


class Duplicates(NamedTuple):
    """Groups of pictures that show the same. A leak is a group with pictures of the train and of the test part."""

    exact: Groups  # the same content, all in train or all in test
    leaks: Groups  # the same content in train and in test
    near: Groups  # look the same; exact duplicates are named by the first alone
    near_leaks: Groups
    note: str = ""  # what was left out of the search, or ""


def difference_hash(cells: np.ndarray) -> np.ndarray:
    """Hashes grey pictures, uint8 (..., 8, 9), to uint64: a bit says that a cell is lighter than its left neighbour.

    The difference hash of N. Krawetz, "Kind of like that" (2013). A cell must be lighter by 2 levels, so that the noise
    of a JPEG in a flat part sets no bits.
    """
    cells = cells.astype(np.int16)
    bits = (cells[..., 1:] - cells[..., :-1] >= 2).reshape(*cells.shape[:-2], 64)
    return np.packbits(bits, axis=-1).view(">u8")[..., 0].astype(np.uint64)


def near_pairs(hashes: np.ndarray) -> tuple[np.ndarray, bool]:
    """Finds the indices (n, 2) of all pairs whose hashes, uint64, differ in at most `MAX_DISTANCE` bits.

    The second value says whether these are all; at most `MAX_PAIRS` are returned, the closest first. Of 8 blocks of
    bits at least 3 are equal in such a pair: every choice of 3 makes a table, sorted, in which only neighbours are
    compared (Manku, Jain and Sarma, "Detecting near-duplicates for web crawling", 2007).
    """
    width = 64 // _BLOCKS
    pairs = np.zeros((0, 3), np.int64)  # first, second, distance
    complete, budget = True, 200 * MAX_PAIRS  # comparisons; only a set with few different hashes needs more
    for blocks in combinations(range(_BLOCKS), _EQUAL_BLOCKS):
        mask = np.uint64(sum(((1 << width) - 1) << (width * block) for block in blocks))
        keys = hashes & mask
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        indices, step = np.arange(len(keys)), 1
        parts = [pairs]
        while True:
            indices = indices[indices + step < len(keys)]
            indices = indices[keys[indices] == keys[indices + step]]
            budget -= len(indices)
            if not len(indices) or budget < 0:
                complete &= budget >= 0
                break
            one, other = order[indices], order[indices + step]
            distance = _num_ones(hashes[one] ^ hashes[other])
            near = distance <= MAX_DISTANCE
            parts.append(np.stack([np.minimum(one, other), np.maximum(one, other), distance], 1)[near])
            step += 1
        pairs = np.unique(np.concatenate(parts), axis=0)
        if len(pairs) > MAX_PAIRS:
            pairs = pairs[np.argsort(pairs[:, 2], kind="stable")[:MAX_PAIRS]]
            complete = False
    return pairs[np.argsort(pairs[:, 2], kind="stable"), :2], complete


def _num_ones(words: np.ndarray) -> np.ndarray:
    """The number of bits of each uint64 that are 1."""
    return np.unpackbits(words.view(np.uint8).reshape(len(words), 8), axis=1).sum(1, dtype=np.int64)


def find_duplicates(pictures: Pictures, split: bool) -> Duplicates:
    """Groups the pictures that have the same content, and those that look the same. Blank ones are left out.

    Without a `split` nothing can leak: the test part will be drawn from the same pictures.
    """
    result = Duplicates([], [], [], [])

    def add(group: list[int], same_part: Groups, leaks: Groups) -> None:
        leak = split and len({bool(pictures.train[index]) for index in group}) == 2
        (leaks if leak else same_part).append(tuple(pictures.names[index] for index in group))

    firsts = []
    for group in _equal_digests(pictures):
        firsts.append(group[0])
        if len(group) > 1:
            add(group, result.exact, result.leaks)
    result.exact.sort()
    result.leaks.sort()
    candidates = np.array(sorted(index for index in firsts if pictures.hashes[index]), dtype=np.int64)
    pairs, complete = near_pairs(pictures.hashes[candidates])
    for group in _correlated(pictures, candidates, candidates[pairs]):
        add(group, result.near, result.near_leaks)
    if not complete:
        note = f"only the {MAX_PAIRS:,} most alike pairs of pictures were looked at closely"
        return result._replace(note=note)
    return result


def _equal_digests(pictures: Pictures) -> list[list[int]]:
    """The pictures in groups of the same digest, in the order of the digests. Most groups have one picture."""
    indices = np.flatnonzero((pictures.digests != b"") & ~pictures.blank)
    order = indices[np.argsort(pictures.digests[indices], kind="stable")]
    digests = pictures.digests[order]
    edges = np.flatnonzero(digests[1:] != digests[:-1]) + 1
    return [group.tolist() for group in np.split(order, edges)] if len(order) else []


def _correlated(pictures: Pictures, candidates: np.ndarray, pairs: np.ndarray) -> list[list[int]]:
    """Groups of two or more candidates that are joined by `pairs` (n, 2) whose pixels correlate."""
    parent = {int(index): int(index) for index in candidates}  # a forest; each tree is a group

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = index = parent[parent[index]]
        return index

    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    for start in range(0, len(pairs), 2048):
        chunk = pairs[start : start + 2048]
        indices, back = np.unique(chunk, return_inverse=True)
        pixels = pictures.pixels(indices.tolist())[back.reshape(-1, 2)]
        correlation = (pixels[:, 0] * pixels[:, 1]).sum(1)
        for one, other in chunk[correlation >= MIN_CORRELATION].tolist():
            first, second = sorted((root(one), root(other)))
            parent[second] = first
    groups: dict[int, list[int]] = {}
    for index in parent:
        groups.setdefault(root(index), []).append(index)
    return [group for group in groups.values() if len(group) > 1]
