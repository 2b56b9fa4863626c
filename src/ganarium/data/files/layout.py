"""Finds out how pictures are laid out in a folder or archive, from their names alone; nothing is decoded here.

cats/1.png dogs/2.png         classes         train/... test/...           splits, of any of these
1.png 2.png                   plain           metadata.jsonl, .csv         captions or labels, one line a picture
trainA/... trainB/...         two domains     A/1.png B/1.png              pairs: the same names in two folders
00000/... dataset.json        the folders and the labels that StyleGAN's tools write

Every file is either used or named in `Layout.left_out`, with the reason. Where names allow two readings, of which one
would leave files out, the layout is refused, and the error names the option that decides.
"""

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ganarium.data.files.tree import (
    LABEL_KEYS,
    TEXT_KEYS,
    Row,
    Tree,
    common_root,
    printable,
    same_form,
    split_role,
)
from ganarium.errors import UserError

EXTENSIONS = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".pbm", ".pgm", ".ppm", ".pnm"),
)
UNREADABLE = (".heic", ".heif", ".avif", ".jxl", ".jp2", ".psd", ".svg", ".eps", ".raw", ".cr2", ".nef", ".dng", ".exr")
TWO_FOLDERS = (("A", "B"), ("input", "target"))
TABLES = ("metadata.jsonl", "metadata.csv", "labels.jsonl", "captions.jsonl")
STYLEGAN_TABLE = "dataset.json"
FILE_KEYS = ("file_name", "file", "image")
LAYOUTS = ("images", "pairs", "patches")
CLASSES = ("folders", "splits", "none")
MAX_NAMED = 20  # files of one folder that are named one by one when they are left out for one reason


@dataclass
class Domain:
    """The files of one domain; `test` is empty if the layout has no test part."""

    train: list[str]
    test: list[str]


PASSED_OVER = 0.05  # share of the pictures that may be broken, unless somebody allows more


@dataclass
class Layout:
    """What each picture of a tree is for. There are one or two domains."""

    domains: list[Domain]
    labels: dict[str, str] = field(default_factory=dict)  # by name, of every picture or of none
    captions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    paired: bool = False  # two domains, of the same scenes in the same order
    tables: list[str] = field(default_factory=list)  # the files that labels and captions are read from
    reasons: dict[str, str] = field(default_factory=dict)  # why a picture is left out, by name
    left_out: list[tuple[str, str]] = field(default_factory=list)  # every entry of the tree that is not used, and why
    passed_over: float = PASSED_OVER  # share of the pictures that may be broken


@dataclass
class Parts:
    """The pictures below a folder by split, and those that are in none of them."""

    domain: Domain
    folders: dict[str, str] = field(default_factory=dict)  # the folders that are splits -> "train", "test" or "val"
    reasons: dict[str, str] = field(default_factory=dict)


def find_layout(tree: Tree, layout: str | None = None, classes: str | None = None) -> Layout:
    """The layout of a tree. With `layout` "images" two folders are classes, not domains. `UserError` if none fits.

    `classes` decides what sub-folders are: "folders" takes each for a class, whatever its name; "splits" uses the
    splits among them and leaves the others out; "none" takes all pictures as one kind, and reads no labels.
    """
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
    result = _layout(tree, pictures, layout, classes)
    if classes == "none":
        result.labels = {}
    used = {name for domain in result.domains for name in domain.train + domain.test}
    used.update(result.tables)
    unused = [name for name in tree.names if name not in used]
    result.left_out = sorted([*tree.left_out, *((name, _reason(name, result, set(pictures))) for name in unused)])
    return result


def _reason(name: str, layout: Layout, pictures: set[str]) -> str:
    """Why a file is left out."""
    if name in pictures:
        return layout.reasons[name]
    if name.lower().endswith(UNREADABLE):
        return "is of a format that is not read"
    if PurePosixPath(name).name in (*TABLES, STYLEGAN_TABLE):
        return f"is a table beside {layout.tables[0]}" if layout.tables else "is a table that says nothing of pictures"
    return "is no picture by its name"


