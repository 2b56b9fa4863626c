"""Examines a data set before anything is trained on it: what it holds, and what is wrong with it."""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganarium.data import FOLDER, as_name, check_options, find_source, load_data
from ganarium.data.arrays import MIN_IMAGES, check_count, held_out, note_on_absent
from ganarium.data.files.decode import MIN_CROP, decode_file, silence_warnings
from ganarium.data.files.decode_cache import progress
from ganarium.data.files.layout import PASSED_OVER, Domain, Layout, find_layout, lines_of_left_out, summary_of_left_out
from ganarium.data.files.open import open_tree
from ganarium.data.files.tree import Tree, printable
from ganarium.data.inspect.duplicates import Pictures, find_duplicates
from ganarium.data.inspect.file import Record, comparable_pixels, examine_file, request
from ganarium.data.inspect.survey import Survey
from ganarium.data.inspect.tensors import NUM_SHOWN, survey_of_tensors
from ganarium.data.sources.folder import check_choices, skipped_files
from ganarium.errors import UserError
from ganarium.runtime.workers import answers

BLOCK = 128  # files that a worker examines at a time
MAX_WITHOUT_WORKERS = 256  # files; workers take a moment to start
MAX_PIXELS_KEPT = 4096  # pictures whose small pixels are remembered, 12 kB each


def survey(
    name_or_path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    characters: str | None = None,
    fit: str | None = None,
    layout: str | None = None,
    classes: str | None = None,
    passed_over: float | None = None,
) -> Survey:
    """Examines a built-in set, a folder or `.zip` of images, `hf:owner/name` or a `.npz`; options as in `load_data`.

    Files are decoded one by one and a small record of each is kept, so that the memory needed does not grow with the
    size of the pictures. Raises `UserError` if there is nothing to examine. An error that training would raise stands
    in `Survey.refusal`.
    """
    check_options(size, channels, passed_over, characters=characters, fit=fit, layout=layout, classes=classes)
    name_or_path = as_name(name_or_path)
    source, arguments = find_source(name_or_path)
    if source is FOLDER:
        if characters is not None:
            raise UserError(f"the data set {name_or_path} has no option 'characters': it is for glyphs.")
        check_choices(fit, layout, classes)
        tree = open_tree(arguments["path"])
        share = PASSED_OVER if passed_over is None else passed_over
        return survey_of_files(tree, size or (64, 64), channels, fit or "crop", layout, classes, share)
    options: dict[str, Any] = {"size": size, "channels": channels, "characters": characters, "fit": fit}
    return survey_of_tensors(*load_data(name_or_path, **options, layout=layout, classes=classes))


class Reading(NamedTuple):
    """How the files of a tree are read, as `sources.folder` reads them."""

    tree: Tree
    files: Layout
    layout: str | None  # the one asked for
    side_by_side: bool  # each file has two pictures side by side
    shape: tuple[int, int, int]  # (c, h, w) of an image
    fit: str  # "crop", "pad" or "patches"


