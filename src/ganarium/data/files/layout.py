"""How pictures are laid out in a folder (or archive), found from their names alone; nothing is decoded here.

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

from ganarium.data.files.tree import LABEL_KEYS, TEST, TEXT_KEYS, TRAIN, Row, Tree, common_root, shown
from ganarium.errors import UserError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
UNREAD = (".heic", ".heif", ".avif", ".jxl", ".jp2", ".psd", ".svg", ".eps", ".raw", ".cr2", ".nef", ".dng", ".exr")
TWO_FOLDERS = (("A", "B"), ("input", "target"))
TABLES = ("metadata.jsonl", "metadata.csv", "labels.jsonl", "captions.jsonl")
FILE_KEYS = ("file_name", "file", "image")
LAYOUTS = ("images", "pairs", "patches")
_KEPT = {TRAIN, *TEST, "trainA", "trainB", "testA", "testB", *(name for pair in TWO_FOLDERS for name in pair)}


@dataclass
class Part:
    """One domain, as names of files; `test` is empty where no test part is given."""

    train: list[str]
    test: list[str]


@dataclass
class Layout:
    parts: list[Part]
    labels: dict[str, str] = field(default_factory=dict)  # of every picture, or of none
    captions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    paired: bool = False  # two parts of the same scenes in the same order
    unread: list[str] = field(default_factory=list)  # pictures of formats that are not read


def find_layout(tree: Tree, wanted: str | None = None) -> Layout:
    """The layout of a tree. `wanted` "images" sees plain or labelled images alone. `UserError` if none fits."""
    pictures = [name for name in tree.names if name.lower().endswith(EXTENSIONS)]
    unread = [name for name in tree.names if name.lower().endswith(UNREAD)]
    if not pictures:
        also = f" ({len(unread)} of a format that is not read, such as {shown(unread[0])})" if unread else ""
        raise UserError(
            f"there are no images in {tree.where}{also}: files ending in {', '.join(EXTENSIONS)} were looked for, "
            f"in it and in its sub-folders."
        )
    layout = _layout(tree, pictures, wanted)
    layout.unread = unread
    return layout


def _layout(tree: Tree, pictures: list[str], wanted: str | None) -> Layout:
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

    if wanted != "images":
        for pair in (("trainA", "trainB"), ("testA", "testB")):
            there = [name for name in pair if name in folders]
            if len(there) == 1:
                raise UserError(
                    f"{tree.where} has {there[0]} alone: two unpaired domains need both {pair[0]} and {pair[1]}."
                )
        if "trainA" in folders:
            a, b = Part(under("trainA"), under("testA")), Part(under("trainB"), under("testB"))
            alike = _stems(a.train) == _stems(b.train) and _stems(a.test) == _stems(b.test)
            return Layout([a, b], paired=alike)
        for first, second in TWO_FOLDERS:
            if folders == {first, second}:
                a, b = (_split(under(side), f"{root}{side}/") for side in (first, second))
                if _stems(a.train) == _stems(b.train) and _stems(a.test) == _stems(b.test):
                    return Layout([a, b], paired=True)
                if wanted == "pairs":
                    lone = sorted(set(_stems(a.train + a.test)) ^ set(_stems(b.train + b.test)))
                    raise UserError(
                        f"{tree.where} has {len(lone)} pictures without a partner of the same name in the other "
                        f"folder, such as {shown(lone[0])}: give every picture in {first} its partner in {second}."
                    )
    part = _split(pictures, root)
    labels = _classes(tree, part, root)
    if labels and wanted == "pairs":
        raise UserError(f"{tree.where} has class sub-folders, and pairs have none: give one folder of pairs.")
    return Layout([part], labels)


def _root(pictures: list[str]) -> str:
    """The folders that all pictures share, but for one whose name says what is in it."""
    root = ""
    for part in common_root(pictures).split("/")[:-1]:
        if part in _KEPT:
            break
        root += part + "/"
    return root


def _parent(root: str) -> str:
    above = str(PurePosixPath(root).parent) if root else "."
    return "" if above == "." else above + "/"


def _split(names: list[str], root: str) -> Part:
    """By the folders train and test (or val); everything, where there is no folder train."""
    train = [name for name in names if name.startswith(f"{root}{TRAIN}/")]
    if not train:
        return Part(names, [])
    for folder in TEST:
        if test := [name for name in names if name.startswith(f"{root}{folder}/")]:
            return Part(train, test)
    return Part(train, [])


def _classes(tree: Tree, part: Part, root: str) -> dict[str, str]:
    """The sub-folder of every picture; {} if there are not two."""
    labels = {}
    for names, splits in ((part.train, (TRAIN,)), (part.test, TEST)):
        for name in names:
            inner = name[len(root) :].split("/")
            if part.test or inner[0] == TRAIN:
                inner = inner[1:] if inner[0] in splits else inner
            labels[name] = inner[0] if len(inner) > 1 else ""
    own = {labels[name] for name in part.train}
    if "" in own and len(own) > 1:
        raise UserError(
            f"{tree.where} has images both directly in it and in sub-folders "
            f"({', '.join(map(shown, sorted(own)[1:4]))}): put them all in one place, or all in class sub-folders."
        )
    if unknown := sorted({labels[name] for name in part.test} - own):
        if len(own) == 1:  # one folder, or none, is no class
            return {}
        raise UserError(
            f"the test part has the class {shown(unknown[0])!r}, which the train part lacks "
            f"(it has {', '.join(map(shown, sorted(own)[:10]))})."
        )
    return labels if len(own) > 1 else {}


def _stems(names: Iterable[str]) -> list[str]:
    """Names below their domain's folder, without endings."""
    names = list(names)
    root = common_root(names)
    return sorted(name[len(root) :].rsplit(".", 1)[0] for name in names)