def lines_of_left_out(entries: list[tuple[str, str]]) -> list[str]:
    """What is left out, a line for each entry, or for each folder of which many are left out for the same reason."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name, reason in entries:
        groups.setdefault((name.rpartition("/")[0], reason), []).append(name)
    lines = []
    for (folder, reason), names in groups.items():
        if len(names) > MAX_NAMED:
            lines.append(f"{printable(folder) or '.'}/ has {len(names)} files, each of which {reason}")
        else:
            lines += [f"{printable(name)} {reason}" for name in names]
    return lines


def summary_of_left_out(num_unreadable: int, entries: list[tuple[str, str]]) -> str:
    """How much is left out, by reason: "3 unreadable, 20 not in the table"; "" for nothing."""
    counts = Counter(reason.removeprefix("is ") for _, reason in entries)
    unreadable = [f"{num_unreadable} unreadable"] if num_unreadable else []
    return ", ".join([*unreadable, *(f"{count} {reason}" for reason, count in counts.most_common())])


def _layout(tree: Tree, pictures: list[str], layout: str | None, classes: str | None) -> Layout:
    if tree.rows:
        return _from_rows(tree, tree.rows, pictures, [], classes)
    names = set(tree.names)
    root = _root(pictures, classes)
    places = list(dict.fromkeys(["", _parent(root), root]))
    tables = list(dict.fromkeys(table for folder in places for table in _tables(names, folder)))
    if tables:
        rows = _read_tables(tree, tables, pictures)
        return _from_rows(tree, rows, pictures, [table for table, _ in tables], classes)
    for folder in places:
        table = folder + STYLEGAN_TABLE
        if table in names and (labelled := _stylegan_rows(tree, table, pictures)) is not None:
            if not labelled:  # the folders are where pictures are kept, and the set has no classes
                return Layout([Domain(pictures, [])], tables=[table])
            return _from_rows(tree, labelled, pictures, [table], classes)
    folders = {name[len(root) :].split("/")[0] for name in pictures if "/" in name[len(root) :]}
    loose = [name for name in pictures if "/" not in name[len(root) :]]

    def under(folder: str) -> list[str]:
        return [name for name in pictures if name.startswith(f"{root}{folder}/")]

    if layout != "images" and classes is None:
        if domains := _unpaired_domains(tree, root, pictures):
            return domains
        for first, second in TWO_FOLDERS:
            if sorted(folder if first == "A" else folder.casefold() for folder in folders) == [first, second]:
                if loose:
                    continue
                first, second = sorted(folders, key=str.casefold)
                a, b = (_parts(tree, under(side), f"{root}{side}/", None) for side in (first, second))
                if _same_stems(a.domain, b.domain):
                    return Layout([a.domain, b.domain], paired=True, reasons=a.reasons | b.reasons)
                if layout == "pairs":
                    in_a, in_b = (set(_stems(side.domain.train + side.domain.test)) for side in (a, b))
                    unpaired = sorted(in_a ^ in_b)
                    raise UserError(
                        f"{tree.location} has {len(unpaired)} pictures without a partner of the same name in the other "
                        f"folder, such as {printable(unpaired[0])}: give every picture in {first} its partner in "
                        f"{second}."
                    )
    parts = _parts(tree, pictures, root, classes)
    labels = {} if classes == "none" else _classes(tree, parts, root, classes)
    if labels and layout == "pairs":
        raise UserError(f"{tree.location} has class sub-folders, and pairs have none: give one folder of pairs.")
    return Layout([parts.domain], labels, reasons=parts.reasons)


def _domain_key(folder: str) -> str:
    """The name of a folder of one domain, such as trainA, without case and hyphens: "traina"."""
    return re.sub(r"[-_ ]", "", folder.casefold())


def _unpaired_domains(tree: Tree, root: str, pictures: list[str]) -> Layout | None:
    """The layout of trainA, trainB and perhaps testA, testB; None if there are no such folders."""
    by_key: dict[str, list[str]] = {}
    spelled: dict[str, str] = {}
    for name in pictures:
        folder, slash, _ = name[len(root) :].partition("/")
        key = _domain_key(folder) if slash else ""
        by_key.setdefault(key, []).append(name)
        spelled[key] = folder
    for pair in (("traina", "trainb"), ("testa", "testb")):
        present = [key for key in pair if key in by_key]
        if len(present) == 1:
            alone, needed = spelled[present[0]], " and ".join(f"{key[:-1]}{key[-1].upper()}" for key in pair)
            raise UserError(f"{tree.location} has {alone} alone: two unpaired domains need both {needed}.")
    if "traina" not in by_key:
        return None
    split = next((word for word in ("test", "val") if {f"{word}a", f"{word}b"} <= by_key.keys()), "test")
    a, b = (Domain(by_key[f"train{side}"], by_key.get(f"{split}{side}", [])) for side in "ab")
    used = {"traina", "trainb", f"{split}a", f"{split}b"}
    reason = "is in none of the folders of the two domains"
    reasons = {name: reason for key, names in by_key.items() if key not in used for name in names}
    return Layout([a, b], paired=_same_stems(a, b), reasons=reasons)


def _root(pictures: list[str], classes: str | None) -> str:
    """The folders that all pictures share, down to one whose name says what is in it, such as train."""
    root = ""
    for part in common_root(pictures).split("/")[:-1]:
        if classes != "folders" and _says_what_it_holds(part):
            break
        root += part + "/"
    return root


def _says_what_it_holds(folder: str) -> bool:
    if split_role(folder) or _domain_key(folder) in ("traina", "trainb", "testa", "testb"):
        return True
    return any(
        folder == name or (name.islower() and folder.casefold() == name) for pair in TWO_FOLDERS for name in pair
    )


def _parent(root: str) -> str:
    parent = str(PurePosixPath(root).parent) if root else "."
    return "" if parent == "." else parent + "/"


def _parts(tree: Tree, names: list[str], root: str, classes: str | None) -> Parts:
    """Splits names by the folders train and test (or val) below `root`. Without a folder train, all are for training.

    A folder of such a name among several others that all hold pictures alone is a class like its neighbours.
    """
    everything = Parts(Domain(names, []))
    if classes == "folders":
        return everything
    by_folder: dict[str, list[str]] = {}
    for name in names:
        folder, slash, _ = name[len(root) :].partition("/")
        by_folder.setdefault(folder if slash else "", []).append(name)
    roles = {folder: role for folder in by_folder if (role := split_role(folder))}
    others = sorted(by_folder.keys() - roles)
    if "train" not in roles.values():
        if classes == "splits":
            raise UserError(f"{tree.location} has no folder train: --classes splits needs one.")
        if len(roles) > 1 and not others and classes is None:
            raise UserError(
                f"{tree.location} has {_listed(roles)} and no train: call the part to train on train, or use "
                f"--classes none to train on all of them, or --classes folders if they are classes."
            )
        return everything
    if others and classes != "splits":
        flat = all("/" not in name[len(root) :].partition("/")[2] for name in names)
        if classes == "none" or (len(roles) == 1 and len(others) > 1 and "" not in others and flat):
            return everything
        beside = _listed([folder or "pictures" for folder in others])
        raise UserError(
            f"{tree.location} has {_listed(roles)} with {beside} beside: --classes folders takes every folder for a "
            f"class, --classes splits takes {_listed(roles)} for splits and leaves the rest out, and --classes none "
            f"trains on all pictures as one kind."
        )
    by_role: dict[str, list[str]] = {}
    for folder, role in roles.items():
        by_role.setdefault(role, []).extend(by_folder[folder])
    test = "test" if "test" in by_role else "val"
    reasons = {name: "is beside the splits" for folder in others for name in by_folder[folder]}
    if test == "test":
        reasons |= dict.fromkeys(by_role.get("val", ()), "is for validation, and the test part is used")
    return Parts(Domain(sorted(by_role["train"]), sorted(by_role.get(test, []))), roles, reasons)


def _listed(names: Iterable[str]) -> str:
    """Some names for a sentence."""
    names = sorted(map(printable, names))
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _classes(tree: Tree, parts: Parts, root: str, classes: str | None) -> dict[str, str]:
    """The class of every picture, which is its sub-folder; {} if there are fewer than two sub-folders."""
    labels, domain = {}, parts.domain
    for name in domain.train + domain.test:
        inner = name[len(root) :].split("/")
        if role := parts.folders.get(inner[0]):
            while len(inner) > 1 and split_role(inner[0]) == role:  # training_set/training_set/cats too
                inner = inner[1:]
        labels[name] = same_form(inner[0]) if len(inner) > 1 else ""
    known = {labels[name] for name in domain.train}
    if "" in known and len(known) > 1:
        raise UserError(
            f"{tree.location} has images both directly in it and in sub-folders "
            f"({', '.join(map(printable, sorted(known)[1:4]))}): put them all in one place, or all in class "
            f"sub-folders, or use --classes none to train on all as one kind."
        )
    if unknown := sorted({labels[name] for name in domain.test} - known):
        if len(known) == 1:  # one folder, or none, is no class
            return {}
        name = printable(unknown[0])
        raise UserError(
            f"the test part has {f'the class {name!r}' if name else 'pictures without a class'}, which the train part "
            f"lacks (it has {', '.join(map(printable, sorted(known)[:10]))}): --classes none reads no classes."
        )
    if len(known) > 1 and classes is None and _are_shards(tree, root, domain.train + domain.test, known):
        raise UserError(
            f"the folders {_listed(known)} of {tree.location} count their pictures through, as sets do that are kept "
            f"in folders of 1,000: use --classes none for one kind of picture, or --classes folders for classes."
        )
    return labels if len(known) > 1 else {}


def _are_shards(tree: Tree, root: str, names: list[str], folders: set[str]) -> bool:
    """Whether folders such as 00000 and 01000 hold one set whose pictures are counted through, as in FFHQ."""
    if not all(folder.isdecimal() and len(folder) >= 5 for folder in folders):
        return False
    numbers = [re.sub(r"\D", "", PurePosixPath(name).stem) for name in names]
    return all(numbers) and len(set(numbers)) == len(numbers)


def _same_stems(a: Domain, b: Domain) -> bool:
    """Whether two domains have pictures of the same names, in each split."""
    return _stems(a.train) == _stems(b.train) and _stems(a.test) == _stems(b.test)


def _stems(names: Iterable[str]) -> list[str]:
    """The names below the folder that all share, without endings."""
    names = list(names)
    root = common_root(names)
    return sorted(same_form(name[len(root) :].rsplit(".", 1)[0]) for name in names)


def _tables(names: set[str], folder: str) -> list[tuple[str, str]]:
    """The tables of a folder, each with its split; "" if the table itself says which picture is in which split."""
    tables = [(f"{folder}{table}", "") for table in TABLES if f"{folder}{table}" in names]
    for name in sorted(names):
        inner = name.removeprefix(folder).split("/")
        if not name.startswith(folder) or len(inner) > 2:
            continue
        role = split_role(inner[0].removesuffix(".jsonl") if len(inner) == 1 else inner[0])
        if role and (inner[-1] in TABLES if len(inner) == 2 else name.endswith(".jsonl")):
            tables.append((name, role))
    return tables


def _read_tables(tree: Tree, tables: list[tuple[str, str]], pictures: list[str]) -> dict[str, Row]:
    """The rows of the tables, by picture. Several lines about one picture add captions."""
    by_form = {same_form(name): name for name in pictures}
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
            inner = name.replace("\\", "/").removeprefix("./")
            candidates = (same_form(folder + inner), same_form(f"{folder}images/{inner}"))
            path = next((by_form[form] for form in candidates if form in by_form), None)
            if path is None:
                missing.append(name)
                continue
            texts: Any = next((record[key] for key in TEXT_KEYS if not _is_empty(record.get(key))), ())
            texts = (texts,) if isinstance(texts, str) else tuple(map(str, texts if isinstance(texts, list) else ()))
            label = next((record[key] for key in LABEL_KEYS if not _is_empty(record.get(key))), None)
            _add_row(
                tree, rows, path, Row(split or split_role(inner.split("/")[0]), _as_class(tree, path, label), texts)
            )
    if missing:
        raise UserError(
            f"{tree.location} lacks {len(missing)} pictures that its table names, such as {printable(missing[0])}: "
            f"add them, or take their lines out of {tables[0][0]}."
        )
    return rows


def _add_row(tree: Tree, rows: dict[str, Row], path: str, row: Row) -> None:
    """Adds what a line of a table says; `UserError` if another line says something else."""
    known = rows.setdefault(path, Row(row.split, row.label, ()))
    for what, before, now in (("label", known.label, row.label), ("split", known.split, row.split)):
        if before and now and before != now:
            raise UserError(
                f"the tables in {tree.location} give {printable(path)} the {what} {before!r} and the {what} {now!r}: "
                f"keep one of them."
            )
    known.label, known.split = known.label or row.label, known.split or row.split
    known.captions += tuple(text for text in row.captions if text not in known.captions)


def _is_empty(value: Any) -> bool:
    """Whether a cell of a table has no value; what was no number when a table was written is read as NaN."""
    if isinstance(value, str):
        return value.strip().casefold() in ("", "nan")
    return value is None or value == [] or (isinstance(value, float) and math.isnan(value))


def _as_class(tree: Tree, path: str, label: Any) -> str | None:
    """The name of a class; 1.0 is the class 1. `UserError` for a label that is no word or number."""
    if label is None:
        return None
    if not isinstance(label, str | int | float):
        raise UserError(
            f"the label of {printable(path)} in {tree.location} is {label!r}: give it a word or a number, or use "
            f"--classes none."
        )
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    return same_form(str(label).strip())


def _stylegan_rows(tree: Tree, table: str, pictures: list[str]) -> dict[str, Row] | None:
    """The labels in the dataset.json that StyleGAN's tools write; {} if it has none, None if it is another file."""
    folder = table.removesuffix(STYLEGAN_TABLE)
    try:
        with tree.open(table) as file:
            content = json.load(io.TextIOWrapper(file, "utf-8"))
    except ValueError:
        return None
    if not isinstance(content, dict) or "labels" not in content:
        return None
    pairs = content["labels"] or []
    pairs = list(pairs.items()) if isinstance(pairs, dict) else pairs
    by_form = {same_form(name): name for name in pictures}
    rows: dict[str, Row] = {}
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str):
            raise UserError(f"{tree.location}/{table} has the label {pair!r}: each is a file and a number.")
        path = by_form.get(same_form(folder + pair[0].removeprefix("./")))
        if path is None:
            raise UserError(
                f"{tree.location} lacks {printable(pair[0])}, which {table} names: add it, or its line goes."
            )
        label = None if _is_empty(pair[1]) else pair[1]
        _add_row(tree, rows, path, Row("", _as_class(tree, path, label), ()))
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
    # Only a line feed ends a line: other separators, such as U+2028, may stand in a caption.
    for number, line in enumerate(text.split("\n"), start=1):
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


