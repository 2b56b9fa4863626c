"""One picture looked at closely: can it be read, how large is it, what is it like, is it the same as another?

No torch, so that a worker process starts at once. `python -m ganarium.data.inspect.file TREE` is such a worker: it
reads lists of names, one a line, and answers each with the records of these files (see `runtime.workers`).
"""

import hashlib
import io
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ganarium.data.files.decode import FORMATS, Empty, as_seen, header, quiet, reason
from ganarium.data.files.open import open_tree
from ganarium.data.files.tree import Tree

DISTANCE = 4  # bits in which the hashes of two near duplicates may differ, of 64
ALIKE = 0.98  # how well near duplicates must correlate, looked at closely
FLAT = 8  # levels of 255: a picture whose channels all reach over less than this is blank
COLOUR = 16  # levels of 255 by which green or blue differ from red somewhere in a coloured picture
SIDE = 32  # pixels: pictures are compared at this size
PAIRS = 100_000  # candidates that are looked at closely; memory and time are bounded by it
_BLOCKS, _CLEAN = 8, 3  # of 8 bits: a distance of 4 (even 5) leaves 3 of 8 blocks equal


class Record(NamedTuple):
    """What is kept of one file."""

    height: int  # pixels, turned upright; 0 if it cannot be read
    width: int
    mode: str  # as stored, in PIL's letters: L, RGB, RGBA, P ...
    format: str
    grey: bool  # stored without colour
    coloured: bool  # shows colour, however it is stored
    blank: bool
    digest: str  # of the file's bytes, hexadecimal
    hash: int  # 64 bits: see `difference_hash`
    reason: str  # why it cannot be read, or ""


def examine_file(tree: Tree, name: str) -> Record:
    """Reads a file once and decodes it wholly; JPEG in a small form, which finds a cut file as well."""
    digest = ""
    try:
        with tree.open(name) as file:
            content = file.read()
        if not content:
            raise Empty
        digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        head = header(io.BytesIO(content))
        picture = _seen(content)
        small = picture.resize((SIDE, SIDE), Image.Resampling.BOX)
        pixels = np.asarray(small).astype(np.int16)
        extent: Any = picture.getextrema()
        blank = all(high - low < FLAT for low, high in extent)
        coloured = bool((abs(pixels[..., 1:] - pixels[..., :1]) >= COLOUR).any())
        code = difference_hash(np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.BOX)))
        return Record(
            head.height, head.width, head.mode, head.format, head.grey, coloured, blank, digest, int(code), ""
        )
    except Exception as error:  # decoders raise errors of all kinds on broken files
        return Record(0, 0, "", "", False, False, False, digest, 0, reason(error))


def difference_hash(cells: np.ndarray) -> np.ndarray:
    """uint64 of grey pictures, uint8 (..., 8, 9): a bit for every cell that is lighter than its left neighbour.

    The difference hash of N. Krawetz, "Kind of like that" (2013). A cell must be lighter by 2 levels, so that the noise
    of a JPEG in a flat part sets no bits.
    """
    cells = cells.astype(np.int16)
    bits = (cells[..., 1:] - cells[..., :-1] >= 2).reshape(*cells.shape[:-2], 64)
    return np.packbits(bits, axis=-1).view(">u8")[..., 0].astype(np.uint64)


def close_look(tree: Tree, name: str) -> np.ndarray:
    """float32 (SIDE * SIDE * 3,): the picture, small, without its mean and of length 1; 0 if it cannot be read.

    The product of two of these is their correlation. A change of brightness or contrast leaves it as it is.
    """
    try:
        with tree.open(name) as file:
            small = _seen(file.read()).resize((SIDE, SIDE), Image.Resampling.BOX)
    except Exception:  # it was read a moment ago and is gone
        return np.zeros(SIDE * SIDE * 3, np.float32)
    return standard(np.asarray(small))


def standard(pixels: np.ndarray) -> np.ndarray:
    """float32 (n,): without its mean, of length 1."""
    values = pixels.reshape(-1).astype(np.float32)
    values -= values.mean()
    return values / max(float(np.linalg.norm(values)), 1e-6)


def near_pairs(hashes: np.ndarray) -> tuple[np.ndarray, bool]:
    """Places (n, 2) of all pairs whose hashes, uint64, differ in at most `DISTANCE` bits; whether these are all.

    Of 8 blocks of bits at least 3 are then equal: every choice of 3 makes a table, sorted, in which only neighbours are
    compared (Manku, Jain and Sarma, "Detecting near-duplicates for web crawling", 2007). At most `PAIRS` are given,
    the closest first.
    """
    width = 64 // _BLOCKS
    found = np.zeros((0, 3), np.int64)  # first, second, distance
    complete, budget = True, 200 * PAIRS  # comparisons: beyond it a set has few different hashes
    for blocks in combinations(range(_BLOCKS), _CLEAN):
        mask = np.uint64(sum(((1 << width) - 1) << (width * block) for block in blocks))
        keys = hashes & mask
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        places, step = np.arange(len(keys)), 1
        parts = [found]
        while True:
            places = places[places + step < len(keys)]
            places = places[keys[places] == keys[places + step]]
            budget -= len(places)
            if not len(places) or budget < 0:
                complete &= budget >= 0
                break
            one, other = order[places], order[places + step]
            distance = _ones(hashes[one] ^ hashes[other])
            near = distance <= DISTANCE
            parts.append(np.stack([np.minimum(one, other), np.maximum(one, other), distance], 1)[near])
            step += 1
        found = np.unique(np.concatenate(parts), axis=0)
        if len(found) > PAIRS:
            found = found[np.argsort(found[:, 2], kind="stable")[:PAIRS]]
            complete = False
    return found[np.argsort(found[:, 2], kind="stable"), :2], complete


def _ones(words: np.ndarray) -> np.ndarray:
    """How many bits of each uint64 are 1."""
    return np.unpackbits(words.view(np.uint8).reshape(len(words), 8), axis=1).sum(1, dtype=np.int64)


def _seen(content: bytes) -> Image.Image:
    """RGB, upright; a JPEG not much larger than it is compared at."""
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        image.draft(image.mode, (2 * SIDE, 2 * SIDE))
        return as_seen(image, 3)


def request(number: int, names: Sequence[str]) -> str:
    """The line that asks a worker for the records of some files; it answers [number, records]."""
    return json.dumps([number, *names])


def work(where: str) -> None:
    quiet()
    tree = open_tree(where, [])
    for line in sys.stdin:
        number, *names = json.loads(line)
        print(json.dumps([number, [examine_file(tree, name) for name in names]]), flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt, BrokenPipeError):
        work(sys.argv[1])
