"""Trees of files: a folder, a `.zip` and a data set of the Hugging Face hub are read alike, by the names of files.

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

MAX_FILE = 512 * 2**20  # bytes of one file in an archive, unpacked
# Names of splits, and of columns or keys that hold captions and labels, in tables and in data sets of the hub.
TRAIN, TEST = "train", ("test", "val", "valid", "validation")
TEXT_KEYS = ("text", "caption", "captions", "sentence", "sentences")
LABEL_KEYS = ("label", "class_name", "class", "category")


@dataclass
class Row:
    """What a table says about one picture."""

    split: str  # "train", "test" or ""
    label: str | None
    captions: tuple[str, ...]


class Tree(Protocol):
    """Files by name: relative, with forward slashes, sorted; none is hidden."""

    location: str  # `open_tree` opens the same tree with it
    title: str  # a short name for people
    names: list[str]
    rows: dict[str, Row]  # labels and captions by the name of the file, if the tree itself has them; else empty

    def open(self, name: str) -> BinaryIO: ...

    def stamp(self, name: str) -> tuple[int, int]:
        """Size and time: two numbers that change when the content of a file changes."""
        ...

    def known_digest(self, name: str) -> str | None:
        """A digest of the content, if the tree has it without reading the file."""
        ...


class FolderTree:
    rows: dict[str, Row] = {}

    def __init__(self, path: Path, names: list[str] | None = None) -> None:
        self.path = path
        self.location = str(path)
        self.title = path.resolve().name
        self.names = sorted(_walk(self.location, "")) if names is None else names

    def open(self, name: str) -> BinaryIO:
        return (self.path / name).open("rb")

    def stamp(self, name: str) -> tuple[int, int]:
        status = (self.path / name).stat()
        return status.st_size, status.st_mtime_ns

    def known_digest(self, name: str) -> str | None:
        return None


class ZipTree:
    rows: dict[str, Row] = {}

    def __init__(self, path: Path) -> None:
        self.path = path
        self.location = str(path)
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
        if member.file_size > MAX_FILE:
            raise ValueError("unpacked it is too large")
        with self._archive.open(member) as packed:  # safe from several threads
            return io.BytesIO(packed.read(MAX_FILE))

    def stamp(self, name: str) -> tuple[int, int]:
        return self._members[name].file_size, self._members[name].CRC

    def known_digest(self, name: str) -> str | None:
        return f"{self._members[name].CRC:08x}-{self._members[name].file_size}"


def common_root(names: list[str]) -> str:
    """The folders, with a slash at the end, that all names have in common; "" for none."""
    if not names:
        return ""
    # What the first and the last name in the order of the alphabet have in common, all have in common.
    first, last = (name.split("/")[:-1] for name in (min(names), max(names)))
    root = ""
    for left, right in zip(first, last, strict=False):
        if left != right:
            break
        root += left + "/"
    return root


def printable(name: str) -> str:
    """A file's name in letters that can be printed, even where its bytes are no valid text."""
    return name.encode("utf-8", "backslashreplace").decode()


def _walk(folder: str, prefix: str, above: tuple[tuple[int, int], ...] = ()) -> Iterator[str]:
    """The files below a folder but the hidden ones. Links are followed, unless they lead back to a folder `above`."""
    status = Path(folder).stat()
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        return
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if _hidden(entry.name):
                    continue
                if entry.is_dir():
                    yield from _walk(entry.path, f"{prefix}{entry.name}/", (*above, identity))
                elif entry.is_file():
                    yield prefix + entry.name
    except PermissionError as error:
        raise UserError(f"the folder {folder} may not be read: give yourself the right to, or leave it out.") from error


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