def survey_of_files(
    tree: Tree,
    size: tuple[int, int],
    channels: int | None,
    fit: str,
    layout: str | None,
    classes: str | None = None,
    passed_over: float = PASSED_OVER,
) -> Survey:
    """Examines the pictures of a tree."""
    files = find_layout(tree, layout, classes)
    files.passed_over = passed_over
    names = [name for domain in files.domains for name in domain.train + domain.test]
    records = Records(names)
    for name, record in examine_files(tree, names):
        records.add(name, record)
    readable = records.sides[:, 0] > 0
    sides = records.sides[readable]
    plain = len(files.domains) == 1 and not files.labels and not files.captions
    twice_as_wide = len(sides) > 0 and bool((sides[:, 1] == 2 * sides[:, 0]).all())
    if channels is None:
        channels = 1 if bool(records.stored_grey[readable].all()) else 3
    reading = Reading(
        tree,
        files,
        layout,
        plain and (layout == "pairs" or (layout is None and twice_as_wide)),
        (channels, *size),
        "patches" if layout == "patches" else fit,
    )
    reasons = list(records.reasons)
    for index in np.flatnonzero(readable):
        reasons[index] = _reason_against(reading, *map(int, records.sides[index]))
    printable_names = [printable(name) for name in names]
    has_test = any(domain.test for domain in files.domains)
    duplicates = find_duplicates(records.pictures(tree, printable_names, _in_train(files)), split=has_test)
    lost_share, num_enlarged = _effect_of_fitting(reading, sides // [1, 2 if reading.side_by_side else 1])
    sentences = [text for name in files.captions for text in files.captions[name]]
    good = {name: records.sides[i] for i, name in enumerate(names) if not reasons[i]}
    grid, columns = _grid(reading, good)
    by_printable = dict(zip(printable_names, names, strict=True))
    return Survey(
        name=printable(tree.title),
        location=tree.location,
        layout=_layout_in_words(reading, twice_as_wide),
        kinds=_kinds(reading),
        shape=reading.shape,
        fit=reading.fit,
        num_train=sum(len(domain.train) - _num_held_out(files, domain) for domain in files.domains),
        num_test=sum(len(domain.test) + _num_held_out(files, domain) for domain in files.domains),
        held_out=not has_test,
        num_domains=_num_domains(reading),
        sizes=Counter(map(tuple, sides.tolist())),
        lost_share=lost_share,
        num_enlarged=num_enlarged,
        formats=records.formats,
        num_grey=int((readable & ~records.stored_grey & ~records.coloured).sum()),
        classes=_classes(files),
        caption_lengths=[len(text.split()) for text in sentences],
        num_different_captions=len(set(sentences)),
        longest_caption=max(sentences, key=len, default=""),
        broken=sorted((name, reason) for name, reason in zip(printable_names, reasons, strict=True) if reason),
        left_out=lines_of_left_out(files.left_out),
        notes=_notes(files, good),
        blank=[printable_names[index] for index in np.flatnonzero(records.blank)],
        **duplicates._asdict(),
        refusal=_refusal(reading, names, reasons),
        grid=grid,
        columns=columns,
        thumbnail=lambda name: _decoded(tree, by_printable[name], (96, 96, 3), "pad"),
    )


class Records:
    """The records of all files, as arrays: about 50 bytes for each file."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.indices = {name: index for index, name in enumerate(names)}
        self.sides = np.zeros((len(names), 2), np.int32)  # height, width; 0 if the file cannot be read
        self.digests = np.zeros(len(names), "S16")
        self.hashes = np.zeros(len(names), np.uint64)
        self.blank, self.coloured, self.stored_grey = (np.zeros(len(names), bool) for _ in range(3))
        self.reasons = [""] * len(names)
        self.formats: Counter[str] = Counter()

    def add(self, name: str, record: Record) -> None:
        index = self.indices[name]
        self.sides[index] = record.height, record.width
        self.digests[index] = bytes.fromhex(record.digest)
        self.hashes[index] = record.hash
        self.blank[index], self.coloured[index] = record.blank, record.coloured
        self.stored_grey[index] = record.grey
        self.reasons[index] = record.reason
        if record.format:
            self.formats[f"{record.format} {record.mode}"] += 1

    def pictures(self, tree: Tree, names: list[str], train: np.ndarray) -> Pictures:
        """What the search for duplicates needs, under these names."""
        return Pictures(names, train, self.digests, self.hashes, self.blank, _pixels_of(tree, self.names))


def examine_files(tree: Tree, names: Sequence[str]) -> Iterator[tuple[str, Record]]:
    """The record of every file, in any order. Many files are examined by worker processes."""
    with progress(tree, len(names)) as bar:
        # A data set of the hub is opened in this process alone, for opening it takes long.
        if len(names) <= MAX_WITHOUT_WORKERS or tree.location.startswith("hf:"):
            with warnings.catch_warnings():
                silence_warnings()
                for name in names:
                    yield name, examine_file(tree, name)
                    bar.advance(bar.task_ids[0])
            return
        blocks = [names[first : first + BLOCK] for first in range(0, len(names), BLOCK)]
        tasks = (request(number, block) for number, block in enumerate(blocks))

        def message(task: str) -> str:
            return f"a process that examines pictures ended; it was at {' '.join(task.split())[:300]} ..."

        for number, rows in answers("ganarium.data.inspect.file", [tree.location], tasks, len(blocks), message):
            yield from zip(blocks[number], (Record(*row) for row in rows), strict=True)
            bar.advance(bar.task_ids[0], len(rows))


def _layout_in_words(reading: Reading, twice_as_wide: bool) -> str:
    files, tree = reading.files, reading.tree
    option = f" (as --layout {reading.layout} says)" if reading.layout else ""
    tables = " and ".join(printable(name) for name in tree.names if name.endswith((".jsonl", ".csv")))
    if len(files.domains) == 2:
        a, b = (domain.train[0].rsplit("/", 2)[-2] if "/" in domain.train[0] else "A" for domain in files.domains)
        if files.paired:
            return f"pairs: the same names in {printable(a)} and {printable(b)}"
        return f"two unpaired domains, in {printable(a)} and {printable(b)}"
    if reading.side_by_side:
        return "pairs side by side" + (option or ": every picture is twice as wide as high")
    if reading.fit == "patches":
        return f"photos, from which windows are cut{option}"
    if files.captions:
        labels = " and labels" if files.labels else ""
        return f"pictures with captions{labels}, from {tables}" if tables else f"pictures with captions{labels}"
    if files.labels:
        by_folder = all(f"/{label}/" in f"/{name}" for name, label in files.labels.items())
        table = f", from {tables}" if tables else ""
        return f"pictures with classes{', one sub-folder each' if by_folder else table}{option}"
    return f"plain pictures{option or ', with no classes, captions or second domain'}"


def _kinds(reading: Reading) -> tuple[str, ...]:
    """The names of the batch types, as `Dataset.kinds` would give them."""
    files = reading.files
    if reading.side_by_side or (len(files.domains) == 2 and files.paired):
        return ("PairedImages", "UnpairedImages")
    if len(files.domains) == 2:
        return ("UnpairedImages",)
    if reading.fit == "patches":
        return ("Images", "HighResolutionImages")
    labelled = ("LabelledImages", "PartlyLabelledImages") if files.labels else ()
    return ("Images", *labelled, *(("CaptionedImages",) if files.captions else ()))


def _num_domains(reading: Reading) -> int:
    return 2 if len(reading.files.domains) == 2 or reading.side_by_side else 1


def _num_held_out(files: Layout, domain: Domain) -> int:
    """How many training images are held out for testing."""
    labels = [files.labels[name] for name in domain.train] if files.labels else None
    return 0 if domain.test else len(held_out(len(domain.train), labels)[1])


def _in_train(files: Layout) -> np.ndarray:
    """Whether each file, in the order of the domains, is in the train part: bool (n,)."""
    return np.concatenate([[True] * len(domain.train) + [False] * len(domain.test) for domain in files.domains])


def _effect_of_fitting(reading: Reading, sides: np.ndarray) -> tuple[float, int]:
    """What fitting does to pictures of these (heights, widths): the mean share lost, and how many are enlarged.

    The share is of the picture that "crop" cuts away, or of the black that "pad" adds.
    """
    if not len(sides):
        return 0.0, 0
    size = np.array(reading.shape[1:])
    ratios = size / sides
    if reading.fit == "patches":
        return 0.0, int((ratios.max(1) > 1).sum())
    scale = ratios.min(1) if reading.fit == "pad" else ratios.max(1)
    shares = sides.prod(1) * scale**2 / size.prod()  # the area of the resized picture, over that of the size
    lost = 1 - shares if reading.fit == "pad" else 1 - 1 / shares
    return float(lost.mean()), int((scale > 1).sum())


def _reason_against(reading: Reading, height: int, width: int) -> str:
    """Why the loader will skip a picture of this size, or ""."""
    _, target_height, target_width = reading.shape
    if reading.fit == "patches":
        return "is smaller than a window" if height < target_height or width < target_width else ""
    if reading.side_by_side:
        width //= 2
    aspect, target_aspect = width / height, target_width / target_height
    if reading.fit == "crop" and min(aspect / target_aspect, target_aspect / aspect) < MIN_CROP:
        return f"is {height}x{width}, of which a crop to {target_height}x{target_width} shows almost nothing"
    return ""


def _refusal(reading: Reading, names: list[str], reasons: list[str]) -> str:
    """The error that `load_data` would raise for these files, or ""."""
    bad = {name for name, reason in zip(names, reasons, strict=True) if reason}
    tree, files = reading.tree, reading.files
    try:
        for domain in files.domains:
            check_count(tree.location, len(domain.train))
        skipped_files(tree, names, reasons, files)
        for domain in files.domains:
            num_good = len([name for name in domain.train if name not in bad])
            check_count(tree.location, num_good - _num_held_out(files, domain), MIN_IMAGES - 1)
    except UserError as error:
        return str(error)
    return ""


def _notes(files: Layout, good: Container[str]) -> tuple[str, ...]:
    """What training would say of the files, where those of `good` can be used."""
    unused = summary_of_left_out(0, files.left_out)
    domain = files.domains[0]
    used = {files.labels[name] for name in domain.train + domain.test if name in good} if files.labels else set()
    present = {files.labels[name] for name in domain.train if name in good} if files.labels else set()
    absent = note_on_absent([printable(name) for name in sorted(used - present)])
    return ((f"files not used: {unused}",) if unused else ()) + absent


def _classes(files: Layout) -> dict[str, tuple[int, int]]:
    """Each class with its counts in train and test, the most frequent first; those of test alone come last."""
    if not files.labels:
        return {}
    train, test = (
        Counter(files.labels[name] for name in split) for split in (files.domains[0].train, files.domains[0].test)
    )
    names = [label for label, _ in train.most_common()] + sorted(test.keys() - train.keys())
    return {printable(label): (train[label], test[label]) for label in names}


def _pixels_of(tree: Tree, names: list[str]) -> Callable[[list[int]], np.ndarray]:
    """`comparable_pixels` of files by their indices. The latest are remembered, for neighbouring pairs share files."""
    cache: dict[int, np.ndarray] = {}

    def pixels(indices: list[int]) -> np.ndarray:
        for index in cache.keys() - set(indices):
            if len(cache) > MAX_PIXELS_KEPT:
                del cache[index]
        for index in indices:
            if index not in cache:
                cache[index] = comparable_pixels(tree, names[index])
        return np.stack([cache[index] for index in indices])

    return pixels


def _decoded(tree: Tree, name: str, shape: tuple[int, ...], fit: str) -> np.ndarray:
    """A picture as uint8 of this shape, (h, w, c) or (2, h, w, c); black if it cannot be decoded."""
    target = np.zeros(shape, np.uint8)
    decode_file(tree, name, target, fit)
    return target


def _grid(reading: Reading, sides: dict[str, np.ndarray]) -> tuple[Tensor | None, int | None]:
    """Training pictures drawn for the grid, uint8 (n, h, w, c) as a model sees them, and the number of columns.

    Of two domains, A is beside B. `sides` has the (height, width) of all pictures that can be used.
    """
    files, rng = reading.files, np.random.default_rng(0)

    def draw(names: list[str]) -> list[str]:
        good = [name for name in names if name in sides]
        count = min(len(good), NUM_SHOWN // _num_domains(reading))
        return [good[i] for i in sorted(rng.choice(len(good), count, replace=False).tolist())] if good else []

    names = draw(files.domains[0].train)
    sheets = [_fitted(reading, names, sides)] if names else []
    if len(files.domains) == 2:
        if files.paired:
            a, b = (sorted(domain.train, key=lambda name: name.rsplit(".", 1)[0]) for domain in files.domains)
            partner = dict(zip(a, b, strict=False))
            names = [partner[name] for name in names if partner.get(name) in sides]
        else:
            names = draw(files.domains[1].train)
        sheets += [_fitted(reading, names, sides)] if names else []
    if len(sheets) < len(files.domains):
        return None, None
    if _num_domains(reading) == 1:
        return torch.from_numpy(sheets[0]), None
    channels, height, width = reading.shape
    rows = min(map(len, sheets))
    pairs = np.stack([sheet[:rows] for sheet in sheets], 1).reshape(-1, height, width, channels)
    return torch.from_numpy(pairs), 8 if rows > 2 else None


def _fitted(reading: Reading, names: list[str], sides: dict[str, np.ndarray]) -> np.ndarray:
    """The pictures as the loader fits them: uint8 (n, h, w, c), or (n, 2 h, w, c) of two side by side."""
    channels, height, width = reading.shape
    if reading.fit == "patches":
        windows = []
        for name in names:
            h, w = map(int, sides[name])
            top, left = (h - height) // 2, (w - width) // 2
            photo = _decoded(reading.tree, name, (h, w, channels), "exact")
            windows.append(photo[top : top + height, left : left + width])
        return np.stack(windows)
    shape = (2, height, width, channels) if reading.side_by_side else (height, width, channels)
    return np.stack([_decoded(reading.tree, name, shape, reading.fit).reshape(-1, width, channels) for name in names])