def _tables(names: set[str], folder: str) -> list[tuple[str, str]]:
    """(table, split) of the tables of a folder; the split is "" where the table does not say."""
    found = [(f"{folder}{table}", "") for table in TABLES if f"{folder}{table}" in names]
    for split in (TRAIN, *TEST):
        here = [f"{folder}{split}.jsonl", *(f"{folder}{split}/{table}" for table in TABLES)]
        found += [(table, split) for table in here if table in names]
    return found


def _read_tables(tree: Tree, tables: list[tuple[str, str]], pictures: set[str]) -> dict[str, Row]:
    """What the tables say of every picture they name. Several lines of one picture add captions."""
    rows: dict[str, Row] = {}
    missing: list[str] = []
    for table, split in tables:
        folder = table.rsplit("/", 1)[0] + "/" if "/" in table else ""
        for number, record in _records(tree, table):
            name = next((record[key] for key in FILE_KEYS if isinstance(record.get(key), str)), None)
            if name is None:
                raise UserError(
                    f"line {number} of {tree.where}/{table} names no picture: give each line a file_name, as in "
                    f'{{"file_name": "1.png", "text": "a red ball"}}.'
                )
            if name.startswith("/") or ".." in PurePosixPath(name).parts:
                raise UserError(
                    f"line {number} of {tree.where}/{table} names {name!r}, which is outside the folder: give the "
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
            part = split or (inner if inner in (TRAIN, *TEST) else "")
            row = rows.setdefault(path, Row(part, label, ()))
            row.captions += tuple(text for text in texts if text not in row.captions)
    if missing:
        raise UserError(
            f"{tree.where} lacks {len(missing)} pictures that its table names, such as {shown(missing[0])}: add them, "
            f"or take their lines out of {tables[0][0]}."
        )
    return rows


def _records(tree: Tree, table: str) -> Iterable[tuple[int, dict[str, Any]]]:
    with tree.open(table) as file:
        try:
            text = file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(f"{tree.where}/{table} is no UTF-8 text: save it as UTF-8.") from error
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
                f"line {number} of {tree.where}/{table} is no JSON ({error}): give one object a line."
            ) from error
        if not isinstance(record, dict):
            raise UserError(f"line {number} of {tree.where}/{table} is no JSON object: give one object a line.")
        yield number, record


def _from_rows(tree: Tree, rows: dict[str, Row]) -> Layout:
    if not rows:
        raise UserError(f"the table in {tree.where} names no picture: give each a line with its file_name.")
    train = [name for name, row in rows.items() if row.split in ("", TRAIN)]
    splits = {row.split for row in rows.values()}
    chosen = next((split for split in TEST if split in splits), None)
    test = [name for name, row in rows.items() if chosen and row.split == chosen]
    used = [rows[name] for name in train + test]
    labelled, captioned = (all(found) for found in ([r.label is not None for r in used], [r.captions for r in used]))
    if not labelled and not captioned:
        bare = next(name for name, row in rows.items() if not row.captions)
        raise UserError(
            f"the table in {tree.where} gives {shown(bare)} neither a caption ({', '.join(TEXT_KEYS[:2])}) nor, like "
            f"the others, a label: give every picture one."
        )
    layout = Layout([Part(train, test)])
    if captioned:
        layout.captions = {name: rows[name].captions for name in train + test}
    if labelled and len({row.label for row in used}) > 1:
        layout.labels = {name: rows[name].label or "" for name in train + test}
    return layout
