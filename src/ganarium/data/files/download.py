"""Where published sets are looked for, and how one that is not here is downloaded."""

import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ganarium.errors import UserError
from ganarium.runtime.cache import cache_dir
from ganarium.runtime.environment import variable

PATIENCE = 20  # seconds without a word from a server


class Published(NamedTuple):
    """A set as its authors give it out. A file may lie there gzipped, with `.gz` after its name."""

    name: str
    folders: tuple[str, ...]  # tried under each root; the first is made by a download
    inner: str  # the folder of the files within one of these, "." if they lie in it directly
    files: tuple[str, ...]  # all that is needed; folders among them count as one file
    fetch: Callable[[Path], Path]  # downloads into an empty folder and gives the one in which the files then lie
    advice: str = "use --data glyphs, which needs no network"  # what else can be done without it


def find(wanted: Published) -> Path:
    """The folder that holds all files of a published set, downloaded if it is nowhere and there is a network."""
    looked = places(*(Path(folder, wanted.inner) for folder in wanted.folders))
    found = next((place for place in looked if all(file_in(place, file) for file in wanted.files)), None)
    return found or _download(wanted, looked)


def places(*folders: str | Path) -> list[Path]:
    """These folders under each root: `$GANARIUM_DATA`, where it is set, and the cache."""
    return [root / folder for root in [*_given(), cache_dir() / "data"] for folder in folders]


def file_in(folder: Path, name: str) -> Path | None:
    """A file, or the same gzipped, or a folder of that name; None where there is none."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.exists()), None)


def _given() -> list[Path]:
    given = variable("DATA")
    return [Path(given).expanduser()] if given else []


def _writable(folder: Path) -> bool:
    """Whether a folder, there already or not, can be written."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return os.access(existing, os.W_OK)


def _download(wanted: Published, looked: list[Path]) -> Path:
    """Fetches the files aside, then moves them to the first root that can be written; gives their folder."""
    root = next(filter(_writable, _given()), cache_dir() / "data")
    target = root / wanted.folders[0] / wanted.inner
    patience = socket.getdefaulttimeout()
    try:
        root.mkdir(parents=True, exist_ok=True)
        socket.setdefaulttimeout(PATIENCE)
        with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as aside:
            source = wanted.fetch(Path(aside))
            target.mkdir(parents=True, exist_ok=True)
            for file in wanted.files:
                packed = source / f"{file}.gz"  # as published, where torchvision has unpacked it beside
                made = packed if packed.exists() else source / file
                made.replace(target / made.name)
    except (OSError, RuntimeError) as error:
        first, *more = wanted.files
        what = f"{first} and {_count(len(more))} more were" if more else f"{first} was"
        raise UserError(
            f"{wanted.name} is not here ({what} looked for in {', '.join(map(str, looked))}) and could not be "
            f"downloaded: set GANARIUM_DATA to a folder that has a copy, or {wanted.advice}."
        ) from error
    finally:
        socket.setdefaulttimeout(patience)
    return target


def _count(number: int) -> str:
    words = ("no", "one", "two", "three", "four", "five", "six")
    return words[number] if number < len(words) else str(number)
