"""A data set examined before anything is trained on it: what it is, what is wrong with it, what it suits."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganarium.data import FOLDER, check_shape, find_source, load_data
from ganarium.data.arrays import FEWEST, check_count
from ganarium.data.dataset import Dataset, decode
from ganarium.data.files.decode import SHOWN, decode_file, quiet
from ganarium.data.files.decode_cache import progress
from ganarium.data.files.layout import Layout, find_layout
from ganarium.data.files.open import open_tree
from ganarium.data.files.tree import Tree, shown
from ganarium.data.inspect.file import (
    ALIKE,
    FLAT,
    PAIRS,
    SIDE,
    Record,
    close_look,
    difference_hash,
    examine_file,
    near_pairs,
    request,
)
from ganarium.data.sources.folder import check_words, passed_over
from ganarium.errors import UserError
from ganarium.runtime.workers import answers

BLOCK = 128  # files that a worker examines in one go
ALONE = 256  # up to so many files are examined without workers, which take a moment to start
SAMPLE = 64  # pictures of the grid

Groups = list[tuple[str, ...]]  # names of files that show the same


@dataclass
class Survey:
    """What was found. Names are as `trees.shown` writes them; of a set of tensors they are `train/17`, `test/3`."""

    name: str
    where: str
    layout: str  # what it is taken for, in words, and why
    kinds: tuple[str, ...]  # names of the batch types it gives
    shape: tuple[int, ...]  # (c, h, w) that a model would see, or (2,)
    fit: str | None  # "crop", "pad" or "patches"; None where nothing is fitted
    num_train: int
    num_test: int
    held_out: bool  # the test part is a tenth of the rest, since none was given
    domains: int  # 2: `num_train` and `num_test` count each picture of the two
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)  # (height, width) in pixels -> files
    lost: float = 0.0  # mean share of a picture that fitting it cuts away; of "pad", of black that it adds
    enlarged: int = 0  # pictures smaller than the size
    stored: Counter[str] = field(default_factory=Counter)  # "JPEG RGB" -> files
    grey: int = 0  # pictures stored with colours that show none
    classes: dict[str, tuple[int, int]] = field(default_factory=dict)  # -> (in train, in test)
    captions: list[int] = field(default_factory=list)  # the words of every sentence
    different_captions: int = 0
    longest_caption: str = ""
    broken: list[tuple[str, str]] = field(default_factory=list)  # (name, why) of files that cannot be used
    unread: list[str] = field(default_factory=list)  # pictures of formats that are not read
    blank: list[str] = field(default_factory=list)
    exact: Groups = field(default_factory=list)  # the same content, all in train or all in test
    leaks: Groups = field(default_factory=list)  # the same content in train and in test
    near: Groups = field(default_factory=list)  # look the same; exact duplicates are named by the first alone
    near_leaks: Groups = field(default_factory=list)
    compared: str = ""  # what was left out of the search for duplicates, or ""
    extent: tuple[float, float] | None = None  # of points: the least and the greatest coordinate
    refused: str = ""  # the sentence with which training would refuse it, or ""
    grid: Tensor | None = None  # uint8 (n, h, w, c) as a model sees them, or points (n, 2)
    columns: int | None = None  # of the grid
    look: Callable[[str], np.ndarray] | None = field(default=None, repr=False)  # name -> uint8 (h, w, 3), small

    @property
    def num_files(self) -> int:
        return self.num_train + self.num_test


class _Things(NamedTuple):
    """Pictures with what is known of each, in the order of `names`."""

    names: list[str]
    train: np.ndarray  # bool
    digests: np.ndarray  # S16, of the content; empty where there is none
    hashes: np.ndarray  # uint64
    blank: np.ndarray  # bool
    close: Callable[[list[int]], np.ndarray]  # `close_look` of these places, a row each


def survey(
    name_or_path: str,
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    characters: str | None = None,
    fit: str | None = None,
    layout: str | None = None,
) -> Survey:
    """Examines a built-in set, a folder or `.zip` of images, `hf:owner/name` or a `.npz`; options as in `load_data`.

    Files are decoded one by one and a small record of each is kept, so that memory does not grow with the pictures.
    Raises `UserError` when there is nothing to examine; what training would refuse is told in `Survey.refused`.
    """
    check_shape(size, channels)
    source, given = find_source(name_or_path)
    if source is FOLDER:
        if characters is not None:
            raise UserError(f"the data set {name_or_path} has no option 'characters': it is for glyphs.")
        check_words(fit, layout)
        return _of_files(open_tree(given["path"]), size or (64, 64), channels, fit or "crop", layout)
    return _of_tensors(
        *load_data(name_or_path, size=size, channels=channels, characters=characters, fit=fit, layout=layout)
    )


def _of_files(tree: Tree, size: tuple[int, int], channels: int | None, fit: str, layout: str | None) -> Survey:
    found = find_layout(tree, layout)
    names = [name for part in found.parts for name in part.train + part.test]
    records = _Records(len(names))
    places = {name: place for place, name in enumerate(names)}
    for name, record in examine_all(tree, names):
        records.put(places[name], record)
    sides = records.sides
    readable = sides[:, 0] > 0
    plain = len(found.parts) == 1 and not found.labels and not found.captions
    twice = bool(readable.any()) and bool((sides[readable, 1] == 2 * sides[readable, 0]).all())
    side_by_side = plain and (layout == "pairs" or (layout is None and twice))
    if channels is None:
        channels = 1 if bool(records.stored_grey[readable].all()) else 3
    given = any(part.test for part in found.parts)
    num_train = num_test = 0
    in_train: list[bool] = []
    for part in found.parts:
        held = 0 if part.test else max(1, len(part.train) // 10)
        num_train += len(part.train) - held
        num_test += len(part.test) + held
        in_train += [True] * len(part.train) + [False] * len(part.test)
    made = Survey(
        shown(tree.title),
        tree.where,
        _in_words(tree, found, side_by_side, twice, layout),
        _kinds(found, side_by_side, layout),
        (channels, *size),
        "patches" if layout == "patches" else fit,
        num_train,
        num_test,
        not given,
        2 if len(found.parts) == 2 or side_by_side else 1,
    )
    made.sizes = Counter(map(tuple, sides[readable].tolist()))
    made.stored = Counter({word: n for word, n in records.stored.items() if word.strip()})
    made.grey = int((readable & ~records.stored_grey & ~records.coloured).sum())
    made.unread = [shown(name) for name in found.unread]
    _fitted(made, sides[readable] // [1, 2 if side_by_side else 1], size)
    reasons = list(records.reasons)
    for place in np.flatnonzero(readable):
        reasons[place] = _unfit(int(sides[place, 0]), int(sides[place, 1]), size, made.fit, side_by_side)
    made.broken = sorted((shown(name), why) for name, why in zip(names, reasons, strict=True) if why)
    made.refused = _refusal(tree, found, names, reasons)
    _tell_classes(made, found)
    things = _Things(
        [shown(name) for name in names],
        np.array(in_train),
        records.digests,
        records.hashes,
        records.blank,
        _closely(tree, names),
    )
    _duplicates(made, things, given)
    by_shown = dict(zip(things.names, names, strict=True))
    made.look = lambda name: _decoded(tree, by_shown[name], (96, 96), 3, "pad")
    usable = [place for place, why in enumerate(reasons) if not why]
    known = {names[place]: (int(sides[place, 0]), int(sides[place, 1])) for place in usable}
    made.grid, made.columns = _sampled(tree, found, known, made, side_by_side)
    return made


class _Records:
    """The records of all files, as arrays: some 50 bytes a file."""

    def __init__(self, count: int) -> None:
        self.sides = np.zeros((count, 2), np.int32)
        self.digests = np.zeros(count, "S16")
        self.hashes = np.zeros(count, np.uint64)
        self.blank, self.coloured, self.stored_grey = (np.zeros(count, bool) for _ in range(3))
        self.reasons = [""] * count
        self.stored: Counter[str] = Counter()

    def put(self, place: int, record: Record) -> None:
        self.sides[place] = record.height, record.width
        self.digests[place] = bytes.fromhex(record.digest)
        self.hashes[place] = record.hash
        self.blank[place], self.coloured[place] = record.blank, record.coloured
        self.stored_grey[place] = record.grey
        self.reasons[place] = record.reason
        self.stored[f"{record.format} {record.mode}"] += 1


def examine_all(tree: Tree, names: Sequence[str]) -> Iterator[tuple[str, Record]]:
    """The record of every file, in any order: by worker processes where there are many."""
    with progress(tree, len(names)) as bar:
        if len(names) <= ALONE or tree.where.startswith("hf:"):  # a hub's set is opened once: that takes long
            with warnings.catch_warnings():
                quiet()
                for name in names:
                    yield name, examine_file(tree, name)
                    bar.advance(bar.task_ids[0])
            return
        blocks = [names[first : first + BLOCK] for first in range(0, len(names), BLOCK)]
        tasks = (request(number, block) for number, block in enumerate(blocks))

        def lost(task: str) -> str:
            return f"a process that examines pictures ended; it was at {' '.join(task.split())[:300]} ..."

        for number, rows in answers("ganarium.data.inspect.file", [tree.where], tasks, len(blocks), lost):
            yield from zip(blocks[number], (Record(*row) for row in rows), strict=True)
            bar.advance(bar.task_ids[0], len(rows))


def _in_words(tree: Tree, found: Layout, side_by_side: bool, twice: bool, wanted: str | None) -> str:
    told = f" (as --layout {wanted} says)" if wanted else ""
    tables = " and ".join(shown(name) for name in tree.names if name.endswith((".jsonl", ".csv")))
    if len(found.parts) == 2:
        a, b = (part.train[0].rsplit("/", 2)[-2] if "/" in part.train[0] else "A" for part in found.parts)
        if found.paired:
            return f"pairs: the same names in {shown(a)} and {shown(b)}"
        return f"two unpaired domains, in {shown(a)} and {shown(b)}"
    if side_by_side:
        return "pairs side by side" + (told or ": every picture is twice as wide as high")
    if wanted == "patches":
        return f"photos, from which windows are cut{told}"
    if found.captions:
        also = " and labels" if found.labels else ""
        return f"pictures with captions{also}, from {tables}" if tables else f"pictures with captions{also}"
    if found.labels:
        by_folder = all(f"/{label}/" in f"/{name}" for name, label in found.labels.items())
        table = f", from {tables}" if tables else ""
        return f"pictures with classes{', one sub-folder each' if by_folder else table}{told}"
    return f"plain pictures{told or ', with no classes, captions or second domain'}"


def _kinds(found: Layout, side_by_side: bool, wanted: str | None) -> tuple[str, ...]:
    if side_by_side or (len(found.parts) == 2 and found.paired):
        return ("PairedImages", "UnpairedImages")
    if len(found.parts) == 2:
        return ("UnpairedImages",)
    kinds = ("Images",)
    if wanted == "patches":
        return (*kinds, "HighResolutionImages")
    labelled = ("LabelledImages", "PartlyLabelledImages") if found.labels else ()
    return kinds + labelled + ("CaptionedImages",) * bool(found.captions)


def _fitted(made: Survey, sides: np.ndarray, size: tuple[int, int]) -> None:
    """What fitting to the size does to pictures of these (heights, widths)."""
    if not len(sides):
        return
    ratios = np.array(size) / sides
    scale = ratios.min(1) if made.fit == "pad" else ratios.max(1)
    shares = sides.prod(1) * scale**2 / np.prod(size)  # of the picture, resized, to the size
    if made.fit == "patches":
        made.enlarged = int((ratios.max(1) > 1).sum())
        return
    made.lost = float((1 - shares).mean() if made.fit == "pad" else (1 - 1 / shares).mean())
    made.enlarged = int((scale > 1).sum())


def _unfit(height: int, width: int, size: tuple[int, int], fit: str | None, side_by_side: bool) -> str:
    """As `decode.fitted` and the loader of photos would say."""
    if fit == "patches":
        return "is smaller than a window" if height < size[0] or width < size[1] else ""
    if side_by_side:
        width //= 2
    shape, wanted = width / height, size[1] / size[0]
    if fit == "crop" and min(shape / wanted, wanted / shape) < SHOWN:
        return f"is {height}x{width}, of which a crop to {size[0]}x{size[1]} shows almost nothing"
    return ""


def _refusal(tree: Tree, found: Layout, names: list[str], reasons: list[str]) -> str:
    """The sentence with which `load_data` would refuse these files, or ""."""
    bad = {name for name, why in zip(names, reasons, strict=True) if why}
    try:
        for part in found.parts:
            check_count(tree.where, len(part.train))
        passed_over(tree, names, reasons, found.unread)
        for part in found.parts:
            held = 0 if part.test else max(1, len(part.train) // 10)
            check_count(tree.where, len([name for name in part.train if name not in bad]) - held, FEWEST - 1)
    except UserError as error:
        return str(error)
    return ""


def _tell_classes(made: Survey, found: Layout) -> None:
    part = found.parts[0]
    counts = [
        Counter(found.labels[name] for name in split) if found.labels else {} for split in (part.train, part.test)
    ]
    for label, count in Counter(counts[0]).most_common():
        made.classes[shown(label)] = (count, counts[1].get(label, 0))
    sentences = [text for name in found.captions for text in found.captions[name]]
    made.captions = [len(text.split()) for text in sentences]
    made.different_captions = len(set(sentences))
    made.longest_caption = max(sentences, key=len, default="")


def _duplicates(made: Survey, things: _Things, split: bool) -> None:
    """Fills in `blank`, `exact`, `leaks`, `near` and `near_leaks`; without a given `split` nothing can leak."""
    made.blank = [things.names[place] for place in np.flatnonzero(things.blank)]
    places = np.flatnonzero((things.digests != b"") & ~things.blank)
    order = places[np.argsort(things.digests[places], kind="stable")]
    keys = things.digests[order]
    edges = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    firsts = []
    for group in np.split(order, edges) if len(order) else []:
        firsts.append(int(group[0]))
        if len(group) > 1:
            leak = split and len({bool(things.train[place]) for place in group}) == 2
            (made.leaks if leak else made.exact).append(tuple(things.names[place] for place in group))
    made.exact.sort()
    made.leaks.sort()
    candidates = np.array(sorted(place for place in firsts if things.hashes[place]), dtype=np.int64)
    pairs, complete = near_pairs(things.hashes[candidates])
    if not complete:
        made.compared = f"only the {PAIRS:,} most alike pairs of pictures were looked at closely"
    above = {int(place): int(place) for place in candidates}

    def head(place: int) -> int:
        while above[place] != place:
            above[place] = place = above[above[place]]
        return place

    pairs = candidates[pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]]
    for first in range(0, len(pairs), 2048):
        chunk = pairs[first : first + 2048]
        wanted, back = np.unique(chunk, return_inverse=True)
        looks = things.close(wanted.tolist())[back.reshape(-1, 2)]
        alike_enough = (looks[:, 0] * looks[:, 1]).sum(1) >= ALIKE
        for one, other in chunk[alike_enough].tolist():
            a, b = sorted((head(one), head(other)))
            above[b] = a
    together: dict[int, list[int]] = {}
    for place in above:
        together.setdefault(head(place), []).append(place)
    for alike in together.values():
        if len(alike) > 1:
            leak = split and len({bool(things.train[place]) for place in alike}) == 2
            (made.near_leaks if leak else made.near).append(tuple(things.names[place] for place in alike))


def _closely(tree: Tree, names: list[str]) -> Callable[[list[int]], np.ndarray]:
    """Close looks at files, the latest of which are kept: neighbouring pairs share them."""
    kept: dict[int, np.ndarray] = {}

    def close(places: list[int]) -> np.ndarray:
        for place in kept.keys() - set(places):
            if len(kept) > 4096:  # 12 kB each
                del kept[place]
        for place in places:
            if place not in kept:
                kept[place] = close_look(tree, names[place])
        return np.stack([kept[place] for place in places])

    return close


def _decoded(tree: Tree, name: str, size: tuple[int, int], channels: int, fit: str) -> np.ndarray:
    target = np.zeros((*size, channels), np.uint8)
    decode_file(tree, name, target, fit)
    return target


def _sampled(
    tree: Tree, found: Layout, sides: dict[str, tuple[int, int]], made: Survey, side_by_side: bool
) -> tuple[Tensor | None, int | None]:
    """Pictures for the grid, drawn from the training part, as a model sees them; of pairs and domains A beside B.

    `sides` has the (height, width) of those that can be used.
    """
    channels, height, width = made.shape
    rng = np.random.default_rng(0)

    def chosen(names: list[str]) -> list[str]:
        good = [name for name in names if name in sides]
        count = min(len(good), SAMPLE // made.domains)
        return [good[i] for i in sorted(rng.choice(len(good), count, replace=False).tolist())] if good else []

    def fitted(name: str) -> np.ndarray:
        if made.fit == "patches":
            whole = _decoded(tree, name, sides[name], channels, "exact")
            top, left = (whole.shape[0] - height) // 2, (whole.shape[1] - width) // 2
            return whole[top : top + height, left : left + width]
        shape = (2, height, width, channels) if side_by_side else (1, height, width, channels)
        target = np.zeros(shape if side_by_side else shape[1:], np.uint8)
        decode_file(tree, name, target, made.fit or "crop")
        return target.reshape(shape).reshape(-1, width, channels) if side_by_side else target

    firsts = chosen(found.parts[0].train)
    columns = None
    sheets = [np.stack([fitted(name) for name in firsts])] if firsts else []
    if len(found.parts) == 2:
        if found.paired:
            a, b = (sorted(part.train, key=lambda name: name.rsplit(".", 1)[0]) for part in found.parts)
            partner = dict(zip(a, b, strict=False))
            seconds = [partner[name] for name in firsts if partner.get(name) in sides]
        else:
            seconds = chosen(found.parts[1].train)
        sheets += [np.stack([fitted(name) for name in seconds])] if seconds else []
    if len(sheets) < len(found.parts):
        return None, None
    if made.domains == 2:
        rows = min(map(len, sheets))
        columns = 8 if rows > 2 else None
        return torch.from_numpy(np.stack([s[:rows] for s in sheets], 1).reshape(-1, height, width, channels)), columns
    return torch.from_numpy(sheets[0]), columns


def _of_tensors(train: Dataset, test: Dataset) -> Survey:
    """The same facts of a set that is held as tensors."""
    made = Survey(
        train.name,
        train.source,
        _array_words(train),
        tuple(kind.__name__ for kind in train.kinds),
        train.shape,
        None,
        len(train) + (len(train.second) if train.second is not None else 0),
        len(test) + (len(test.second) if test.second is not None else 0),
        False,
        1 if train.second is None else 2,
    )
    if train.labels is not None and test.labels is not None:
        classes = train.class_names or tuple(map(str, range(1 + int(train.labels.max()))))
        counts = [
            torch.bincount(part.labels, minlength=len(classes)).tolist()
            for part in (train, test)
            if part.labels is not None
        ]
        made.classes = {name: (a, b) for name, a, b in zip(classes, *counts, strict=True)}
    parts = [
        (f"{word}/{letter}", images)
        for word, split in (("train", train), ("test", test))
        for letter, images in (
            (("a/", split.images), ("b/", split.second)) if split.second is not None else (("", split.images),)
        )
        if images is not None
    ]
    names = [f"{prefix}{place}" for prefix, images in parts for place in range(len(images))]
    stored = [images for _, images in parts]
    starts = np.cumsum([0, *map(len, stored)])

    def at(place: int) -> Tensor:
        part = int(np.searchsorted(starts, place, "right")) - 1
        return stored[part][place - int(starts[part])]

    in_train = np.array([name.startswith("train/") for name in names])
    hashes, blanks = [], []
    for images in stored:
        if images.dim() == 2:
            hashes.append(np.zeros(len(images), np.uint64))
            blanks.append(np.zeros(len(images), bool))
            continue
        for part in images.split(4096):
            grey = part[..., :3].float().mean(3)
            cells = F.adaptive_avg_pool2d(grey[:, None], (8, 9))[:, 0].round().to(torch.uint8)
            hashes.append(difference_hash(cells.numpy()))
            flat = part.flatten(1, 2)
            blanks.append(((flat.amax(1).int() - flat.amin(1).int()) < FLAT).all(1).numpy())
    digests = np.concatenate([_digests(images) for images in stored])

    def close(places: list[int]) -> np.ndarray:
        pictures = torch.stack([at(place)[..., :3] for place in places]).permute(0, 3, 1, 2).float()
        small = F.adaptive_avg_pool2d(pictures, (SIDE, SIDE)).flatten(1)
        return F.normalize(small - small.mean(1, keepdim=True), dim=1).numpy()

    sentences = [text for split in (train, test) for texts in split.captions or () for text in texts]
    made.captions = [len(text.split()) for text in sentences]
    made.different_captions = len(set(sentences))
    made.longest_caption = max(sentences, key=len, default="")
    things = _Things(names, in_train, digests, np.concatenate(hashes), np.concatenate(blanks), close)
    _duplicates(made, things, True)
    if len(train.shape) == 1:
        made.extent = float(train.images.min()), float(train.images.max())
        made.grid = train.images[:2000]
        return made
    channels, height, width = train.shape
    made.sizes = Counter({(height, width): len(names)})
    made.stored = Counter({{1: "grey", 3: "RGB", 4: "RGBA"}[channels]: len(names)})
    places = dict(zip(names, range(len(names)), strict=True))
    made.look = lambda name: _in_colour(at(places[name]))
    chosen = np.random.default_rng(0).choice(len(train), min(len(train), SAMPLE // made.domains), replace=False)
    made.grid = train.images[np.sort(chosen)]
    if train.second is not None:
        other = train.second[np.sort(chosen) % len(train.second)]
        made.grid, made.columns = torch.stack([made.grid, other], 1).flatten(0, 1), 8
    return made


def _array_words(data: Dataset) -> str:
    if len(data.shape) == 1:
        return "points" + ", with the component that each was drawn from" * (data.labels is not None)
    if data.second is not None:
        return "pairs of images" if data.paired else "two unpaired domains of images"
    more = [word for word, there in (("classes", data.labels), ("captions", data.captions)) if there is not None]
    return "images" + (f" with {' and '.join(more)}" if more else "")


def _digests(images: Tensor) -> np.ndarray:
    """Of every item's bytes, 16 bytes each."""
    rows = images.contiguous().view(len(images), -1).numpy()
    return np.array([hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows], "S16")


def _in_colour(image: Tensor) -> np.ndarray:
    return image[..., :3].expand(-1, -1, 3).numpy()


def as_images(grid: Tensor) -> Tensor:
    """The grid as `pictures.save_grid` takes it: (n, c, h, w) in [-1, 1], or points (n, 2)."""
    return decode(grid)
