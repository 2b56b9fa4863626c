"""Where pictures lie: in a folder, in a `.zip` or in a data set of the Hugging Face hub, all seen as a tree of names.

No torch, so that a worker process starts at once.
"""

import io
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from ganarium.errors import UserError

LARGEST = 512 * 2**20  # bytes of one file in an archive, unpacked
# Names of splits, and of columns or keys that hold captions and labels, in tables and in data sets of the hub.
TRAIN, TEST = "train", ("test", "val", "valid", "validation")
TEXT_KEYS = ("text", "caption", "captions", "sentence", "sentences")
LABEL_KEYS = ("label", "class_name", "class", "category")


@dataclass
class Row:
    split: str  # "train", "test" or ""
    label: str | None
    captions: tuple[str, ...]


class Tree(Protocol):
    """Files by name: relative, with forward slashes, sorted; none is hidden."""

    where: str  # gives the same tree when given to `open_tree`
    title: str  # a short name
    names: list[str]
    rows: dict[str, Row]  # by name, where the tree itself knows captions and labels, as a set of the hub does

    def open(self, name: str) -> BinaryIO: ...

    def stamp(self, name: str) -> tuple[int, int]:
        """Changes when the content of a file may have changed."""
        ...

    def known_digest(self, name: str) -> str | None:
        """Of the content, where it is known without reading it."""
        ...


class FolderTree:
    rows: dict[str, Row] = {}

    def __init__(self, path: Path, names: list[str] | None = None) -> None:
        self.path = path
        self.where = str(path)
        self.title = path.resolve().name
        self.names = sorted(_walk(self.where, "")) if names is None else names

    def open(self, name: str) -> BinaryIO:
        return (self.path / name).open("rb")

    def stamp(self, name: str) -> tuple[int, int]:
        found = (self.path / name).stat()
        return found.st_size, found.st_mtime_ns

    def known_digest(self, name: str) -> str | None:
        return None


class ZipTree:
    rows: dict[str, Row] = {}

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = str(path)
        self.title = path.stem
        try:
            self._archive = zipfile.ZipFile(path)
            members = [member for member in self._archive.infolist() if not member.is_dir()]
        except (OSError, zipfile.BadZipFile, ValueError) as error:
            raise UserError(
                f"{path} cannot be read as a zip archive ({error}): make it again, or unpack it and give the folder."
            ) from error
        for member in members:
            parts = PurePosixPath(member.filename.replace("\\", "/")).parts
            if ".." in parts or member.filename.startswith("/") or ":" in parts[0]:
                raise UserError(
                    f"{path} holds the path {member.filename!r}, which leads out of the folder it is unpacked in: "
                    f"such an archive is not read; make it again without that file."
                )
            if member.flag_bits & 1:
                raise UserError(f"{path} is encrypted: unpack it and give the folder.")
        self._members = {member.filename.replace("\\", "/"): member for member in members}
        self.names = sorted(name for name in self._members if not _hidden(name))

    def open(self, name: str) -> BinaryIO:
        member = self._members[name]
        if member.file_size > LARGEST:
            raise ValueError("unpacked it is too large")
        with self._archive.open(member) as packed:  # safe from several threads
            return io.BytesIO(packed.read(LARGEST))

    def stamp(self, name: str) -> tuple[int, int]:
        return self._members[name].file_size, self._members[name].CRC

    def known_digest(self, name: str) -> str | None:
        return f"{self._members[name].CRC:08x}-{self._members[name].file_size}"


def common_root(names: list[str]) -> str:
    """The folders, with a slash at the end, that all names have in common; "" for none."""
    if not names:
        return ""
    folders = [name.split("/")[:-1] for name in (min(names), max(names))]  # what these two share, all share
    shared = []
    for left, right in zip(*folders, strict=False):
        if left != right:
            break
        shared.append(left)
    return "".join(part + "/" for part in shared)


def shown(name: str) -> str:
    """A file's name that can be printed and written, whatever bytes it is made of."""
    return name.encode("utf-8", "backslashreplace").decode()


def _walk(folder: str, prefix: str, above: tuple[tuple[int, int], ...] = ()) -> Iterator[str]:
    """Links are followed, but for those that lead back to a folder `above`."""
    found = Path(folder).stat()
    here = (found.st_dev, found.st_ino)
    if here in above:
        return
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if _hidden(entry.name):
                    continue
                if entry.is_dir():
                    yield from _walk(entry.path, f"{prefix}{entry.name}/", (*above, here))
                elif entry.is_file():
                    yield prefix + entry.name
    except PermissionError as error:
        raise UserError(f"the folder {folder} may not be read: give yourself the right to, or leave it out.") from error


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
