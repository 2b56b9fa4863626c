"""Finds published data sets on this machine, and downloads one that is not there."""

import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ganarium.errors import UserError
from ganarium.runtime.cache import cache_dir
from ganarium.runtime.environment import variable

TIMEOUT = 20  # seconds that a server may be silent


class Published(NamedTuple):
    """A data set as its authors publish it. Its files may be gzipped, with `.gz` after their names."""

    name: str
    folders: tuple[str, ...]  # tried under each root; the first is made by a download
    inner: str  # the folder of the files within one of these, "." if they lie in it directly
    files: tuple[str, ...]  # all files that are needed; a folder among them counts as one file
    fetch: Callable[[Path], Path]  # downloads into an empty folder, and returns the folder of the files
    advice: str = "use --data glyphs, which needs no network"  # what a user can do without the set


def find(published: Published) -> Path:
    """The folder that holds all files of a published set. A set that is nowhere on this machine is downloaded."""
    candidates = places(*(Path(folder, published.inner) for folder in published.folders))
    complete = (place for place in candidates if all(file_in(place, file) for file in published.files))
    return next(complete, None) or _download(published, candidates)


def places(*folders: str | Path) -> list[Path]:
    """These folders under each root: `$GANARIUM_DATA`, if it is set, and the cache."""
    return [root / folder for root in [*_data_root(), cache_dir() / "data"] for folder in folders]


def file_in(folder: Path, name: str) -> Path | None:
    """The file, or folder, of this name, or the file gzipped; None if there is neither."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.exists()), None)


def _data_root() -> list[Path]:
    """The folder that `$GANARIUM_DATA` names, if it is set."""
    folder = variable("DATA")
    return [Path(folder).expanduser()] if folder else []


def _writable(folder: Path) -> bool:
    """Whether files can be written to a folder, which need not exist yet."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return os.access(existing, os.W_OK)


def _download(published: Published, candidates: list[Path]) -> Path:
    """Downloads the files to a temporary folder, then moves them to the first root that can be written."""
    root = next(filter(_writable, _data_root()), cache_dir() / "data")
    target = root / published.folders[0] / published.inner
    timeout = socket.getdefaulttimeout()
    try:
        root.mkdir(parents=True, exist_ok=True)
        socket.setdefaulttimeout(TIMEOUT)
        with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as temporary:
            source = published.fetch(Path(temporary))
            target.mkdir(parents=True, exist_ok=True)
            for file in published.files:
                packed = source / f"{file}.gz"  # torchvision unpacks it, and leaves the packed file beside
                downloaded = packed if packed.exists() else source / file
                downloaded.replace(target / downloaded.name)
    except (OSError, RuntimeError) as error:
        first, *more = published.files
        what = f"{first} and {_count(len(more))} more were" if more else f"{first} was"
        raise UserError(
            f"{published.name} is not here ({what} looked for in {', '.join(map(str, candidates))}) and could not be "
            f"downloaded: set GANARIUM_DATA to a folder that has a copy, or {published.advice}."
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
    return target


def _count(number: int) -> str:
    words = ("no", "one", "two", "three", "four", "five", "six")
    return words[number] if number < len(words) else str(number)
