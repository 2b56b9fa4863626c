"""Finds out how pictures are laid out in a folder or archive, from their names alone; nothing is decoded here.

cats/1.png dogs/2.png         classes         train/... test/...           splits, of any of these
1.png 2.png                   plain           metadata.jsonl, .csv         captions or labels, one line a picture
trainA/... trainB/...         two domains     A/1.png B/1.png              pairs: the same names in two folders
"""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ganarium.data.files.tree import LABEL_KEYS, TEST, TEXT_KEYS, TRAIN, Row, Tree, common_root, printable
from ganarium.errors import UserError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
UNREADABLE = (".heic", ".heif", ".avif", ".jxl", ".jp2", ".psd", ".svg", ".eps", ".raw", ".cr2", ".nef", ".dng", ".exr")
TWO_FOLDERS = (("A", "B"), ("input", "target"))
TABLES = ("metadata.jsonl", "metadata.csv", "labels.jsonl", "captions.jsonl")
FILE_KEYS = ("file_name", "file", "image")
LAYOUTS = ("images", "pairs", "patches")
_SPECIAL = {TRAIN, *TEST, "trainA", "trainB", "testA", "testB", *(name for pair in TWO_FOLDERS for name in pair)}


@dataclass
class Domain:
    """The files of one domain; `test` is empty if the layout has no test part."""

    train: list[str]
    test: list[str]


@dataclass
class Layout:
    """What each picture of a tree is for. There are one or two domains."""

    domains: list[Domain]
    labels: dict[str, str] = field(default_factory=dict)  # by name, of every picture or of none
    captions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    paired: bool = False  # two domains, of the same scenes in the same order
    unsupported: list[str] = field(default_factory=list)  # pictures of formats that are not read


def find_layout(tree: Tree, layout: str | None = None) -> Layout:
    """The layout of a tree. With `layout` "images" two folders are classes, not domains. `UserError` if none fits."""
    pictures = [name for name in tree.names if name.lower().endswith(EXTENSIONS)]
    unsupported = [name for name in tree.names if name.lower().endswith(UNREADABLE)]
    if not pictures:
        note = (
            f" ({len(unsupported)} of a format that is not read, such as {printable(unsupported[0])})"
            if unsupported
            else ""
        )
        raise UserError(
            f"there are no images in {tree.location}{note}: files ending in {', '.join(EXTENSIONS)} were looked for, "
            f"in it and in its sub-folders."
        )
    result = _layout(tree, pictures, layout)
    result.unsupported = unsupported
    return result


def _layout(tree: Tree, pictures: list[str], layout: str | None) -> Layout:
    if tree.rows:
        return _from_rows(tree, tree.rows)
    names = set(tree.names)
    root = _root(pictures)
    tables = [table for folder in {root, _parent(root), ""} for table in _tables(names, folder)]
    if tables:
        return _from_rows(tree, _read_tables(tree, tables, set(pictures)))
    folders = {name[len(root) :].split("/")[0] for name in pictures if "/" in name[len(root) :]}

    def under(folder: str) -> list[str]:
        return [name for name in pictures if name.startswith(f"{root}{folder}/")]

    if layout != "images":
        for pair in (("trainA", "trainB"), ("testA", "testB")):
            present = [name for name in pair if name in folders]
            if len(present) == 1:
                raise UserError(
                    f"{tree.location} has {present[0]} alone: two unpaired domains need both {pair[0]} and {pair[1]}."
                )
        if "trainA" in folders:
            a, b = Domain(under("trainA"), under("testA")), Domain(under("trainB"), under("testB"))
            return Layout([a, b], paired=_same_stems(a, b))
        for first, second in TWO_FOLDERS:
            if folders == {first, second}:
                a, b = (_split(under(side), f"{root}{side}/") for side in (first, second))
                if _same_stems(a, b):
                    return Layout([a, b], paired=True)
                if layout == "pairs":
                    unpaired = sorted(set(_stems(a.train + a.test)) ^ set(_stems(b.train + b.test)))
                    raise UserError(
                        f"{tree.location} has {len(unpaired)} pictures without a partner of the same name in the other "
                        f"folder, such as {printable(unpaired[0])}: give every picture in {first} its partner in "
                        f"{second}."
                    )
    domain = _split(pictures, root)
    labels = _classes(tree, domain, root)
    if labels and layout == "pairs":
        raise UserError(f"{tree.location} has class sub-folders, and pairs have none: give one folder of pairs.")
    return Layout([domain], labels)


def _root(pictures: list[str]) -> str:
    """The folders that all pictures share, down to one whose name says what is in it, such as train."""
    root = ""
    for part in common_root(pictures).split("/")[:-1]:
        if part in _SPECIAL:
            break
        root += part + "/"
    return root


def _parent(root: str) -> str:
    parent = str(PurePosixPath(root).parent) if root else "."
    return "" if parent == "." else parent + "/"


def _split(names: list[str], root: str) -> Domain:
    """Splits names by the folders train and test (or val). Without a folder train, all are for training."""
    train = [name for name in names if name.startswith(f"{root}{TRAIN}/")]
    if not train:
        return Domain(names, [])
    for folder in TEST:
        if test := [name for name in names if name.startswith(f"{root}{folder}/")]:
            return Domain(train, test)
    return Domain(train, [])


