"""Trees of files: a folder, a `.zip` and a data set of the Hugging Face hub are read alike, by the names of files.

No torch, so that a worker process starts at once.
"""

import io
import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from ganarium.errors import UserError

MAX_FILE = 512 * 2**20  # bytes of one file in an archive, unpacked
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)  # that Python unpacks
# What a folder, a table or a split of the hub is called that holds one part of the data, without case and hyphens.
SPLIT = re.compile(
    r"(?:(?P<train>train|training)|(?P<test>test|testing)|(?P<val>val|valid|validation|dev|eval|evaluation))"
    r"(?:set|data|split|part|images?|imgs?|pictures?|photos?)?"
)
# Names of columns or keys that hold captions and labels, in tables and in data sets of the hub.
TEXT_KEYS = ("text", "caption", "captions", "sentence", "sentences")
LABEL_KEYS = ("label", "class_name", "class", "category")
HIDDEN, EMPTY = "is hidden", "is an empty folder"  # reasons why an entry of a tree is left out


@dataclass
class Row:
    """What a table says about one picture."""

    split: str  # "train", "test", "val" or ""
    label: str | None
    captions: tuple[str, ...]


class Tree(Protocol):
    """Files by name: relative, with forward slashes, sorted; none is hidden."""

    location: str  # `open_tree` opens the same tree with it
    title: str  # a short name for people
    names: list[str]
    left_out: list[tuple[str, str]]  # what else lies in the tree: hidden or unreadable entries, each with the reason
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
        self.left_out: list[tuple[str, str]] = []
        self.names = sorted(_walk(self.location, "", self.left_out)) if names is None else names

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
            members = self._archive.infolist()
        except (OSError, zipfile.BadZipFile, ValueError) as error:
            raise UserError(
                f"{path} cannot be read as a zip archive ({error}): make it again, or unpack it and give the folder."
            ) from error
        self.left_out: list[tuple[str, str]] = []
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in members:
            name = member.filename.replace("\\", "/")
            drive = re.match(r"[A-Za-z]:", name)
            if drive or name.startswith("/") or ".." in name.split("/"):
                raise UserError(
                    f"{path} holds the path {member.filename!r}, which leads out of the folder it is unpacked in: "
                    f"such an archive is not read; make it again without that file."
                )
            name = str(PurePosixPath(name))  # without the ./ that some programs write
            if member.is_dir():
                continue
            if _hidden(name):
                self.left_out.append((name, HIDDEN))
                continue
            if stat.S_ISLNK(member.external_attr >> 16):
                self.left_out.append((name, "is a link, which an archive does not follow"))
                continue
            if member.flag_bits & 1:
                raise UserError(f"{path} is encrypted: unpack it and give the folder.")
            if member.compress_type not in PACKINGS:
                method = {9: "Deflate64", 93: "Zstandard", 95: "XZ"}.get(member.compress_type, member.compress_type)
                raise UserError(
                    f"{path} is compressed by the method {method}, which is not read: unpack it and give the folder."
                )
            if name in self._members:
                self.left_out.append((name, "is in the archive twice, of which the last is read"))
            self._members[name] = member
        self.names = sorted(self._members)
        folders = {str(PurePosixPath(member.filename.replace("\\", "/"))) for member in members if member.is_dir()}
        files = [*self.names, *(name for name, _ in self.left_out)]
        filled = {str(parent) for name in files for parent in PurePosixPath(name).parents}
        filled |= {str(parent) for name in folders for parent in PurePosixPath(name).parents}
        self.left_out += [(f"{name}/", EMPTY) for name in sorted(folders - filled)]

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


def split_role(name: str) -> str:
    """The split that a folder of this name is: "train", "test" or "val"; "" if it is none. Case does not matter."""
    match = SPLIT.fullmatch(re.sub(r"[-_ .]", "", name.casefold()))
    return match.lastgroup or "" if match else ""


def same_form(name: str) -> str:
    """The name in one Unicode form: systems write letters with accents in two ways."""
    return unicodedata.normalize("NFC", name)


def _walk(
    folder: str, prefix: str, left_out: list[tuple[str, str]], above: tuple[tuple[int, int], ...] = ()
) -> Iterator[str]:
    """The files below a folder but the hidden ones. Links are followed, unless they lead back to a folder `above`.

    Whatever else lies there is added to `left_out`, with the reason.
    """
    status = Path(folder).stat()
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        left_out.append((prefix, "is a link that leads back to a folder above it"))
        return
    empty = True
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                empty = False
                name = prefix + entry.name
                if _hidden(entry.name):
                    left_out.append((name, HIDDEN))
                    continue
                try:
                    is_folder, is_file = entry.is_dir(), entry.is_file()
                except OSError:  # a link to itself
                    is_folder = is_file = False
                if is_folder:
                    yield from _walk(entry.path, f"{name}/", left_out, (*above, identity))
                elif is_file:
                    yield name
                else:
                    left_out.append((name, "is a link to nothing" if entry.is_symlink() else "is no file"))
    except PermissionError as error:
        raise UserError(f"the folder {folder} may not be read: give yourself the right to, or leave it out.") from error
    if empty and above:
        left_out.append((prefix, EMPTY))


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