def _from_rows(tree: Tree, rows: dict[str, Row], pictures: list[str], tables: list[str], classes: str | None) -> Layout:
    """The layout of pictures that have rows: captions, labels or both."""
    if not rows:
        raise UserError(f"the table in {tree.location} names no picture: give each a line with its file_name.")
    train = [name for name, row in rows.items() if row.split in ("", "train")]
    splits = {row.split for row in rows.values()}
    test_split = next((split for split in ("test", "val") if split in splits), None)
    test = [name for name, row in rows.items() if test_split and row.split == test_split]
    used = [rows[name] for name in train + test]
    labelled, captioned = all(row.label is not None for row in used), all(row.captions for row in used)
    if classes != "none":
        if not labelled and not captioned and not any(row.label is not None for row in used):
            bare = next(name for name in train + test if not rows[name].captions)
            raise UserError(
                f"the table in {tree.location} gives {printable(bare)} neither a caption ({', '.join(TEXT_KEYS[:2])}) "
                f"nor, like the others, a label: give every picture one."
            )
        if not labelled and any(row.label is not None for row in used):
            bare = next(name for name in train + test if rows[name].label is None)
            other = next(name for name in train + test if rows[name].label is not None)
            raise UserError(
                f"the table in {tree.location} gives {printable(bare)} no label, and {printable(other)} the label "
                f"{rows[other].label!r}: give every picture one, or use --classes none to read no labels."
            )
    if not captioned and (captioned_ones := [name for name in train + test if rows[name].captions]):
        bare = next(name for name in train + test if not rows[name].captions)
        raise UserError(
            f"the table in {tree.location} gives {printable(bare)} no caption, and {printable(captioned_ones[0])} has "
            f"one: give every picture a caption, or none."
        )
    table = tables[0] if tables else "the table"
    reasons = {name: f"is not in {table}" for name in pictures if name not in rows}
    left = f"is for validation, and the {test_split} part is used"
    reasons |= {name: left for name, row in rows.items() if row.split not in ("", "train", test_split)}
    layout = Layout([Domain(train, test)], tables=tables, reasons=reasons)
    if captioned:
        layout.captions = {name: rows[name].captions for name in train + test}
    if labelled and classes != "none" and len({row.label for row in used}) > 1:
        layout.labels = {name: rows[name].label or "" for name in train + test}
    return layout