def _classes(tree: Tree, domain: Domain, root: str) -> dict[str, str]:
    """The class of every picture, which is its sub-folder; {} if there are fewer than two sub-folders."""
    labels = {}
    for names, splits in ((domain.train, (TRAIN,)), (domain.test, TEST)):
        for name in names:
            inner = name[len(root) :].split("/")
            if domain.test or inner[0] == TRAIN:
                inner = inner[1:] if inner[0] in splits else inner
            labels[name] = inner[0] if len(inner) > 1 else ""
    classes = {labels[name] for name in domain.train}
    if "" in classes and len(classes) > 1:
        raise UserError(
            f"{tree.location} has images both directly in it and in sub-folders "
            f"({', '.join(map(printable, sorted(classes)[1:4]))}): put them all in one place, or all in class "
            f"sub-folders."
        )
    if unknown := sorted({labels[name] for name in domain.test} - classes):
        if len(classes) == 1:  # one folder, or none, is no class
            return {}
        raise UserError(
            f"the test part has the class {printable(unknown[0])!r}, which the train part lacks "
            f"(it has {', '.join(map(printable, sorted(classes)[:10]))})."
        )
    return labels if len(classes) > 1 else {}


def _same_stems(a: Domain, b: Domain) -> bool:
    """Whether two domains have pictures of the same names, in each split."""
    return _stems(a.train) == _stems(b.train) and _stems(a.test) == _stems(b.test)


def _stems(names: Iterable[str]) -> list[str]:
    """The names below the folder that all share, without endings."""
    names = list(names)
    root = common_root(names)
    return sorted(name[len(root) :].rsplit(".", 1)[0] for name in names)


def _tables(names: set[str], folder: str) -> list[tuple[str, str]]:
    """The tables of a folder, each with its split; "" if the table itself says which picture is in which split."""
    tables = [(f"{folder}{table}", "") for table in TABLES if f"{folder}{table}" in names]
    for split in (TRAIN, *TEST):
        candidates = [f"{folder}{split}.jsonl", *(f"{folder}{split}/{table}" for table in TABLES)]
        tables += [(table, split) for table in candidates if table in names]
    return tables


def _read_tables(tree: Tree, tables: list[tuple[str, str]], pictures: set[str]) -> dict[str, Row]:
    """The rows of the tables, by picture. Several lines about one picture add captions."""
    rows: dict[str, Row] = {}
    missing: list[str] = []
    for table, split in tables:
        folder = table.rsplit("/", 1)[0] + "/" if "/" in table else ""
        for number, record in _records(tree, table):
            name = next((record[key] for key in FILE_KEYS if isinstance(record.get(key), str)), None)
            if name is None:
                raise UserError(
                    f"line {number} of {tree.location}/{table} names no picture: give each line a file_name, as in "
                    f'{{"file_name": "1.png", "text": "a red ball"}}.'
                )
            if name.startswith("/") or ".." in PurePosixPath(name).parts:
                raise UserError(
                    f"line {number} of {tree.location}/{table} names {name!r}, which is outside the folder: give the "
                    f"picture's path from the folder of {table}."
                )
            path = folder + name.removeprefix("./")
            if path not in pictures and f"{folder}images/{name}" in pictures:
                path = f"{folder}images/{name}"
            if path not in pictures:
                missing.append(name)
                continue
            texts: Any = next((record[key] for key in TEXT_KEYS if record.get(key)), ())
            texts = (texts,) if isinstance(texts, str) else tuple(map(str, texts))
            label = next((str(record[key]) for key in LABEL_KEYS if record.get(key) is not None), None)
            inner = name.split("/")[0]
            own_split = split or (inner if inner in (TRAIN, *TEST) else "")
            row = rows.setdefault(path, Row(own_split, label, ()))
            row.captions += tuple(text for text in texts if text not in row.captions)
    if missing:
        raise UserError(
            f"{tree.location} lacks {len(missing)} pictures that its table names, such as {printable(missing[0])}: "
            f"add them, or take their lines out of {tables[0][0]}."
        )
    return rows


def _records(tree: Tree, table: str) -> Iterable[tuple[int, dict[str, Any]]]:
    """The lines of a table with their numbers, each as a mapping."""
    with tree.open(table) as file:
        try:
            text = file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(f"{tree.location}/{table} is no UTF-8 text: save it as UTF-8.") from error
    if table.endswith(".csv"):
        yield from enumerate(csv.DictReader(io.StringIO(text)), start=2)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise UserError(
                f"line {number} of {tree.location}/{table} is no JSON ({error}): give one object a line."
            ) from error
        if not isinstance(record, dict):
            raise UserError(f"line {number} of {tree.location}/{table} is no JSON object: give one object a line.")
        yield number, record


def _from_rows(tree: Tree, rows: dict[str, Row]) -> Layout:
    """The layout of pictures that have rows: captions, labels or both."""
    if not rows:
        raise UserError(f"the table in {tree.location} names no picture: give each a line with its file_name.")
    train = [name for name, row in rows.items() if row.split in ("", TRAIN)]
    splits = {row.split for row in rows.values()}
    test_split = next((split for split in TEST if split in splits), None)
    test = [name for name, row in rows.items() if test_split and row.split == test_split]
    used = [rows[name] for name in train + test]
    labelled, captioned = all(row.label is not None for row in used), all(row.captions for row in used)
    if not labelled and not captioned:
        bare = next(name for name, row in rows.items() if not row.captions)
        raise UserError(
            f"the table in {tree.location} gives {printable(bare)} neither a caption ({', '.join(TEXT_KEYS[:2])}) "
            f"nor, like the others, a label: give every picture one."
        )
    layout = Layout([Domain(train, test)])
    if captioned:
        layout.captions = {name: rows[name].captions for name in train + test}
    if labelled and len({row.label for row in used}) > 1:
        layout.labels = {name: rows[name].label or "" for name in train + test}
    return layout
