"""Examines one picture file: can it be read, how large is it, is it blank or grey, is it the same as another?

No torch, so that a worker process starts at once. `python -m ganarium.data.inspect.file TREE` is such a worker: it
reads lists of names, one a line, and answers each with the records of these files (see `runtime.workers`).
"""

import hashlib
import io
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ganarium.data.files.decode import FORMATS, EmptyFile, as_displayed, header, reason, silence_warnings
from ganarium.data.files.open import open_tree
from ganarium.data.files.tree import Tree
from ganarium.data.inspect.duplicates import difference_hash

BLANK_RANGE = 8  # levels of 255: in a blank picture each channel has a smaller range
MIN_COLOUR = 16  # levels of 255 by which green or blue differ from red somewhere in a coloured picture
SIDE = 32  # pixels: pictures are compared at this size


class Record(NamedTuple):
    """What is remembered of one file."""

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
    """Reads a file once and decodes all of it. A JPEG is decoded small, which is faster and finds a cut file too."""
    digest = ""
    try:
        with tree.open(name) as file:
            content = file.read()
        if not content:
            raise EmptyFile
        digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        head = header(io.BytesIO(content))
        picture = _decoded(content)
        small = picture.resize((SIDE, SIDE), Image.Resampling.BOX)
        pixels = np.asarray(small).astype(np.int16)
        extent: Any = picture.getextrema()
        blank = all(high - low < BLANK_RANGE for low, high in extent)
        coloured = bool((abs(pixels[..., 1:] - pixels[..., :1]) >= MIN_COLOUR).any())
        own_hash = difference_hash(np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.BOX)))
        return Record(
            head.height, head.width, head.mode, head.format, head.grey, coloured, blank, digest, int(own_hash), ""
        )
    except Exception as error:  # decoders raise errors of all kinds on broken files
        return Record(0, 0, "", "", False, False, False, digest, 0, reason(error))


def comparable_pixels(tree: Tree, name: str) -> np.ndarray:
    """float32 (SIDE * SIDE * 3,): the picture, made small, with mean 0 and length 1; all 0 if it cannot be read.

    The inner product of two of these is their correlation, which a change of brightness or contrast does not change.
    """
    try:
        with tree.open(name) as file:
            small = _decoded(file.read()).resize((SIDE, SIDE), Image.Resampling.BOX)
    except Exception:  # it could be read a moment ago, and has been removed since
        return np.zeros(SIDE * SIDE * 3, np.float32)
    return standardised(np.asarray(small))


def standardised(pixels: np.ndarray) -> np.ndarray:
    """The values as float32 (n,), with mean 0 and length 1."""
    values = pixels.reshape(-1).astype(np.float32)
    values -= values.mean()
    return values / max(float(np.linalg.norm(values)), 1e-6)


def _decoded(content: bytes) -> Image.Image:
    """The picture in RGB, upright; a JPEG at about twice the size at which pictures are compared."""
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        image.draft(image.mode, (2 * SIDE, 2 * SIDE))
        return as_displayed(image, 3)


def request(number: int, names: Sequence[str]) -> str:
    """The line that asks a worker for the records of some files; it answers [number, records]."""
    return json.dumps([number, *names])


def work(location: str) -> None:
    """The worker: answers each list of names that it reads from standard input with the records of these files."""
    silence_warnings()
    tree = open_tree(location, [])
    for line in sys.stdin:
        number, *names = json.loads(line)
        print(json.dumps([number, [examine_file(tree, name) for name in names]]), flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt, BrokenPipeError):
        work(sys.argv[1])
